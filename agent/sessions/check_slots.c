/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks a subscriber's record against its slots, by the rules of <detnat/session.h> and <detnat/slots.h>. */
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>

#include <detnat/slots.h>

#include "sessions/check_private.h"
#include "base/virtual6.h"
#include "sessions/granted_ports.h"

static bool state_fits(uint64_t key, uint64_t word)
{
	uint8_t state = word_state(word), proto = word_proto(word);

	if (state == SESSION_UDP)
		return proto == IPPROTO_UDP;
	if (state == SESSION_ICMP)
		return proto == IPPROTO_ICMP && !key_ext_port(key);
	state &= (uint8_t)~SESSION_RESET;
	return proto == IPPROTO_TCP && state >= SESSION_SYN_SENT && state < N_SESSION_STATES;
}

/* Of two sessions that exclude each other, the one that was idle longer is wrong. */
static bool is_worse(const struct mapping *map, uint64_t word, uint64_t other, bool behind)
{
	int32_t age = word_age_of(word, (uint32_t)other, mapping_host_bits(map));

	return age > 0 || (!age && behind);
}

/* The slots among which a session may stand: the subscriber's own, or those of its extent. */
struct place {
	const struct mapping *map;
	const struct slot *slots;
	uint32_t base; /* number of the first among all */
	uint32_t n;
	struct bucket_pair pair;
	uint32_t at; /* number of the session's slot among all */
	uint64_t key;
	uint64_t word;
};

/*
 * Whether another session in the two buckets has the same outside endpoint towards the same peer, or is of the same
 * flow.
 */
static bool clashes(const struct place *p, enum finding_kind *ret_kind)
{
	const uint32_t buckets[] = { p->pair.first, p->pair.second };
	bool same_flow;

	for (unsigned b = 0; p->n && b < (p->pair.first == p->pair.second ? 1 : ARRAY_SIZE(buckets)); b++) {
		for (uint32_t i = 0; i < BUCKET_SLOTS; i++) {
			uint32_t at = buckets[b] * BUCKET_SLOTS + i;
			uint64_t word = load_truth(&p->slots[at]), key;

			if (p->base + at == p->at || !word_is_live(word) || word_proto(word) != word_proto(p->word))
				continue;
			key = __atomic_load_n(&p->slots[at].key, __ATOMIC_ACQUIRE);
			if ((key ^ p->key) >> 16 || !is_worse(p->map, p->word, word, p->at > p->base + at))
				continue;
			same_flow = key == p->key && mapping_same_host(p->map, word, p->word);
			if (word_out_port(word) == word_out_port(p->word) || same_flow) {
				*ret_kind = same_flow ? FINDING_FLOW : FINDING_PORT;
				return true;
			}
		}
	}
	return false;
}

/* base: 0, the subscriber's own slots; else those of its extent. */
static struct place place_of(const struct mapping *map, const struct slot *slots, uint32_t base, uint32_t n,
			     uint32_t offset, uint64_t key, uint64_t word)
{
	struct place p = { .map = map, .slots = slots, .base = base, .n = n, .key = key, .word = word };
	uint32_t shift = n ? (uint32_t)__builtin_ctz(n / BUCKET_SLOTS) : 0;

	if (n)
		p.pair = base ? extent_buckets_at(key, word_proto(word), offset, shift)
			      : session_buckets(key_ext_addr(key), key_ext_port(key), word_proto(word), offset, shift);
	return p;
}

/*
 * Whether a session stands at its outside port's place in the extent, which is not that of its first choice, with a
 * signpost to it.
 */
static bool has_strayed(const struct subscriber_iterator *it, uint64_t key, uint64_t word)
{
	const struct extent_slots slots = extent_slots_of(it);

	return signpost_port(&slots, key, word) == word_out_port(word);
}

/* Examines one session, given its number among all slots; *ret_needed are the `displaced` bits that it requires. */
static bool is_faulty(const struct subscriber_iterator *it, uint32_t at, uint64_t key, uint64_t word,
		      enum finding_kind *ret_kind, uint32_t *ret_needed)
{
	const struct geometry *g = &it->map->geo;
	uint32_t port_lo = mapping_port_lo(g, mapping_subscriber(g, it->in_addr));
	uint32_t offset = (uint32_t)word_out_port(word) - port_lo;
	uint32_t choice = mapping_first_choice(g, key_in_port(key)), first = choice, home, bucket;
	struct place own, extent, far, *p = at >= it->n_slots ? &extent : &own;
	uint32_t far_offset = offset;
	bool beyond = at >= it->n_slots, strays, posted;

	*ret_kind = FINDING_STATE;
	if (!state_fits(key, word))
		return true;
	*ret_kind = FINDING_PORT;
	if (beyond && offset >= g->ports_per_host &&
	    granted_port_is_of(it->m, it->map, it->in_addr, word_out_port(word))) {
		offset = growth_offset(g, it->map->growth.block, port_lo, word_out_port(word));
		far_offset = growth_far_offset(g, it->map->growth.block, port_lo, word_out_port(word));
		first = growth_first_choice(it->map->growth.block, key_in_port(key));
	} else if (offset >= g->ports_per_host) {
		return true;
	}
	strays = offset >> PORT_GROUP_SHIFT != first >> PORT_GROUP_SHIFT;
	posted = beyond && (strays || far_offset != offset) && has_strayed(it, key, word);
	if (!word_out_port(word) || (strays && !posted))
		return true;
	own = place_of(it->map, it->slots, 0, it->n_slots, offset, key, word);
	extent = place_of(it->map, it->beyond, it->n_slots, it->n_beyond, offset, key, word);
	far = place_of(it->map, it->beyond, it->n_slots, it->n_beyond, far_offset, key, word);
	own.at = extent.at = far.at = at;
	p = posted ? &far : p;
	bucket = (at - p->base) / BUCKET_SLOTS;
	*ret_kind = FINDING_PLACE;
	if (bucket != p->pair.first && bucket != p->pair.second)
		return true;
	home = place_of(it->map, it->slots, 0, it->n_slots, choice, key, word).pair.first;
	if (beyond || bucket != own.pair.first || at % BUCKET_SLOTS != (first & (BUCKET_SLOTS - 1)) || offset != first)
		*ret_needed |= home_bit(home);
	if (strays && offset < g->ports_per_host)
		*ret_needed |= home_bit(own.pair.first);
	return clashes(&own, ret_kind) || clashes(&extent, ret_kind) ||
	       (far_offset != offset && clashes(&far, ret_kind));
}

void examine(const struct subscriber_iterator *it, struct examination *ret)
{
	const struct subscriber *s = it->subscriber;
	const struct limit_line *line = subscriber_line(it);

	memset(ret, 0, sizeof(*ret));
	ret->word.word = __atomic_load_n(&s->opener.word, __ATOMIC_ACQUIRE);
	ret->limited = line && !__atomic_load_n(&line->uncounted, __ATOMIC_ACQUIRE);
	for (unsigned i = 0; ret->limited && i < N_LIMITS; i++)
		ret->line[i] = __atomic_load_n(&line->sessions[i], __ATOMIC_ACQUIRE);
	for (uint32_t i = 0; i < subscriber_slots(it); i++) {
		enum finding_kind kind;
		uint64_t key, word;

		if (!slot_read(subscriber_slot(it, i), &key, &word))
			continue;
		ret->live += word_state(word) != SESSION_TIME_WAIT;
		ret->of_protocol[limit_protocol_of(word_proto(word))] += word_state(word) != SESSION_TIME_WAIT;
		ret->n_sessions++;
		ret->beyond += i >= it->n_slots;
		if (is_faulty(it, i, key, word, &kind, &ret->needed) && ret->n_faults < FAULTS_MAX)
			ret->fault[ret->n_faults++] = (struct slot_fault){ kind, i, key, word };
	}
	ret->n_bindings = examine_bindings(it, ret);
	/* Read last: a bit is set before its session appears. */
	ret->displaced = __atomic_load_n(&s->displaced, __ATOMIC_ACQUIRE);
	ret->steady = !(ret->word.lock & 1) && __atomic_load_n(&s->opener.word, __ATOMIC_ACQUIRE) == ret->word.word;
}

static bool count_wrong(const struct examination *e)
{
	return e->word.sessions != e->live;
}

static bool limits_wrong(const struct examination *e)
{
	return e->limited && memcmp(e->line, e->of_protocol, sizeof(e->line)) != 0;
}

bool examination_suspicious(const struct examination *e)
{
	return !e->steady || limits_wrong(e) || e->n_faults || e->n_binding_faults || count_wrong(e) ||
	       e->needed & ~e->displaced;
}

static const char *where(const struct subscriber_iterator *it, char text[static INSIDE_TEXT])
{
	return inside_text(it->in_addr, text);
}

/*
 * A program that changes a slot and then the count either began after the first look or has ended. No session was
 * opened or closed between the looks, so no program that changed a slot has yet to change the count.
 */
static bool settle_count(struct table_check *c, const struct suspect *s, const struct subscriber_iterator *it,
			 const struct examination *now)
{
	union opener right = now->word, found = now->word;
	char text[INSIDE_TEXT];
	bool repaired = false;

	if (!count_wrong(now))
		return true;
	if (!now->steady || !s->first.steady || now->word.word != s->first.word.word || now->live != s->first.live)
		return false;
	right.sessions = now->live;
	if (c->repair)
		repaired = __atomic_compare_exchange_n(&it->subscriber->opener.word, &found.word, right.word, false,
						       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	if (c->repair && !repaired)
		return false;
	findings_add(c->findings, FINDING_COUNT, repaired, where(it, text),
		     "its record counts %u sessions; %u are in its slots", now->word.sessions, now->live);
	return true;
}

/* As settle_count(). The sessions are counted again, by limit_count.h. */
static bool settle_limits(struct table_check *c, const struct suspect *s, const struct subscriber_iterator *it,
			  const struct examination *now)
{
	struct limit_line *line = subscriber_line(it);
	char text[INSIDE_TEXT];

	if (!limits_wrong(now) || !line)
		return true;
	if (!now->steady || !s->first.steady || now->word.word != s->first.word.word ||
	    memcmp(now->of_protocol, s->first.of_protocol, sizeof(now->of_protocol)) != 0 ||
	    memcmp(now->line, s->first.line, sizeof(now->line)) != 0)
		return false;
	if (c->repair) {
		__atomic_store_n(&line->uncounted, 1, __ATOMIC_RELEASE);
		c->m->uncounted = true;
	}
	findings_add(c->findings, FINDING_LIMIT_COUNT, c->repair, where(it, text),
		     "its line counts %u TCP, %u UDP and %u ICMP sessions; %u, %u and %u are in its slots",
		     now->line[LIMIT_TCP], now->line[LIMIT_UDP], now->line[LIMIT_ICMP], now->of_protocol[LIMIT_TCP],
		     now->of_protocol[LIMIT_UDP], now->of_protocol[LIMIT_ICMP]);
	return true;
}

static bool settle_displaced(struct table_check *c, const struct suspect *s, const struct subscriber_iterator *it,
			     const struct examination *now)
{
	uint32_t missing = now->needed & ~now->displaced & s->first.needed & ~s->first.displaced;
	char text[INSIDE_TEXT];

	if (!(now->needed & ~now->displaced))
		return true;
	if (!missing)
		return false;
	if (c->repair)
		__atomic_fetch_or(&it->subscriber->displaced, missing, __ATOMIC_SEQ_CST);
	findings_add(c->findings, FINDING_DISPLACED, c->repair, where(it, text),
		     "the bits %#x of buckets with displaced sessions are missing", missing);
	return true;
}

static const char *fault_text(enum finding_kind kind)
{
	switch (kind) {
	case FINDING_STATE:
		return "a session of a state that its protocol has not";
	case FINDING_PLACE:
		return "a session in neither of its two buckets";
	case FINDING_FLOW:
		return "a second session of one flow";
	default:
		return "a session of an outside port that is another's, or that it cannot have";
	}
}

/* True if all present faults were reported; those that the first look did not show are examined again. */
static bool settle_faults(struct table_check *c, const struct suspect *s, const struct subscriber_iterator *it,
			  const struct examination *now)
{
	bool settled = true;

	for (unsigned i = 0; i < now->n_faults; i++) {
		const struct slot_fault *f = &now->fault[i];
		char addr[INSIDE_TEXT], ext[INSIDE_TEXT];
		bool before = false, repaired;

		for (unsigned k = 0; k < s->first.n_faults; k++) {
			const struct slot_fault *g = &s->first.fault[k];

			before |= f->slot == g->slot && f->kind == g->kind && f->key == g->key &&
				  word_same(f->word, g->word);
		}
		if (!before) {
			settled = false;
			continue;
		}
		/* No lookup finds it, or two flows find each other's session: close it. */
		repaired = c->repair && slot_free(it, subscriber_slot(it, f->slot), f->word);
		findings_add(c->findings, f->kind, repaired, where(it, addr),
			     "slot %u: %s: protocol %u, inside port %u, outside port %u, to %s:%u, state %#x%s",
			     f->slot, fault_text(f->kind), word_proto(f->word), key_in_port(f->key),
			     word_out_port(f->word), addr_format(key_ext_addr(f->key), ext), key_ext_port(f->key),
			     word_state(f->word), repaired ? "; closed" : "");
	}
	return settled;
}

bool suspect_settle(struct table_check *c, struct suspect *s, const struct subscriber_iterator *it,
		    const struct examination *now)
{
	if (!s->displaced_told)
		s->displaced_told = settle_displaced(c, s, it, now);
	if (!s->bindings_told)
		s->bindings_told = settle_bindings(c, s, it, now);
	if (now->n_faults && !s->faults_told) {
		bool told = settle_faults(c, s, it, now);

		/* Closing changed the count, and there may be more faults: examine it again. */
		if (!told || c->repair)
			return false;
		s->faults_told = true;
	}
	if (!s->limits_told)
		s->limits_told = settle_limits(c, s, it, now);
	return settle_count(c, s, it, now) && s->displaced_told && s->bindings_told && s->limits_told;
}

void examination_tidy(const struct subscriber_iterator *it, const struct examination *now)
{
	uint32_t all = ~0U;

	if (now->displaced != all || !now->steady)
		return;
	__atomic_compare_exchange_n(&it->subscriber->displaced, &all, now->needed, false, __ATOMIC_SEQ_CST,
				    __ATOMIC_RELAXED);
	/* A session opened meanwhile may have set a bit that has just been cleared. */
	if (__atomic_load_n(&it->subscriber->lock, __ATOMIC_SEQ_CST) != now->word.lock)
		__atomic_fetch_or(&it->subscriber->displaced, ~0U, __ATOMIC_SEQ_CST);
}
