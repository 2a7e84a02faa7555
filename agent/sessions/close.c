/* SPDX-License-Identifier: BSD-2-Clause */
/* Closes sessions by their endpoints. */
#include <errno.h>

#include <detnat/extents.h>

#include "sessions/granted_ports.h"
#include "sessions/sessions_private.h"
#include "tables/mapping_drains.h"

/* The sessions of one subscriber to close. */
struct closing {
	bool outside; /* `endpoint` is the outside one */
	struct endpoint endpoint;
	struct endpoint ext;
	const struct address6 *host;	   /* of an IPv6 subscriber; NULL: any */
	uint8_t proto;			   /* 0: any */
	const struct granted_block *block; /* those on it, instead; NULL: none */
	int closed;
};

void sessions_on_close(struct mappings *m, session_visit closed, void *arg)
{
	m->ending = closed ? &sessions_ending : NULL;
	m->on_close = closed;
	m->on_close_arg = arg;
}

void sessions_on_act(struct mappings *m,
		     void (*closed)(void *arg, int number, uint32_t in_addr, uint64_t key, uint64_t word), void *arg)
{
	m->on_act = closed;
	m->on_act_arg = arg;
}

void sessions_ended(struct mappings *m, int number, uint32_t in_addr, uint64_t key, uint64_t word)
{
	const struct datapath *d = mappings_datapath(m);
	struct session s;

	if (!m->on_close)
		return;
	s = session_of(m, mappings_get(m, number), in_addr, key, word, datapath_ticks(d));
	m->on_close(&s, m->on_close_arg);
}

static bool is_on(const struct granted_block *b, uint64_t word)
{
	return (uint32_t)word_out_port(word) - b->port_lo < b->ports;
}

static bool matches(const struct closing *c, uint64_t key, uint64_t word)
{
	if (c->block)
		return is_on(c->block, word);

	uint16_t port = c->outside ? word_out_port(word) : key_in_port(key);

	return port == c->endpoint.port && key_ext_addr(key) == c->ext.addr && key_ext_port(key) == c->ext.port &&
	       (!c->proto || c->proto == word_proto(word));
}

/* Expired sessions and those in time-wait are closed but not counted. */
static void count_closed(struct closing *c, const struct subscriber_iterator *it, const struct session *s, uint64_t key,
			 uint64_t word)
{
	struct mappings *m = it->m;

	c->closed += s->counts;
	if (m->on_close)
		m->on_close(s, m->on_close_arg);
	if (m->on_act && s->counts)
		m->on_act(m->on_act_arg, it->number, it->in_addr, key, word);
}

static void close_slots(struct closing *c, struct subscriber_iterator *it)
{
	for (uint32_t i = 0; i < subscriber_slots(it); i++) {
		struct slot *slot = subscriber_slot(it, i);
		uint64_t key, word;

		/* Retry until it is freed, here or elsewhere: a packet may refresh it at any time. */
		while (slot_read(slot, &key, &word) && matches(c, key, word)) {
			struct session s = session_of(it->m, it->map, it->in_addr, key, word, it->now);

			if (c->host && !address6_equal(c->host, &s.host) && slot_has(it->map, slot, word))
				break;
			if ((!c->host || address6_equal(c->host, &s.host)) && slot_free(it, slot, word)) {
				count_closed(c, it, &s, key, word);
				break;
			}
		}
	}
}

static int close_of(struct mappings *m, int number, uint32_t in_addr, struct closing *c)
{
	struct subscriber_iterator it;

	if (number < 0 || !mapping_has_slots(mappings_get(m, number)))
		return -ENOENT;
	do {
		subscriber_find_of(&it, m, number, in_addr);
		close_slots(c, &it);
		/* The session may have moved to another extent meanwhile. */
	} while (subscriber_has_moved(&it));
	return c->closed;
}

/* Of an inside address's mapping, and of those that it drains from. */
static int close_inside(struct mappings *m, uint8_t tenant, uint32_t in_addr, struct closing *c)
{
	int r = close_of(m, mappings_find_inside(m, tenant, in_addr), in_addr, c);
	const struct mapping_drain *d;
	size_t n = mappings_drains(m, &d);

	for (size_t i = 0; i < n; i++)
		if (drain_holds(m, &d[i], inside_place(tenant, in_addr)))
			r = close_of(m, d[i].number, in_addr, c);
	return r;
}

int sessions_close_in(struct mappings *m, uint8_t tenant, struct endpoint in, struct endpoint ext, uint8_t proto)
{
	struct closing c = { .endpoint = in, .ext = ext, .proto = proto };

	return close_inside(m, tenant, in.addr, &c);
}

int sessions_close_host(struct mappings *m, const struct address6 *host, struct endpoint in, struct endpoint ext,
			uint8_t proto)
{
	struct closing c = { .endpoint = in, .ext = ext, .host = host, .proto = proto };

	return close_inside(m, 0, in.addr, &c);
}

int sessions_close_out(struct mappings *m, struct endpoint out, struct endpoint ext, uint8_t proto)
{
	struct closing c = { .outside = true, .endpoint = out, .ext = ext, .proto = proto };
	int number = mappings_find_outside(m, out.addr);

	if (number < 0)
		return -ENOENT;

	const struct geometry *g = &mappings_get(m, number)->geo;
	int64_t subscriber = mapping_reverse(g, out.addr, out.port);

	return subscriber < 0 ? -ENOENT : close_of(m, number, g->in_base + (uint32_t)subscriber, &c);
}

int sessions_close_granted(struct mappings *m, uint32_t in_addr, struct endpoint out, struct endpoint ext,
			   uint8_t proto)
{
	struct closing c = { .outside = true, .endpoint = out, .ext = ext, .proto = proto };

	return close_of(m, mappings_find_outside(m, out.addr), in_addr, &c);
}

uint32_t granted_sessions(struct mappings *m, const struct granted_block *b)
{
	const struct datapath *d = mappings_datapath(m);
	int number = d->pool && d->pool->used ? mappings_find_outside(m, b->out_addr) : -1;
	struct closing c = { .block = b };
	struct subscriber_iterator it;
	uint64_t key, word;
	uint32_t count;

	if (number < 0 || !mapping_has_inside(&mappings_get(m, number)->geo, b->in_addr))
		return 0;
	if (b->ends) {
		close_of(m, number, b->in_addr, &c);
		return 0;
	}
	if (!mapping_has_slots(mappings_get(m, number)))
		return 0;
	do {
		subscriber_find_of(&it, m, number, b->in_addr);
		count = 0;
		for (uint32_t i = 0; i < it.n_beyond; i++)
			count += slot_read(&it.beyond[i], &key, &word) && is_on(b, word) &&
				 !too_old(&it.limits, word, it.now);
	} while (subscriber_has_moved(&it));
	return count;
}

/* Reports sessions that end with their mapping, as sessions_on_close() does for closed ones. */

/* Time spent on reporting in one step. */
#define TELL_BUDGET_US 2000U

static void tell(struct mapping_job *t, uint32_t in_addr, uint64_t key, uint64_t word, uint32_t now)
{
	struct mappings *m = t->m;
	struct session s = session_of(m, &t->record, in_addr, key, word, now);

	/* Its record may be another mapping's by now. */
	if (mapping_is_ipv6(&t->record))
		s.host = mapping_host(m, &t->record, &t->six, in_addr, word_host(word));
	s.ended_ns = t->left_ns;
	m->on_close(&s, m->on_close_arg);
}

static void report_slot(struct mapping_job *t, uint32_t in_addr, uint64_t key, uint64_t word)
{
	tell(t, in_addr, key, word, datapath_ticks(t->m->d));
}

/* No count includes those in time-wait. */
static void report_run(struct mapping_job *t, uint32_t in_addr, const struct slot *slots, uint32_t n, uint32_t now)
{
	uint64_t key, word;

	for (uint32_t i = 0; i < n; i++)
		if (slot_read(&slots[i], &key, &word))
			tell(t, in_addr, key, word, now);
}

static bool report_slots(struct mapping_job *t)
{
	struct mappings *m = t->m;
	uint64_t deadline_us = monotonic_us() + TELL_BUDGET_US;
	uint32_t n_slots = BUCKET_SLOTS << t->record.bucket_shift, now = datapath_ticks(m->d), passed = 0;

	while (t->told < t->n_subscribers) {
		uint32_t n = (uint32_t)t->told++;
		const struct subscriber *s = chunks_at(&m->subscribers, t->record.first_subscriber + n);
		const struct slot *slots =
			chunks_at(&m->buckets, t->record.first_bucket + (n << t->record.bucket_shift));
		uint32_t n_beyond;
		const struct slot *beyond = datapath_extent(m->d, subscriber_extent(s), &n_beyond);

		report_run(t, t->record.geo.in_base + n, slots, n_slots, now);
		report_run(t, t->record.geo.in_base + n, beyond, n_beyond, now);
		if ((s->sessions || !(++passed % 16)) && monotonic_us() >= deadline_us)
			return false;
	}
	return true;
}

const struct mappings_ending sessions_ending = {
	.report_slots = report_slots,
	.report_slot = report_slot,
};

/* Finds a session by its endpoints and refreshes it, as a packet of the subscriber's would. */

/* Closing sessions are not refreshed. */
static bool may_refresh(uint64_t word)
{
	return !(word_state(word) & SESSION_RESET) && word_state(word) != SESSION_TIME_WAIT;
}

static int refresh_slots(struct subscriber_iterator *it, uint64_t wanted, uint8_t proto, struct session *ret)
{
	for (uint32_t i = 0; i < subscriber_slots(it); i++) {
		struct slot *slot = subscriber_slot(it, i);
		uint64_t key, word;

		if (!slot_read(slot, &key, &word) || key != wanted || word_proto(word) != proto ||
		    !counts_now(&it->limits, word, it->now))
			continue;
		if (may_refresh(word) && word_owner(word)) {
			uint64_t taken = word_refreshed_of(word_taken(word), it->now, it->limits.host_bits);

			word = __sync_bool_compare_and_swap(&slot->truth, word, taken) ? taken : word;
		} else if (may_refresh(word) && it->limits.host_bits) {
			uint64_t fresh = word_refreshed_of(word, it->now, it->limits.host_bits);

			word = __sync_bool_compare_and_swap(&slot->truth, word, fresh) ? fresh : word;
		} else if (may_refresh(word)) {
			word_refresh((__u64 *)&slot->truth, it->now);
			word = word_with(word, word_state(word), it->now);
		}
		*ret = session_of(it->m, it->map, it->in_addr, key, word, it->now);
		return 0;
	}
	return -ENOENT;
}

static int refresh_of(struct mappings *m, int number, struct endpoint in, struct endpoint ext, uint8_t proto,
		      struct session *ret)
{
	struct subscriber_iterator it;

	if (number < 0 || !mapping_has_slots(mappings_get(m, number)))
		return -ENOENT;
	subscriber_find_of(&it, m, number, in.addr);
	return refresh_slots(&it, slot_key(ext.addr, ext.port, in.port), proto, ret);
}

int sessions_refresh(struct mappings *m, uint8_t tenant, struct endpoint in, struct endpoint ext, uint8_t proto,
		     struct session *ret)
{
	int r = refresh_of(m, mappings_find_inside(m, tenant, in.addr), in, ext, proto, ret);
	const struct mapping_drain *d;
	size_t n = mappings_drains(m, &d);

	for (size_t i = 0; r && i < n; i++)
		if (drain_holds(m, &d[i], inside_place(tenant, in.addr)))
			r = refresh_of(m, d[i].number, in, ext, proto, ret);
	return r;
}
