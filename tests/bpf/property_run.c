// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include <detnat/binding.h>

#include "property.h"
#include "tables/mapping_tables.h"

static const char *const hook_name[] = { "XDP inside", "XDP outside",		"XDP both",
					 "tc outside", "XDP inside, slow path", "XDP outside, slow path" };

static void print_octets(const char *what, const uint8_t *octet, size_t size)
{
	fprintf(stderr, "%s, %zu octets:", what, size);
	for (size_t i = 0; i < size && i < 128; i++)
		fprintf(stderr, "%s%02x", i % 16 ? " " : "\n  ", octet[i]);
	fprintf(stderr, "\n");
}

static const char *reason_name(unsigned reason)
{
	static const char *const names[] = {
#define X(name, text) #name,
		REASONS(X) SENT_KINDS(X) INCIDENTS(X)
#undef X
	};

	return reason < N_REASONS ? names[reason] : "none";
}

void property_fail(const struct property *t, enum hook hook, const struct random_packet *p, const struct outcome *o,
		   const char *what)
{
	fprintf(stderr, "packet %llu at %s: %s\n", (unsigned long long)t->packets, hook_name[hook], what);
	if (p) {
		fprintf(stderr, "protocol %u, %08x:%u to %08x:%u, flags %02x, TTL %u, flaw %d\n", p->proto, p->src,
			p->sport, p->dst, p->dport, p->flags, p->ttl, p->flaw);
		print_octets("in", p->octet, p->size);
	}
	if (o) {
		fprintf(stderr, "verdict %d, %s, %u sent, %u opened, %u of them beyond the slots\n", o->verdict,
			reason_name(o->reason), o->sent, o->opened, o->beyond);
		print_octets("out", o->octet, o->size);
	}
	cr_assert(0, "packet %llu: %s", (unsigned long long)t->packets, what);
}

/* An ICMP error made at tc, which the agent sends: the frame that it leaves in. */
static void take_answer(const struct random_packet *p, struct outcome *ret)
{
	static struct transmission t;

	cr_assert(transmitted(&t));
	cr_assert_leq(14U + t.length, sizeof(ret->octet));
	memcpy(ret->octet, p->octet + 6, 6);
	memcpy(ret->octet + 6, p->octet, 6);
	memcpy(ret->octet + 14, t.frame, t.length);
	ret->size = 14U + t.length;
}

/* Octets are counted of what was translated alone: as many as the packet has. */
static bool octets_are_counted(const struct counters *before, const struct counters *after, enum reason reason,
			       const struct random_packet *p)
{
	bool right = true;
	unsigned n = REASON_in2out_translated;
#define X(name, text)                                                                           \
	right &= after->name - before->name ==                                                  \
		 (reason == (enum reason)n ? (uint64_t)(p->octet[16] << 8 | p->octet[17]) : 0); \
	n++;
	VOLUMES(X)
#undef X
	return right;
}

/* The subscriber whose tables a packet may change, 0 for none. */
static uint32_t concerned(struct property *t, enum hook hook, const struct random_packet *p)
{
	const struct model_portmap *portmap;
	uint32_t in_addr;

	if (hook == XDP_INSIDE || hook == XDP_INSIDE_SLOW || hook == TC_OUTSIDE)
		return model_inside(&t->model, p->src) ? p->src : 0;
	portmap = model_portmap_out(&t->model, p->dst, p->dport, p->proto);
	if (portmap)
		return portmap->in_addr;
	return model_owner(&t->model, p->dst, p->dport, &in_addr) ? in_addr : 0;
}

void property_run_once(struct property *t, enum hook hook, const struct random_packet *p, struct outcome *ret)
{
	struct counters before, after;
	unsigned reasons = 0, n = 0;
	struct property_tables of;
	uint64_t start_ns = property_clock_ns();

	cr_assert_eq(datapath_counters(&datapath, &before), 0);
	property_events_apply();
	ret->verdict = run_frame(hook, p->octet, p->size, ret->octet, &ret->size);
	cr_assert_eq(datapath_counters(&datapath, &after), 0);
#define X(name, text)                                \
	if (after.name != before.name) {             \
		reasons += after.name - before.name; \
		ret->reason = (enum reason)n;        \
	}                                            \
	n++;
	REASONS(X)
#undef X
	property_events_collect();
	ret->sent = 0;
#define X(name, text) ret->sent += (unsigned)(after.name - before.name);
	SENT_KINDS(X)
#undef X
	if (hook == TC_OUTSIDE && ret->sent)
		take_answer(p, ret);
	ret->opened = (unsigned)(after.sessions_opened - before.sessions_opened);
	ret->beyond = (unsigned)(after.sessions_overflowed - before.sessions_overflowed);
	ret->inbound = (unsigned)(after.sessions_inbound - before.sessions_inbound);
	ret->token = property_tables(concerned(t, hook, p), &of) && property_token_taken(&of, start_ns);
	ret->portmap_in = (unsigned)(after.portmap_in - before.portmap_in);
	ret->portmap_out = (unsigned)(after.portmap_out - before.portmap_out);
	if (reasons != 1)
		property_fail(t, hook, p, ret, "not counted exactly once");
	if (!octets_are_counted(&before, &after, ret->reason, p))
		property_fail(t, hook, p, ret, "other octets counted");
}

void property_run_alone(struct property *t, enum hook hook, const struct random_packet *p, struct outcome *ret)
{
	property_time_resume(t);
	property_run_once(t, hook, p, ret);
	property_time_stop(t);
}

static size_t table_words(const struct mapping *m)
{
	const struct binding_layout *l = &m->bindings;

	return l->protocols ? binding_lines(l->protocols, m->geo.ports_per_host, m->bucket_shift) * PORT_GROUP : 0;
}

bool property_tables_of(int number, uint32_t in_addr, struct property_tables *ret)
{
	const struct mapping *m = number < 0 ? NULL : mappings_get(mappings, number);
	static const uint8_t first[] = { 0, UDP, TCP, UDP, ICMP, UDP, TCP, UDP };
	uint32_t n;

	*ret = (struct property_tables){ 0 };
	if (!m || m->geo.out_plen == PLEN_NONE)
		return false;
	n = in_addr - m->geo.in_base;
	ret->record = mappings_subscriber(mappings, number, n);
	ret->number = number;
	ret->line = mappings_limit_line(mappings, number, n);
	if (m->first_bucket == NO_BUCKETS)
		return true;
	ret->slots = (size_t)BUCKET_SLOTS << m->bucket_shift;
	ret->slot = (uint64_t(*)[2])mappings_buckets(mappings, number, n);
	ret->n_bindings = table_words(m);
	if (ret->n_bindings)
		ret->bindings = mappings_binding(mappings, number, n, first[m->bindings.protocols & 7], 0) -
				(size_t)binding_header_lines(m->bucket_shift) * PORT_GROUP;
	return true;
}

bool property_tables(uint32_t in_addr, struct property_tables *ret)
{
	return property_tables_of(mappings_find_any(mappings, in_addr), in_addr, ret);
}

/* Whether a subscriber may have sessions in a former mapping, whose tables are not put back. */
static bool has_former(const struct property *t, uint32_t in_addr)
{
	for (size_t i = 0; i < t->model.n; i++)
		if (t->model.session[i].in_addr == in_addr &&
		    t->model.session[i].out_addr != model_outside_of(&t->model, in_addr))
			return true;
	return false;
}

#define EXTENTS_MAX 2048 /* buckets, far more than the subscribers of a scene ever have */

/* A subscriber's tables, and all extents, to be put back. */
struct snapshot {
	struct subscriber record;
	uint64_t slot[4096][2];
	size_t slots;
	struct extent_pool pool;
	struct bucket extent[EXTENTS_MAX];
	bool kept, limited;
	struct limit_line line;
	uint64_t bindings[8192];
};

static void extents_take(struct snapshot *s)
{
	s->pool = *datapath.pool;
	cr_assert_leq(s->pool.next, EXTENTS_MAX);
	if (s->pool.next)
		memcpy(s->extent, datapath.extent, s->pool.next * sizeof(*s->extent));
}

static void extents_restore(const struct snapshot *s)
{
	uint64_t n = datapath.pool->next;

	if (!n)
		return;
	memcpy(datapath.extent, s->extent, s->pool.next * sizeof(*s->extent));
	memset(datapath.extent + s->pool.next, 0, (n - s->pool.next) * sizeof(*s->extent));
	*datapath.pool = s->pool;
}

static void snapshot_take(struct snapshot *s, uint32_t in_addr)
{
	struct property_tables now;

	s->slots = 0;
	s->limited = false;
	extents_take(s);
	s->kept = property_tables(in_addr, &now);
	if (!s->kept)
		return;
	s->slots = now.slots;
	s->record = *now.record;
	s->limited = now.line;
	if (now.line)
		s->line = *now.line;
	cr_assert_leq(now.n_bindings, sizeof(s->bindings) / sizeof(*s->bindings));
	if (now.slots)
		memcpy(s->slot, now.slot, s->slots * sizeof(s->slot[0]));
	if (now.n_bindings)
		memcpy(s->bindings, now.bindings, now.n_bindings * sizeof(*now.bindings));
}

static void snapshot_restore(const struct snapshot *s, uint32_t in_addr)
{
	struct property_tables now;

	extents_restore(s);
	if (!property_tables(in_addr, &now))
		return;
	*now.record = s->record;
	if (now.line)
		*now.line = s->line;
	if (now.slots)
		memcpy(now.slot, s->slot, s->slots * sizeof(s->slot[0]));
	if (now.n_bindings)
		memcpy(now.bindings, s->bindings, now.n_bindings * sizeof(*now.bindings));
}

static int compare_slots(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	if (x[0] != y[0])
		return x[0] < y[0] ? -1 : 1;
	return x[1] < y[1] ? -1 : x[1] > y[1];
}

/* Those in slots and extents that have not expired, to the front; the others leave the count. */
static size_t sorted_sessions(struct snapshot *s, uint32_t now)
{
	uint32_t extent = s->slots ? subscriber_extent(&s->record) : 0;
	size_t n = 0, all = s->slots + extent_buckets(extent) * BUCKET_SLOTS;

	cr_assert_leq(all, sizeof(s->slot) / sizeof(*s->slot));
	if (extent)
		memcpy(s->slot + s->slots, s->extent + extent_first(extent),
		       extent_buckets(extent) * sizeof(*s->extent));
	for (size_t i = 0; i < all; i++) {
		uint64_t truth = s->slot[i][1];

		if (!word_is_live(truth))
			continue;
		if (word_expired(truth, now, datapath.mapping[0].timeout_ticks)) {
			s->record.sessions -= word_state(truth) != SESSION_TIME_WAIT;
			s->line.sessions[limit_protocol_of(word_proto(truth))] -=
				word_state(truth) != SESSION_TIME_WAIT;
			continue;
		}
		s->slot[n][0] = s->slot[i][0];
		s->slot[n++][1] = truth;
	}
	qsort(s->slot, n, sizeof(s->slot[0]), compare_slots);
	return n;
}

/*
 * Whether two ways of a packet have left the same sessions behind. The slots they stand in may differ, and so may what
 * expired sessions they took away.
 */
static bool same_sessions(struct snapshot *a, struct snapshot *b)
{
	uint32_t now = datapath_ticks(&datapath);
	size_t n = sorted_sessions(a, now);

	if (n != sorted_sessions(b, now) || (a->slots && a->record.sessions != b->record.sessions))
		return false;
	if (a->limited && memcmp(a->line.sessions, b->line.sessions, sizeof(a->line.sessions)) != 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		__s32 ticks = (__s32)(word_seen(a->slot[i][1]) - word_seen(b->slot[i][1]));

		if (a->slot[i][0] != b->slot[i][0] || !word_same(a->slot[i][1], b->slot[i][1]) || ticks > 1 ||
		    ticks < -1)
			return false;
	}
	return true;
}

static bool same_outcome(const struct outcome *a, const struct outcome *b)
{
	return a->verdict == b->verdict && a->reason == b->reason && a->sent == b->sent && a->opened == b->opened &&
	       a->token == b->token && a->size == b->size &&
	       (a->verdict == DROP_XDP || !memcmp(a->octet, b->octet, a->size));
}

/*
 * The limits of refusals are due now, or from now not for the rest of a second, so that a packet's two runs find them
 * alike. due: a bit for each that is due, and for having tokens.
 */
static void settle_limits(struct property *t, uint32_t in_addr, unsigned due)
{
	struct property_tables of;
	uint32_t later = (datapath_ticks(&datapath) << TICK_SHIFT) + datapath.hz;

	t->no_token = false;
	if (!property_tables(in_addr, &of))
		return;
	property_settle_limits(t, &of, due & 8, due & 2);
	of.record->icmp_next = due & 1 ? 0 : later;
	of.record->quota_event_next = due & 2 ? 0 : later;
	of.record->ports_event_next = due & 4 ? 0 : later;
}

struct two_runs {
	struct snapshot before, slow_after, fast_after;
	struct outcome slow, fast;
};

/* Runs a packet by the slow path and, with all put back as it was, by the fast path. */
static void run_both(struct property *t, enum hook hook, const struct random_packet *p, unsigned due,
		     struct two_runs *ret)
{
	uint32_t in_addr = concerned(t, hook, p);

	settle_limits(t, in_addr, due);
	snapshot_take(&ret->before, in_addr);
	property_run_once(t, hook == XDP_INSIDE ? XDP_INSIDE_SLOW : XDP_OUTSIDE_SLOW, p, &ret->slow);
	snapshot_take(&ret->slow_after, in_addr);
	snapshot_restore(&ret->before, in_addr);
	property_events_collect();
	property_run_once(t, hook, p, &ret->fast);
	snapshot_take(&ret->fast_after, in_addr);
}

/* Whether a packet may change bindings of granted ports, which are not put back. */
static bool binds_granted(const struct property *t, uint32_t in_addr, uint8_t proto)
{
	return in_addr && model_has_one_port(&t->model, in_addr, proto) && model_grants_open(&t->model, in_addr);
}

void property_run(struct property *t, enum hook hook, const struct random_packet *p, struct outcome *ret)
{
	static struct two_runs runs;
	uint32_t in_addr = concerned(t, hook, p);
	unsigned due = random_below(&t->r, 8) | (property_scene->limited && random_once(&t->r, 12) ? 0 : 8);

	t->packets++;
	property_time_resume(t);
	snapshot_take(&runs.before, in_addr);
	if (hook == TC_OUTSIDE || (hook == XDP_INSIDE && property_is_pool(p->dst)) ||
	    (in_addr && has_former(t, in_addr)) || binds_granted(t, in_addr, p->proto)) {
		settle_limits(t, in_addr, due);
		property_run_once(t, hook, p, ret);
		property_time_stop(t);
		t->by_reason[ret->reason]++;
		return;
	}
	/* The machine may let the test wait for longer than two runs may be apart. */
	for (run_both(t, hook, p, due, &runs); property_time_is_late(t); run_both(t, hook, p, due, &runs)) {
		snapshot_restore(&runs.before, in_addr);
		property_events_collect();
		property_time_resume(t);
	}
	property_time_stop(t);
	t->by_reason[runs.slow.reason]++;
	*ret = runs.fast;
	if (!same_outcome(&runs.slow, ret)) {
		property_fail(t, hook, p, ret, "the fast path does otherwise than the slow path");
		return;
	}
	if (!same_sessions(&runs.slow_after, &runs.fast_after))
		property_fail(t, hook, p, ret, "the fast path leaves other sessions than the slow path");
}

uint32_t property_sessions_counted(uint32_t in_addr)
{
	struct property_tables of;

	return property_tables(in_addr, &of) ? of.record->sessions : 0;
}
