// SPDX-License-Identifier: BSD-2-Clause
/* The tables of a row: made, emptied, counted, weighed. */
#include "bench.h"

#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>
#include <detnat/extents.h>
#include <detnat/prefix6.h>

#include "datapath/datapath_private.h"
#include "sessions/sessions.h"
#include "tables/mapping_changes.h"
#include "tables/mapping_tables.h"

#define INSIDE_BASE    0xac100000U /* 172.16.0.0, as CSIT has it */
#define INSIDE_SPREAD  0x0a000000U /* 10.0.0.0: many mappings, each with an index node of its own */
#define SPREAD_SHIFT   14
#define OUTSIDE_BASE   0xcb007000U /* 203.0.112.0 */
#define TIMEOUT_S      36000	   /* nothing expires */
#define STEP_US	       100000
#define MAX_KNOWN_MAPS 256

/* The prefixes of mapping i, of at least so many hosts. */
static void spec_prefixes(const struct row *row, uint32_t i, uint32_t hosts, struct mapping_spec *spec)
{
	uint8_t plen = 32;

	while (prefix_size(plen) < hosts)
		plen--;
	spec->in.plen = plen;
	spec->in.base = row->feature == FEATURE_SIX ? FLOW_SIX_BASE
			: row->mappings == 1	    ? INSIDE_BASE
			: row->adjoining	    ? INSIDE_SPREAD + i * hosts
						    : INSIDE_SPREAD + (i << SPREAD_SHIFT);
	spec->out.plen = (uint8_t)(plen + row->ratio_shift);
	spec->out.base = OUTSIDE_BASE + i * (uint32_t)prefix_size(spec->out.plen);
}

/* The subscribers are IPv6 prefixes, which are known by the addresses of spec->in. */
static void spec_six(struct mapping_spec *spec)
{
	const struct address6 prefix = { FLOW_PREFIX_HI, 0 };

	spec->six = (struct record6){ .in_hi = FLOW_SIX_HI,
				      .subscriber_plen = FLOW_SIX_PLEN,
				      .hosts = HOSTS_DEFAULT_NAT64,
				      .lowest_mtu = LOWEST_IPV6_MTU };
	record6_set_prefix(&spec->six, &prefix, 96);
}

/* The ranges of the one mapping of a row with any ratio, and its geometry. */
static void spec_ranges(const struct row *row, struct mapping_spec *spec)
{
	const uint16_t ports = (uint16_t)(row->ports ? row->ports : MAPPING_PORTS / row->ratio);
	const struct mapping_parameters p = { .in_base = INSIDE_BASE,
					      .last_subscriber = row->hosts - 1,
					      .out_base = OUTSIDE_BASE,
					      .last_out = (row->hosts + row->ratio - 1) / row->ratio - 1,
					      .ratio = row->ratio,
					      .first_port = MAPPING_FIRST_PORT,
					      .pitch = ports,
					      .ports_per_host = ports };

	if (mapping_make(&p, &spec->geo))
		die("making the geometry of a row", EINVAL);
	spec->in = geometry_in(&spec->geo);
	spec->out = geometry_out(&spec->geo);
}

static int add_mapping(struct bench *b, const struct mapping_spec *spec, struct error *err)
{
	struct mapping_job *job;
	int r = mappings_add_begin(b->m, spec, &job, err);

	if (r)
		return r;
	while ((r = mappings_add_step(job, err)) > 0)
		;
	if (!r)
		r = mappings_add_commit_with(job, &(struct mapping_handover){ 0 });
	if (r) {
		mappings_add_abort(job);
		while (mappings_reclaim_step(b->m) > 0)
			;
	}
	return r;
}

int space_make(struct bench *b, const struct row *row, struct space *ret, struct error *err)
{
	struct space s = {
		.row = row,
		.hosts_each = row->hosts / row->mappings,
		.geo = calloc(row->mappings, sizeof(*s.geo)),
		.number = calloc(row->mappings, sizeof(*s.number)),
		.n_sessions = row_sessions(row),
	};
	int r = s.geo && s.number ? 0 : error_set(err, -ENOMEM, "out of memory");

	for (uint32_t i = 0; !r && i < row->mappings; i++) {
		/* At the quota with its last session, so that refusals can be measured. */
		struct mapping_spec spec = { .sessions_per_user = row->sessions,
					     .session_slots = row->slots,
					     .open = row->feature == FEATURE_OPEN,
					     .bindings = features_bindings(row),
					     .growth = features_growth(row),
					     .limit = features_limits(row),
					     .tenant = row_has_tenants(row) ? FIRST_TENANT : 0 };

		if (row->ratio)
			spec_ranges(row, &spec);
		else
			spec_prefixes(row, i, s.hosts_each, &spec);
		for (unsigned t = 0; t < N_TIMEOUTS; t++)
			spec.timeout_ticks[t] = ticks_of_seconds(TIMEOUT_S, b->d.hz);
		if (row->feature == FEATURE_SIX)
			spec_six(&spec);
		err->text[0] = '\0';
		r = add_mapping(b, &spec, err);
		if (r && !err->text[0])
			error_set(err, r, "the mapping cannot be added: %s", strerror(-r));
		s.number[i] = r ? -1 : mappings_find_any(b->m, spec.in.base);
		if (!r && row_has_tenants(row)) {
			/* Another tenant with the same inside prefix. */
			spec.tenant = FIRST_TENANT + 1;
			spec.out.base += (uint32_t)prefix_size(spec.out.plen);
			r = add_mapping(b, &spec, err);
		}
		if (!r && row->feature == FEATURE_BESIDE_SIX) {
			spec.in.base = FLOW_SIX_BASE;
			spec.out.base += (uint32_t)prefix_size(spec.out.plen);
			spec_six(&spec);
			r = add_mapping(b, &spec, err);
		}
		if (!r)
			s.geo[i] = mappings_get(b->m, s.number[i])->geo;
	}
	if (!r && row->mix != MIX_NONE)
		mix_draw(b, &s);
	if (!r)
		features_make(b, &s);
	if (r) {
		space_free(b, &s);
		return r;
	}
	*ret = s;
	return 0;
}

void space_free(struct bench *b, struct space *s)
{
	features_free(s);
	for (int number; (number = mappings_next(b->m, 0)) >= 0;) {
		const struct geometry g = mappings_get(b->m, number)->geo;

		if (mappings_del_of(b->m, 0, geometry_in(&g), geometry_out(&g)))
			die("deleting a mapping", EINVAL);
	}
	while (mappings_reclaim_step(b->m) > 0)
		;
	free(s->geo);
	free(s->number);
	free(s->in);
	free(s->out);
	*s = (struct space){ 0 };
}

void space_forget(struct bench *b, const struct space *s)
{

	for (uint32_t i = 0; i < s->row->mappings; i++) {
		size_t buckets = 1UL << mappings_get(b->m, s->number[i])->bucket_shift;

		for (uint32_t h = 0; h < s->hosts_each; h++) {
			if (s->row->slots)
				memset(mappings_buckets(b->m, s->number[i], h), 0, buckets * sizeof(struct bucket));
			memset(mappings_subscriber(b->m, s->number[i], h), 0, sizeof(struct subscriber));
			features_forget(b, s->number[i], h);
		}
	}
	features_mark(s);
	memset(b->d.extent, 0, b->d.pool->next * sizeof(struct bucket));
	memset(b->d.pool, 0, sizeof(*b->d.pool));
}

uint64_t space_count(struct bench *b)
{
	struct session_count *count = calloc(1, sizeof(*count));
	struct session_counter *c;
	uint64_t total;
	int r;

	if (!count || session_counter_new(b->m, &c))
		die("counting", ENOMEM);
	while ((r = session_counter_step(c, STEP_US, count)) > 0)
		;
	if (r < 0)
		die("counting", r);
	total = count->total;
	session_counter_free(c);
	free(count);
	return total;
}

struct in_state {
	uint8_t state;
	uint64_t n;
};

static int count_state(const struct session *session, void *arg)
{
	struct in_state *in = arg;

	in->n += session->state == in->state;
	return 0;
}

uint64_t space_in_state(struct bench *b, uint8_t state)
{
	struct in_state in = { .state = state };
	struct session_walk *w;
	int r = session_walk_new(b->m, &w);

	while (!r && (r = session_walk_step(w, STEP_US, count_state, &in)) > 0)
		r = 0;
	if (r)
		die("listing sessions", r);
	session_walk_free(w);
	return in.n;
}

void space_hold_refusals(struct bench *b, const struct space *s)
{
	/* Further ahead than a second would be taken for a stamp from before the clock wrapped. */
	uint32_t next = (datapath_ticks(&b->d) << TICK_SHIFT) + b->d.hz;

	for (uint32_t i = 0; i < s->row->mappings; i++) {
		for (uint32_t h = 0; h < s->hosts_each; h++) {
			struct subscriber *u = mappings_subscriber(b->m, s->number[i], h);

			u->icmp_next = u->quota_event_next = u->ports_event_next = next ? next : 1;
		}
	}
}

/* Memory. */

struct known {
	uint32_t id[MAX_KNOWN_MAPS];
	unsigned n;
};

static bool known_before(struct known *k, uint32_t id)
{
	for (unsigned i = 0; i < k->n; i++)
		if (k->id[i] == id)
			return true;
	if (k->n == MAX_KNOWN_MAPS)
		die("more maps than expected", E2BIG);
	k->id[k->n++] = id;
	return false;
}

static uint64_t map_memory(uint32_t id)
{
	_cleanup_close_ int fd = bpf_map_get_fd_by_id(id);
	uint64_t octets = 0;
	char path[64], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fd < 0 ? NULL : fopen(path, "re");
	if (!f)
		die("the memory of a map", errno);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "memlock:", 8))
			octets = strtoull(line + 8, NULL, 10);
	fclose(f);
	return octets;
}

static uint64_t program_memory(int fd, struct known *known)
{
	uint32_t ids[64] = { 0 }, size = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = { .nr_map_ids = ARRAY_SIZE(ids), .map_ids = (uintptr_t)ids };
	uint64_t sum = 0;

	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		die("a program's maps", errno);
	for (uint32_t i = 0; i < info.nr_map_ids && i < ARRAY_SIZE(ids); i++)
		if (!known_before(known, ids[i]))
			sum += map_memory(ids[i]);
	return sum;
}

static uint64_t leaves_memory(int leaves, struct known *known)
{
	uint64_t sum = 0;
	uint32_t id;

	for (uint32_t leaf = 0; leaf < N_PROGS; leaf++) {
		_cleanup_close_ int fd = -1;

		if (bpf_map_lookup_elem(leaves, &leaf, &id))
			continue;
		fd = bpf_prog_get_fd_by_id(id);
		if (fd < 0)
			die("a leaf", errno);
		sum += program_memory(fd, known);
	}
	return sum;
}

/* Octets that a row's own room would spare in the map of extents, which has room for all rows of the run. */
static uint64_t spared_extents(const struct bench *b, const struct row *row)
{
	const uint32_t wanted = world_extent_buckets(row);

	return (datapath_extent_buckets(&b->d) - (wanted ? wanted : 1)) * sizeof(struct bucket);
}

uint64_t world_memory(const struct bench *b, const struct row *row)
{
	const int programs[] = { b->inside_fd, b->outside_fd, b->d.tc_outside };
	struct known known = { .n = 0 };
	/* Chunks are in maps of maps: no program names them. */
	uint64_t sum = chunks_memory(&b->m->subscribers) + chunks_memory(&b->m->buckets) + copy_memory();

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		sum += program_memory(programs[i], &known);
	return sum + leaves_memory(b->d.build->arrays[XDP_PROGS], &known) +
	       leaves_memory(b->d.build->arrays[TC_PROGS], &known) - spared_extents(b, row);
}
