/* SPDX-License-Identifier: BSD-2-Clause */
#include "punt/tracing.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "host/ring_reader.h"

/* Octets; room for about 600 records. */
#define RING_SIZE (1U << 20)
/* Delay before another attempt to load the normal programs. */
#define RETRY_S 10

struct trace {
	struct event_base *base;
	struct datapath *datapath;
	const struct mappings *mappings;
	trace_replace replace; /* replaces the programs */
	void *replace_arg;
	bool wanted;
	bool ending;		      /* its end has been submitted */
	uint32_t ending_generation;   /* of the trace that the submitted end is for */
	uint32_t generation;	      /* of the last trace */
	uint32_t count;		      /* packets wanted */
	struct trace_record **record; /* allocated only up to their last step */
	size_t n_records;
	size_t n_places;
	char (*tenant)[LABEL_TEXT]; /* names in the records, by number - 1 */
	uint8_t n_tenants;
	struct ring_reader *ring;
	struct event *timer;
};

static void forget_records(struct trace *t)
{
	for (size_t i = 0; i < t->n_records; i++)
		free(t->record[i]);
	free(t->record);
	free(t->tenant);
	t->record = NULL;
	t->tenant = NULL;
	t->n_records = t->n_places = t->n_tenants = 0;
}

const char *trace_tenant(const struct trace *t, uint8_t tenant)
{
	return tenant && tenant <= t->n_tenants ? t->tenant[tenant - 1] : "";
}

/* The number by which records have a tenant of the tables; 0: it has no name any more, or there is no memory. */
static uint8_t number_of(struct trace *t, uint8_t tenant)
{
	const char *name = mappings_tenant_name(t->mappings, tenant);
	char(*grown)[LABEL_TEXT];

	for (unsigned i = 1; i <= t->n_tenants; i++)
		if (!strcmp(t->tenant[i - 1], name))
			return (uint8_t)i;
	grown = *name && t->n_tenants < UINT8_MAX ? reallocarray(t->tenant, t->n_tenants + 1U, sizeof(*grown)) : NULL;
	if (!grown)
		return 0;
	t->tenant = grown;
	snprintf(grown[t->n_tenants++], sizeof(*grown), "%s", name);
	return t->n_tenants;
}

static void number_tenants(struct trace *t, struct trace_record *r)
{
	r->tenant = number_of(t, r->tenant);
	for (unsigned i = 0; i < r->n_steps; i++)
		if (r->step[i].kind == TRACE_subscriber)
			trace_step_set_tenant(&r->step[i], number_of(t, trace_step_tenant(&r->step[i])));
}

static int add_record(struct trace *t, const struct trace_record *r)
{
	size_t size = offsetof(struct trace_record, step) + r->n_steps * sizeof(r->step[0]);
	struct trace_record *copy;

	if (t->n_records == t->n_places) {
		size_t places = t->n_places * 2 + 64;
		struct trace_record **grown = reallocarray(t->record, places, sizeof(struct trace_record *));

		if (!grown)
			return -ENOMEM;
		t->record = grown;
		t->n_places = places;
	}
	copy = malloc(size);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, r, size);
	number_tenants(t, copy);
	copy->time_ns += clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
	t->record[t->n_records++] = copy;
	return 0;
}

static void on_record(void *arg, void *data, size_t size)
{
	struct trace *t = arg;
	const struct trace_record *r = data;

	/* From an earlier trace, or beyond the requested count. */
	if (size < sizeof(*r) || r->generation != t->generation || t->n_records >= t->count ||
	    r->n_steps > TRACE_MAX_STEPS)
		return;
	if (add_record(t, r))
		log_warning("no memory to keep the record of a traced packet");
}

const struct trace_record *trace_get(const struct trace *t, size_t n)
{
	return n < t->n_records ? t->record[n] : NULL;
}

uint32_t trace_generation(const struct trace *t)
{
	return t->generation;
}

static int set_filter(struct trace *t, const struct trace_filter *f)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(t->datapath->trace_filter, &zero, f, BPF_ANY);
}

static bool filter_is_satisfied(const struct trace *t)
{
	struct trace_filter f;
	uint32_t zero = 0;

	return bpf_map_lookup_elem(t->datapath->trace_filter, &zero, &f) || f.left <= 0;
}

/* Stops recording, and logs how many packets the last trace missed. */
static int clear_filter(struct trace *t)
{
	struct trace_filter f, nothing = { 0 };
	uint32_t zero = 0;

	if (!bpf_map_lookup_elem(t->datapath->trace_filter, &zero, &f) && f.missed)
		log_warning("%llu packets are missing from the trace, as they came faster than they could be kept: "
			    "a narrower filter misses none",
			    (unsigned long long)f.missed);
	return set_filter(t, &nothing);
}

static int prepare_end(void *arg, struct error *err)
{
	struct trace *t = arg;

	/* Unless another trace has started in the meantime. */
	if (t->ending_generation == t->generation)
		trace_dismiss(t);
	return 0;
}

static void on_end(void *arg, int r, const struct error *err)
{
	struct trace *t = arg;

	t->ending = false;
	if (r && r != -ECANCELED)
		log_warning("the normal programs cannot be put back after a trace: %s; tried again in %u seconds",
			    err->text, RETRY_S);
	trace_settle(t);
	if (r)
		evtimer_add(t->timer, &(struct timeval){ .tv_sec = RETRY_S });
}

static void end(struct trace *t)
{
	if (t->ending)
		return;
	t->ending_generation = t->generation;
	t->ending = !t->replace(t->replace_arg, prepare_end, on_end, t);
	if (!t->ending)
		evtimer_add(t->timer, &(struct timeval){ .tv_sec = RETRY_S });
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	end(arg);
}

static uint64_t end_if_complete(void *arg, unsigned taken)
{
	struct trace *t = arg;

	if (t->wanted && filter_is_satisfied(t))
		end(t);
	return RING_READER_IDLE;
}

static const struct ring_reader_ops records_ring = {
	.sample = on_record,
	.turn_ended = end_if_complete,
};

static void close_maps(struct trace *t)
{
	struct datapath *d = t->datapath;

	if (t->ring)
		ring_reader_turn(t->ring);
	ring_reader_free(take_pointer(t->ring));
	close_fd(&d->trace_filter);
	close_fd(&d->trace_ring);
	close_fd(&d->trace_records);
	d->trace_filter = d->trace_ring = d->trace_records = -1;
}

static int open_maps(struct trace *t)
{
	struct datapath *d = t->datapath;

	if (t->ring)
		return 0;
	d->trace_filter = bpf_map_create(BPF_MAP_TYPE_ARRAY, "trace_filter", sizeof(uint32_t),
					 sizeof(struct trace_filter), 1, NULL);
	d->trace_ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "trace_ring", 0, 0, RING_SIZE, NULL);
	d->trace_records = bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "trace_records", sizeof(uint32_t),
					  sizeof(struct trace_record), 1, NULL);
	if (d->trace_filter < 0 || d->trace_ring < 0 || d->trace_records < 0)
		return -errno;
	return ring_reader_new(t->base, d->trace_ring, &records_ring, t, &t->ring);
}

bool trace_wanted(const struct trace *t)
{
	return t->wanted;
}

int trace_prepare(struct trace *t, struct error *err)
{
	int r = open_maps(t);

	if (r) {
		close_maps(t);
		return error_set(err, r, "cannot create the maps of a trace: %s", strerror(-r));
	}
	t->wanted = true;
	return 0;
}

void trace_dismiss(struct trace *t)
{
	if (t->ring)
		clear_filter(t);
	t->wanted = false;
}

int trace_record(struct trace *t, const struct trace_filter *filter, uint32_t count, struct error *err)
{
	struct trace_filter f = *filter;
	int r = clear_filter(t);

	if (r)
		return error_set(err, r, "the filter cannot be set: %s", strerror(-r));
	f.left = count;
	f.generation = ++t->generation;
	f.seen = (uint8_t)((f.in.port ? TRACE_SEEN_IN : 0) | (f.out.port ? TRACE_SEEN_OUT : 0) |
			   (f.ext.port ? TRACE_SEEN_EXT : 0));
	t->count = count;
	forget_records(t);
	evtimer_add(t->timer, &(struct timeval){ .tv_sec = TRACE_MAX_S });
	r = set_filter(t, &f);
	return r ? error_set(err, r, "the filter cannot be set: %s", strerror(-r)) : 0;
}

void trace_settle(struct trace *t)
{
	t->wanted = t->datapath->settings.trace;
	if (t->wanted)
		return;
	evtimer_del(t->timer);
	close_maps(t);
}

int trace_new(struct event_base *base, struct datapath *d, const struct mappings *m, trace_replace replace, void *arg,
	      struct trace **ret)
{
	struct trace *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->base = base;
	t->datapath = d;
	t->mappings = m;
	t->replace = replace;
	t->replace_arg = arg;
	t->timer = evtimer_new(base, on_timer, t);
	if (!t->timer) {
		free(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

void trace_free(struct trace *t)
{
	if (!t)
		return;
	t->wanted = false;
	close_maps(t);
	event_free(t->timer);
	forget_records(t);
	free(t);
}
