/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads and frees slots while the datapath writes to them. */
#include "sessions/sessions_private.h"

const char *session_state_name(uint8_t state)
{
	static const char *const names[] = {
#define X(constant, value, name, timeout) [constant] = name,
		SESSION_STATES(X)
#undef X
	};

	if (state & SESSION_RESET)
		return SESSION_RESET_NAME;
	return state < ARRAY_SIZE(names) && names[state] ? names[state] : "unknown";
}

void age_limits_fill(struct age_limits *l, const struct mapping *map)
{
	l->host_bits = mapping_host_bits(map);
	for (unsigned state = 0; state < ARRAY_SIZE(l->life); state++) {
		int32_t limit = (int32_t)map->timeout_ticks[session_timeout((uint8_t)state)];

		l->life[state] = state > SESSION_OPENING ? limit : INT64_MAX / 2;
		l->counts[state] = state > SESSION_OPENING && state != SESSION_TIME_WAIT ? limit : INT64_MIN;
	}
}

bool slot_read(const struct slot *s, uint64_t *ret_key, uint64_t *ret_word)
{
	for (;;) {
		uint64_t before = __atomic_load_n(&s->truth, __ATOMIC_ACQUIRE);

		if (!word_is_live(before))
			return false;

		uint64_t key = __atomic_load_n(&s->key, __ATOMIC_ACQUIRE);
		uint64_t after = __atomic_load_n(&s->truth, __ATOMIC_ACQUIRE);

		/* A change of state keeps the key; a new session in the slot might have the same state. */
		if (word_same(before, after)) {
			*ret_key = key;
			*ret_word = after;
			return true;
		}
	}
}

struct limit_line *subscriber_line(const struct subscriber_iterator *it)
{
	return it->map->limited ? mappings_limit_line(it->m, it->number, mapping_subscriber(&it->map->geo, it->in_addr))
				: NULL;
}

bool slot_free(const struct subscriber_iterator *it, struct slot *s, uint64_t word)
{
	__u64 expected = word;

	if (!__atomic_compare_exchange_n(&s->truth, &expected, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return false;
	session_uncount(it->subscriber, subscriber_line(it), word);
	return true;
}

static uint32_t slots_count(const struct slot *s, uint32_t n, const struct age_limits *l, uint32_t now)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++)
		count += counts_now(l, load_truth(&s[i]), now);
	return count;
}

uint32_t subscriber_count(const struct subscriber_iterator *it)
{
	return slots_count(it->slots, it->n_slots, &it->limits, it->now) +
	       slots_count(it->beyond, it->n_beyond, &it->limits, it->now);
}

struct session session_of(const struct mappings *m, const struct mapping *map, uint32_t in_addr, uint64_t key,
			  uint64_t word, uint32_t now)
{
	int32_t age = word_age_of(word, now, mapping_host_bits(map));
	int64_t left = (int64_t)map->timeout_ticks[session_timeout(word_state(word))] - (age > 0 ? age : 0);

	return (struct session){
		.in_addr = in_addr,
		.out_addr = mapping_out_addr(&map->geo, mapping_subscriber(&map->geo, in_addr)),
		.ext_addr = key_ext_addr(key),
		.in_port = key_in_port(key),
		.out_port = word_out_port(word),
		.ext_port = key_ext_port(key),
		.proto = word_proto(word),
		.state = word_state(word),
		.tenant = map->tenant,
		.expires = left > 0 ? seconds_of_ticks((uint32_t)left, mappings_datapath(m)->hz) : 0,
		.counts = word_is_live(word) && word_state(word) != SESSION_TIME_WAIT && left >= 0,
		.host_number = mapping_is_ipv6(map) ? (uint8_t)word_host(word) : 0,
		.host = mapping_is_ipv6(map) ? mappings_host(m, map, in_addr, word_host(word)) : (struct address6){ 0 },
		.ext6 = mapping_is_ipv6(map) ? mappings_ext6(m, map, key_ext_addr(key)) : (struct address6){ 0 },
	};
}
