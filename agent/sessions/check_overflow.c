/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks the overflow: the pairs of entries, the counts of subscribers, and the total. */
#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>

#include "base/hash.h"
#include "sessions/check_private.h"

/* Passes through all entries before the counts are abandoned. */
#define PASSES_MAX 4U

static bool lookup(const struct datapath *d, const struct overflow_key *key, struct overflow_session *ret)
{
	return !bpf_map_lookup_elem(d->overflow, key, ret);
}

/* The key of a session's other entry; false if it belongs to no mapping. */
static bool partner_of(const struct mappings *m, const struct overflow_key *key, const struct overflow_session *s,
		       struct overflow_key *ret)
{
	*ret = overflow_key_reverse(key, key->direction == OVERFLOW_IN2OUT ? word_out_port(s->truth) : s->in_port);
	return mappings_of_overflow(m, key) >= 0;
}

static bool has_port_zero(const struct overflow_key *key, const struct overflow_session *s)
{
	return key->direction == OVERFLOW_IN2OUT && !word_out_port(s->truth);
}

/* Whether the other entry exists and refers back to this one, with a port that a session can have. */
static bool paired(const struct table_check *c, const struct overflow_key *key, const struct overflow_session *s)
{
	struct overflow_session other;
	struct overflow_key partner;

	/* Entries without a mapping are deleted with the mapping's memory. */
	if (!partner_of(c->m, key, s, &partner))
		return true;
	if (has_port_zero(key, s))
		return false;
	if (!lookup(mappings_datapath(c->m), &partner, &other))
		return false;
	return key->port == (key->direction == OVERFLOW_IN2OUT ? other.in_port : word_out_port(other.truth));
}

/* The counter of a subscriber's overflow sessions in a mapping, or NULL. */
static uint32_t *tally(struct table_check *c, int number, uint32_t in_addr, bool make)
{
	struct mapping_job *of = number < 0 ? NULL : c->m->table[number];
	struct overflow_tally *t = number < 0 ? NULL : &c->tally[number];

	if (!of)
		return NULL;
	if (!t->of)
		t->of = of;
	if (t->of != of)
		return NULL;
	if (!t->count && make)
		t->count = calloc(of->n_subscribers, sizeof(*t->count));
	return t->count ? &t->count[mapping_subscriber(&of->record.geo, in_addr)] : NULL;
}

/* A number for a session, so that the sum of all shows whether they are the same as before. */
static uint64_t digest_of(const struct overflow_key *key)
{
	return HASH_OF((uint64_t)key->in_addr << 32 | key->ext_addr,
		       (uint64_t)key->out_addr << 32 | (uint32_t)key->port << 16 | key->ext_port,
		       (uint64_t)key->block_lo << 32 | (uint32_t)key->block_hi << 16 | key->proto);
}

static void count_session(struct table_check *c, const struct overflow_key *in2out)
{
	c->total_counted++;
	c->digest += digest_of(in2out);
}

static void look_at(struct table_check *c, const struct overflow_key *key, const struct overflow_session *s)
{
	if (key->direction == OVERFLOW_IN2OUT) {
		uint32_t *n = tally(c, mappings_of_overflow(c->m, key), key->in_addr, true);

		count_session(c, key);
		c->figures.overflow_sessions++;
		if (n)
			++*n;
	}
	if (c->n_pairs < SUSPECTS_MAX && !paired(c, key, s))
		c->pair[c->n_pairs++] = (struct overflow_suspect){ *key, *s };
}

void check_total_observe(struct table_check *c)
{
	int64_t now = __atomic_load_n(&mappings_datapath(c->m)->global->overflow, __ATOMIC_ACQUIRE);

	if (c->total_least > now)
		c->total_least = now;
	if (c->total_most < now)
		c->total_most = now;
}

static void forget_total(struct table_check *c)
{
	c->total_least = INT64_MAX;
	c->total_most = INT64_MIN;
	c->total_observed = false;
}

static void begin_pass(struct table_check *c)
{
	if (c->scan.started)
		return;
	c->total_counted = 0;
	c->digest = 0;
}

/* The map has been replaced: starts the pass again. */
static int begin_again(struct table_check *c)
{
	overflow_scan_end(&c->scan);
	for (unsigned i = 0; i < MAX_MAPPINGS; i++) {
		free(c->tally[i].count);
		c->tally[i] = (struct overflow_tally){ 0 };
	}
	c->figures.overflow_sessions = 0;
	c->n_pairs = 0;
	return -EAGAIN;
}

/*
 * At the end of the pass, notes whether the total differs from the number of entries. Sessions come and go meanwhile,
 * and one that is being admitted is counted before it has room, which may fail. So the difference counts only if a
 * second pass, after a grace period, finds exactly the same sessions, and the total was too high, or too low, all the
 * time.
 */
static void compare_total(struct table_check *c)
{
	int64_t least;
	bool again;

	check_total_observe(c);
	least = c->total_least;
	again = c->total_wrong && c->total_observed && c->wrong_digest == c->digest;
	c->total_wrong = least > c->total_counted || c->total_most < c->total_counted;
	c->wrong_digest = c->digest;
	forget_total(c);
	if (!c->total_wrong || !again)
		return;
	c->total_wrong = false;
	if (c->repair)
		__atomic_fetch_add(&mappings_datapath(c->m)->global->overflow, c->total_counted - least,
				   __ATOMIC_ACQ_REL);
	findings_add(c->findings, FINDING_OVERFLOW_TOTAL, c->repair, "overflow",
		     "%" PRId64 " sessions are counted in the overflow, but %" PRId64 " exist", least,
		     c->total_counted);
}

int check_overflow_step(struct table_check *c)
{
	int r;

	/* A count of 0 is not trusted here. */
	if (!c->scan.started)
		forget_total(c);
	begin_pass(c);
	check_total_observe(c);
	r = overflow_scan_any(&c->scan, mappings_datapath(c->m));
	if (r == -EAGAIN)
		return begin_again(c);
	for (uint32_t i = 0; r >= 0 && i < c->scan.n; i++)
		look_at(c, &c->scan.keys[i], &c->scan.sessions[i]);
	if (!r) {
		c->passes = 0;
		compare_total(c);
	}
	if (r <= 0)
		overflow_scan_end(&c->scan);
	return r;
}

static bool remove_unpaired(struct table_check *c, const struct overflow_suspect *s)
{
	struct datapath *d = mappings_datapath(c->m);
	struct subscriber_iterator it;
	struct overflow_key partner;

	if (!partner_of(c->m, &s->key, &s->session, &partner))
		return false;
	if (s->key.direction == OVERFLOW_OUT2IN)
		return overflow_delete_orphan(d, &s->key, &partner);
	if (check_find(c, &it, mappings_of_overflow(c->m, &s->key), s->key.in_addr))
		return false;
	return overflow_delete(d, &s->key, s->session.truth, it.subscriber, subscriber_line(&it));
}

void check_overflow_pairs(struct table_check *c)
{
	struct datapath *d = mappings_datapath(c->m);

	for (unsigned i = 0; i < c->n_pairs; i++) {
		struct overflow_suspect s = c->pair[i];
		struct overflow_session now;
		char addr[ADDR_TEXT], ext[ADDR_TEXT];
		bool repaired;

		c->figures.looked_again++;
		if (!lookup(d, &s.key, &now) || !word_same(now.truth, s.session.truth) ||
		    now.in_port != s.session.in_port || paired(c, &s.key, &now))
			continue;
		s.session = now;
		repaired = c->repair && remove_unpaired(c, &s);
		findings_add(c->findings, FINDING_OVERFLOW_PAIR, repaired,
			     addr_format(s.key.direction == OVERFLOW_IN2OUT ? s.key.in_addr : s.key.out_addr, addr),
			     "the %s entry of an overflow session has %s: protocol %u, port %u, to %s:%u%s",
			     s.key.direction == OVERFLOW_IN2OUT ? "outbound" : "inbound",
			     has_port_zero(&s.key, &s.session) ? "outside port 0" : "no partner", s.key.proto,
			     s.key.port, addr_format(s.key.ext_addr, ext), s.key.ext_port, repaired ? "; removed" : "");
	}
	c->n_pairs = 0;
}

bool check_overflow_count(struct table_check *c, const struct subscriber_iterator *it)
{
	uint32_t lock = __atomic_load_n(&it->subscriber->lock, __ATOMIC_ACQUIRE);
	uint32_t overflow = overflow_count(it->subscriber);
	const uint32_t *n = tally(c, it->number, it->in_addr, false);

	if (overflow == (n ? *n : 0))
		return false;
	c->count[c->n_counts++] = (struct count_suspect){
		.in_addr = it->in_addr, .number = it->number, .lock = lock, .overflow = overflow
	};
	return true;
}

/* A linear search: there are few suspects, and most entries belong to other subscribers. */
static struct count_suspect *find_count(struct table_check *c, const struct overflow_key *in2out, uint64_t word)
{
	for (unsigned i = 0; i < c->n_counts; i++)
		if (c->count[i].in_addr == in2out->in_addr && c->count[i].number == mappings_of_overflow(c->m, in2out))
			return &c->count[i];
	return NULL;
}

static void begin_counts(struct table_check *c)
{
	begin_pass(c);
	for (unsigned i = 0; i < c->n_counts; i++) {
		struct subscriber_iterator it;

		if (check_find(c, &it, c->count[i].number, c->count[i].in_addr))
			continue;
		c->count[i].counted = 0;
		c->count[i].lock = __atomic_load_n(&it.subscriber->lock, __ATOMIC_ACQUIRE);
		c->count[i].overflow = overflow_count(it.subscriber);
	}
}

/*
 * Overflow sessions are opened and closed only under the lock: if it was not taken during the pass, the count is final.
 */
static bool settle_one(struct table_check *c, struct count_suspect *s)
{
	struct subscriber_iterator it;
	char addr[ADDR_TEXT];
	uint32_t now;
	bool repaired = false;

	if (check_find(c, &it, s->number, s->in_addr))
		return true;
	if (s->lock & 1 || __atomic_load_n(&it.subscriber->lock, __ATOMIC_ACQUIRE) != s->lock)
		return false;
	now = __atomic_load_n(&it.subscriber->overflow, __ATOMIC_ACQUIRE);
	if (c->repair && s->counted != s->overflow && subscriber_overflow(now) == s->overflow)
		repaired = __atomic_compare_exchange_n(&it.subscriber->overflow, &now,
						       (now & SUBSCRIBER_FLAGS) | s->counted, false, __ATOMIC_ACQ_REL,
						       __ATOMIC_RELAXED);
	if (repaired || s->counted == s->overflow) {
		c->suspect[c->n_suspects] = (struct suspect){ .in_addr = s->in_addr, .number = s->number };
		examine(&it, &c->suspect[c->n_suspects++].first);
	}
	if (s->counted == s->overflow)
		return true;
	findings_add(c->findings, FINDING_OVERFLOW_COUNT, repaired, addr_format(s->in_addr, addr),
		     "its record counts %u sessions in the overflow, but there are %u", s->overflow, s->counted);
	return true;
}

static int end_counts(struct table_check *c)
{
	compare_total(c);
	c->passes++;
	for (unsigned i = 0; i < c->n_counts;)
		if (settle_one(c, &c->count[i]))
			c->count[i] = c->count[--c->n_counts];
		else
			i++;
	if ((!c->n_counts && !c->total_wrong) || c->passes >= PASSES_MAX) {
		c->figures.unsettled += c->n_counts + c->total_wrong;
		c->n_counts = 0;
		c->total_wrong = false;
		return 0;
	}
	return 1;
}

int check_counts_step(struct table_check *c)
{
	int r;

	if (!c->n_counts && !c->total_wrong)
		return 0;
	if (!c->scan.started)
		begin_counts(c);
	check_total_observe(c);
	r = overflow_scan_any(&c->scan, mappings_datapath(c->m));
	for (uint32_t i = 0; r >= 0 && i < c->scan.n; i++) {
		struct count_suspect *s = c->scan.keys[i].direction == OVERFLOW_IN2OUT
						  ? find_count(c, &c->scan.keys[i], c->scan.sessions[i].truth)
						  : NULL;

		if (c->scan.keys[i].direction == OVERFLOW_IN2OUT)
			count_session(c, &c->scan.keys[i]);
		if (s)
			s->counted++;
	}
	if (r > 0)
		return 1;
	overflow_scan_end(&c->scan);
	return r ? r : end_counts(c);
}
