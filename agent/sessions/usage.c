/* SPDX-License-Identifier: BSD-2-Clause */
#include "sessions/usage.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/hash.h"
#include "proto/words.h"
#include "sessions/bound_ports.h"
#include "sessions/sessions_private.h"
#include "tables/mapping_drains.h"

#define WORD_BITS 64U
#define WORDS	  (65536U / WORD_BITS)

const uint8_t usage_bounds[N_USAGE_BOUNDS] = { 10, 25, 50, 75, 90, 95, 100 };

/* Entries at which the destinations of earlier subscribers are forgotten: seldom, as that writes the whole table. */
#define DESTINATIONS 4096U

struct destination {
	struct hash_entry entry;
	uint32_t round; /* the subscriber */
	uint64_t endpoint;
	uint32_t sessions;
};

struct session_usage {
	struct subscriber_iterator it;
	struct survey *survey; /* or NULL */
	struct mapping_usage mapping[MAX_MAPPINGS];
	uint64_t used[N_USAGE_PROTOCOLS][WORDS]; /* ports of the current subscriber */
	struct hash_table destinations;		 /* of its sessions, and of earlier subscribers */
	uint32_t round;
};

static uint64_t hash(const void *entry)
{
	const struct destination *d = entry;

	return HASH_OF(d->round, d->endpoint);
}

static bool same(const void *a, const void *b)
{
	const struct destination *x = a, *y = b;

	return x->endpoint == y->endpoint && x->round == y->round;
}

static const struct hash_type destinations = { .size = sizeof(struct destination), .hash = hash, .same = same };

const char *usage_protocol_text(enum usage_protocol p)
{
	static const uint8_t protocols[] = {
		[USAGE_TCP] = IPPROTO_TCP, [USAGE_UDP] = IPPROTO_UDP, [USAGE_ICMP] = IPPROTO_ICMP
	};

	return word_text(proto_words, protocols[p]);
}

void usage_observe(struct usage_histogram *h, uint32_t n, uint32_t limit)
{
	unsigned i = 0;

	while (i < N_USAGE_BOUNDS && (uint64_t)n * 100 > (uint64_t)limit * usage_bounds[i])
		i++;
	h->bucket[i]++;
	h->sum += limit ? (double)n / limit : 0;
}

uint64_t usage_above(const struct usage_histogram *h, unsigned bound)
{
	uint64_t n = 0;

	for (unsigned i = bound + 1; i <= N_USAGE_BOUNDS; i++)
		n += h->bucket[i];
	return n;
}

static enum usage_protocol protocol_of_state(uint8_t state)
{
	return state == SESSION_UDP ? USAGE_UDP : state == SESSION_ICMP ? USAGE_ICMP : USAGE_TCP;
}

static bool same_mapping(const struct geometry *a, const struct geometry *b)
{
	return prefix_equal(geometry_in(a), geometry_in(b)) && prefix_equal(geometry_out(a), geometry_out(b));
}

/* The entry of a mapping, zeroed if its number belonged to another one. */
static struct mapping_usage *entry(struct session_usage *u, int number, const struct geometry *geo)
{
	struct mapping_usage *m = &u->mapping[number];

	if (!same_mapping(&m->geo, geo))
		*m = (struct mapping_usage){ .geo = *geo };
	return m;
}

int session_usage_new(struct mappings *m, struct survey *survey, struct session_usage **ret)
{
	struct session_usage *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->survey = survey;
	subscriber_iterator_init(&u->it, m);
	u->it.idle_turn = 1;   /* under a mask of 0: skips those without sessions */
	u->it.one_kind = true; /* drains have their own figures */
	*ret = u;
	return 0;
}

void session_usage_free(struct session_usage *u)
{
	if (!u)
		return;
	hash_free(&u->destinations);
	free(u);
}

/* Marks a port; true if it was not marked before. Ports outside the block do not count. */
static bool mark(uint64_t *used, uint32_t offset, uint32_t ports)
{
	uint64_t bit = 1ULL << offset % WORD_BITS;

	if (offset >= ports || used[offset / WORD_BITS] & bit)
		return false;
	used[offset / WORD_BITS] |= bit;
	return true;
}

/* Counts a session to an external endpoint; returns how many there are now, or 0 without memory. */
static uint32_t count_destination(struct session_usage *u, uint64_t key, enum usage_protocol p)
{
	const struct destination like = { .round = u->round, .endpoint = key >> 16 | (uint64_t)p << 48 };
	struct destination *d = hash_find(&destinations, &u->destinations, &like);

	if (!d)
		d = hash_add(&destinations, &u->destinations, &like);
	return d ? ++d->sessions : 0;
}

static uint32_t capped(uint32_t n, uint32_t limit)
{
	return n < limit ? n : limit;
}

static bool is_unanswered(const struct session_usage *u, uint64_t word, uint32_t now)
{
	return word_state(word) == SESSION_SYN_SENT &&
	       word_age_of(word, now, u->it.limits.host_bits) >= (int32_t)mappings_datapath(u->it.m)->hz;
}

static int count_binding(const struct binding *b, void *arg)
{
	uint32_t *n = arg;

	n[b->proto == IPPROTO_UDP ? USAGE_UDP : b->proto == IPPROTO_ICMP ? USAGE_ICMP : USAGE_TCP]++;
	return 0;
}

/* Returns the number of bound ports in the protocol that has most. */
static uint32_t count_bindings(struct subscriber_iterator *it, struct mapping_usage *m)
{
	uint32_t cost = it->cost, n[N_USAGE_PROTOCOLS] = { 0 }, most = 0;

	if (!it->map->bindings.mapping)
		return 0;
	bindings_visit(it, count_binding, n);
	it->cost += cost;
	for (unsigned p = 0; p < N_USAGE_PROTOCOLS; p++) {
		m->bindings[p] += n[p];
		most = n[p] > most ? n[p] : most;
	}
	return most;
}

static int look_at(struct subscriber_iterator *it, void *arg)
{
	struct session_usage *u = arg;
	const struct geometry *geo = &it->map->geo;
	struct mapping_usage *m = entry(u, it->number, geo);
	uint32_t port_lo = mapping_port_lo(geo, mapping_subscriber(geo, it->in_addr));
	uint32_t sessions = 0, most = 0, busiest = 0, bound;
	uint32_t ports[N_USAGE_PROTOCOLS] = { 0 };

	u->round++;
	if (u->destinations.n >= DESTINATIONS)
		hash_clear(&u->destinations);
	for (unsigned p = 0; p < N_USAGE_PROTOCOLS; p++)
		memset(u->used[p], 0, (geo->ports_per_host + WORD_BITS - 1) / WORD_BITS * sizeof(u->used[p][0]));
	for (uint32_t i = 0; i < subscriber_slots(it); i++) {
		const struct slot *slot = subscriber_slot(it, i);
		uint64_t word = load_truth(slot);

		if (!counts_now(&it->limits, word, it->now))
			continue;

		enum usage_protocol p = protocol_of_state(word_state(word));
		uint32_t with = count_destination(u, __atomic_load_n(&slot->key, __ATOMIC_RELAXED), p);

		busiest = with > busiest ? with : busiest;
		m->sessions[p]++;
		m->unanswered += is_unanswered(u, word, it->now);
		m->beyond += i >= it->n_slots;
		sessions++;
		ports[p] += mark(u->used[p], word_out_port(word) - port_lo, geo->ports_per_host);
	}
	if (u->survey)
		survey_subscriber(u->survey, it);
	bound = count_bindings(it, m);
	if (!sessions)
		return 0;
	for (unsigned p = 0; p < N_USAGE_PROTOCOLS; p++)
		most = ports[p] > most ? ports[p] : most;
	busiest = capped(busiest, geo->ports_per_host);
	m->subscribers++;
	m->at_quota += sessions >= it->map->sessions_per_user;
	m->exhausted += busiest == geo->ports_per_host || bound == geo->ports_per_host;
	usage_observe(&m->quota, sessions, it->map->sessions_per_user);
	usage_observe(&m->block, most, geo->ports_per_host);
	usage_observe(&m->destination, busiest, geo->ports_per_host);
	return 0;
}

int session_usage_step(struct session_usage *u, unsigned budget_us)
{
	return subscriber_iterate(&u->it, monotonic_us() + budget_us, look_at, u);
}

struct mapping_usage session_usage_of(const struct session_usage *u, int number)
{
	const struct geometry *geo = &mappings_get(u->it.m, number)->geo;
	const struct mapping_usage *m = &u->mapping[number];

	return same_mapping(&m->geo, geo) ? *m : (struct mapping_usage){ .geo = *geo };
}
