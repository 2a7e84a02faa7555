// SPDX-License-Identifier: BSD-2-Clause
#include "planner/collection.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/base.h"
#include "base/cleanup.h"
#include "base/array_grow.h"
#include "base/virtual6.h"
#include "base/whole_file.h"

void collection_init(struct collection *c)
{
	*c = (struct collection){ .spill = -1, .from_ms = INT64_MAX, .to_ms = INT64_MIN };
}

void collection_free(struct collection *c)
{
	for (unsigned i = 0; i < COLLECTION_PARTS; i++)
		free(c->part[i].flow);
	if (c->spill >= 0)
		close(c->spill);
	free(c->spills);
	free(c->timer_ms);
	collection_init(c);
}

static bool is_private(uint32_t addr)
{
	return prefix_contains(0x0a000000, 8, addr) || prefix_contains(0x64400000, 10, addr) ||
	       prefix_contains(0xac100000, 12, addr) || prefix_contains(0xc0a80000, 16, addr);
}

static bool is_inside(const struct collection *c, uint32_t addr)
{
	size_t from = 0, to = c->n_in;

	if (!c->n_in)
		return is_private(addr);
	while (from < to) {
		size_t middle = (from + to) / 2;

		if (addr > c->in[middle].last)
			from = middle + 1;
		else
			to = middle;
	}
	return from < c->n_in && addr >= c->in[from].first;
}

static int open_spill(void)
{
	const char *dir = getenv("TMPDIR");
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/detnat-plan-XXXXXX", dir && *dir ? dir : "/var/tmp");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	return fd;
}

/* Moves all flows in memory to the file. */
static int spill_all(struct collection *c)
{
	if (c->spill < 0)
		c->spill = open_spill();
	if (c->spill < 0)
		return c->spill;
	for (unsigned i = 0; i < COLLECTION_PARTS; i++) {
		struct collection_part *p = &c->part[i];
		size_t size = p->n * sizeof(*p->flow);
		int r;

		if (!p->n)
			continue;
		r = array_grow(&c->spills, c->n_spills, &c->room_spills, sizeof(*c->spills));
		if (!r)
			r = file_write(c->spill, p->flow, size, c->spill_end);
		if (r)
			return r;
		c->spills[c->n_spills++] = (struct spilled){ i, (uint32_t)p->n, c->spill_end };
		c->spill_end += size;
		p->spilled += p->n;
		p->n = p->room = 0;
		free(p->flow);
		p->flow = NULL;
	}
	c->used = 0;
	return 0;
}

static int keep(struct collection *c, const struct plan_flow *flow)
{
	struct collection_part *p = &c->part[flow->in_addr * 0x9e3779b1U >> 24];
	size_t room = p->room;
	int r = array_grow(&p->flow, p->n, &p->room, sizeof(*p->flow));

	if (r)
		return r;
	p->flow[p->n++] = *flow;
	c->flows++;
	c->used += (p->room - room) * sizeof(*p->flow);
	if (c->used > c->peak_memory)
		c->peak_memory = c->used;
	return c->used > (c->memory ? c->memory : COLLECTION_MEMORY) ? spill_all(c) : 0;
}

static int take_flow(void *arg, const struct traffic_flow *f)
{
	struct collection *c = arg;
	bool src = is_inside(c, f->src), dst = is_inside(c, f->dst);
	struct plan_flow flow = {
		.first_ms = f->first_ms,
		.last_ms = f->last_ms,
		.in_addr = f->src,
		.ext_addr = f->dst,
		.in_port = f->sport,
		.ext_port = f->dport,
		.timer = (uint16_t)(f->timer ? c->files * N_TRAFFIC_TIMERS + f->timer : 0),
		.proto = f->proto,
		.state = f->state,
		.exact = f->exact,
	};

	if (!c->n_in && src == dst) {
		c->unclear++;
		return 0;
	}
	if (!src) {
		c->towards += dst;
		c->strangers += !dst;
		return 0;
	}
	return keep(c, &flow);
}

int collection_read(struct collection *c, int fd, const char *name, int64_t taken_ms, struct traffic_notes *ret_notes,
		    struct error *err)
{
	struct traffic_notes notes;
	int64_t *timers;
	int r;

	if (c->files == COLLECTION_MAX_FILES)
		return error_set(err, -EINVAL, "%s: no more than %u files can be read", name, COLLECTION_MAX_FILES);
	timers = reallocarray(c->timer_ms, (c->files + 1UL) * N_TRAFFIC_TIMERS, sizeof(*timers));
	if (!timers)
		return error_set(err, -ENOMEM, "out of memory");
	c->timer_ms = timers;
	memset(timers + (size_t)c->files * N_TRAFFIC_TIMERS, 0, N_TRAFFIC_TIMERS * sizeof(*timers));
	err->text[0] = '\0';
	r = traffic_read(fd, name, taken_ms, take_flow, c, &notes, err);
	if (r)
		return *err->text
			       ? r
			       : error_set(err, r, "%s: flows beyond %lu MiB wait in a file in $TMPDIR or /var/tmp: %s",
					   name, COLLECTION_MEMORY >> 20, strerror(-r));
	for (unsigned t = 1; t < N_TRAFFIC_TIMERS; t++)
		timers[c->files * N_TRAFFIC_TIMERS + t] = traffic_timer_length(notes.longest_ms[t]);
	c->files++;
	c->naive |= notes.naive;
	*ret_notes = notes;
	return 0;
}

static int by_addr(const void *a, const void *b)
{
	const struct plan_flow *x = a, *y = b;

	return x->in_addr < y->in_addr ? -1 : x->in_addr > y->in_addr;
}

/* The rest of the tuple, so that the order is the same on each machine. */
static int by_time(const void *a, const void *b)
{
	const struct plan_flow *x = a, *y = b;

	if (x->first_ms != y->first_ms)
		return x->first_ms < y->first_ms ? -1 : 1;
	if (x->last_ms != y->last_ms)
		return x->last_ms < y->last_ms ? -1 : 1;
	return memcmp(&x->in_addr, &y->in_addr,
		      offsetof(struct plan_flow, timer) - offsetof(struct plan_flow, in_addr));
}

/*
 * Turns what a table's timer has left into the time of the last packet. Returns how many flows are left: those that
 * detnat would have ended before the table was taken go.
 */
static size_t resolve(struct collection *c, struct plan_flow *flow, size_t n)
{
	size_t left = 0;

	for (size_t i = 0; i < n; i++) {
		struct plan_flow f = flow[i];

		if (f.timer) {
			int64_t idle = c->timer_ms[f.timer] - f.last_ms;

			if (idle > (int64_t)collection_timeout(c, f.state) * 1000) {
				c->idle++;
				continue;
			}
			f.first_ms -= idle;
			f.last_ms = f.first_ms;
		}
		c->from_ms = f.first_ms < c->from_ms ? f.first_ms : c->from_ms;
		c->to_ms = f.last_ms > c->to_ms ? f.last_ms : c->to_ms;
		flow[left++] = f;
	}
	return left;
}

static int walk_part(struct collection *c, struct plan_flow *flow, size_t n, collection_take take, void *arg,
		     struct error *err)
{
	qsort(flow, n, sizeof(*flow), by_addr);
	for (size_t from = 0, to; from < n; from = to) {
		char addr[INSIDE_TEXT];
		size_t left;
		int r;

		for (to = from + 1; to < n && flow[to].in_addr == flow[from].in_addr; to++)
			;
		if (to - from > COLLECTION_MAX_FLOWS)
			return error_set(err, -EINVAL,
					 "%s has more than %lu flows, so it is no subscriber; leave it out of --in",
					 inside_text(flow[from].in_addr, addr), COLLECTION_MAX_FLOWS);
		left = resolve(c, flow + from, to - from);
		qsort(flow + from, left, sizeof(*flow), by_time);
		r = left ? take(arg, flow[from].in_addr, flow + from, left) : 0;
		if (r)
			return r;
	}
	return 0;
}

static int read_back(const struct collection *c, unsigned part, struct plan_flow *to)
{
	for (size_t i = 0; i < c->n_spills; i++) {
		const struct spilled *s = &c->spills[i];
		size_t size = s->n * sizeof(*to), done = 0;

		if (s->part != part)
			continue;
		while (done < size) {
			ssize_t n = pread(c->spill, (char *)to + done, size - done, (off_t)(s->at + done));

			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0)
				return n ? -errno : -EIO;
			done += (size_t)n;
		}
		to += s->n;
	}
	return 0;
}

int collection_walk(struct collection *c, collection_take take, void *arg, struct error *err)
{
	c->idle = 0;
	for (unsigned i = 0; i < COLLECTION_PARTS; i++) {
		struct collection_part *p = &c->part[i];
		size_t n = p->spilled + p->n;
		_cleanup_free_ struct plan_flow *flow = n ? reallocarray(NULL, n, sizeof(*flow)) : NULL;
		int r;

		if (!n)
			continue;
		if (!flow)
			return error_set(err, -ENOMEM, "out of memory for %zu flows of a part", n);
		r = read_back(c, i, flow);
		if (r)
			return error_set(err, r, "the file of flows cannot be read back: %s", strerror(-r));
		if (p->n)
			memcpy(flow + p->spilled, p->flow, p->n * sizeof(*flow));
		if (c->used + n * sizeof(*flow) > c->peak_memory)
			c->peak_memory = c->used + n * sizeof(*flow);
		err->text[0] = '\0';
		r = walk_part(c, flow, n, take, arg, err);
		if (r)
			return *err->text ? r : error_set(err, r, "%s", strerror(-r));
	}
	return 0;
}
