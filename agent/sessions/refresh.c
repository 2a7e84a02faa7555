/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds a session by its endpoints and refreshes it, as a packet of the subscriber's would. */
#include <errno.h>

#include "sessions/sessions_private.h"

/* Sessions that are closing are not kept up. */
static bool may_refresh(uint64_t word)
{
	return !(word_state(word) & SESSION_RESET) && word_state(word) != SESSION_TIME_WAIT;
}

static int refresh_slots(struct subscriber_iterator *it, uint64_t wanted, uint8_t proto, struct session *ret)
{
	for (uint32_t i = 0; i < it->n_slots; i++) {
		uint64_t key, word;

		if (!slot_read(&it->slots[i], &key, &word) || key != wanted || word_proto(word) != proto ||
		    !word_counts(word, it->now, it->map->timeout_ticks))
			continue;
		if (may_refresh(word)) {
			word_refresh((__u64 *)&it->slots[i].truth, it->now);
			word = word_with(word, word_state(word), it->now);
		}
		*ret = session_of(it->map, it->in_addr, key, word, it->now, mappings_datapath(it->m)->hz);
		return 0;
	}
	return -ENOENT;
}

/* Those beyond the slots are found, but left as they are: user space cannot change them without a race. */
static int find_overflow(struct subscriber_iterator *it, struct endpoint in, struct endpoint ext, uint8_t proto,
			 struct session *ret)
{
	const struct overflow_key key = overflow_key_in(&it->map->geo, in.addr, in.port, ext.addr, ext.port, proto);
	struct datapath *d = mappings_datapath(it->m);
	uint64_t word;

	if (!overflow_any(d) || overflow_word(d, &key, &word) || !word_counts(word, it->now, it->map->timeout_ticks))
		return -ENOENT;
	*ret = session_of(it->map, in.addr, overflow_slot_key(&key), word, it->now, d->hz);
	return 0;
}

static int refresh_of(struct mappings *m, int number, struct endpoint in, struct endpoint ext, uint8_t proto,
		      struct session *ret)
{
	struct subscriber_iterator it;
	int r;

	if (number < 0 || !mapping_has_slots(mappings_get(m, number)))
		return -ENOENT;
	subscriber_find_of(&it, m, number, in.addr);
	r = refresh_slots(&it, slot_key(ext.addr, ext.port, in.port), proto, ret);
	return r ? find_overflow(&it, in, ext, proto, ret) : 0;
}

int sessions_refresh(struct mappings *m, struct endpoint in, struct endpoint ext, uint8_t proto, struct session *ret)
{
	int r = refresh_of(m, mappings_find_inside(m, in.addr), in, ext, proto, ret);
	const struct mapping_drain *d;
	size_t n = mappings_drains(m, &d);

	for (size_t i = 0; r && i < n; i++)
		if (prefix_contains(d[i].in.base, d[i].in.plen, in.addr))
			r = refresh_of(m, d[i].number, in, ext, proto, ret);
	return r;
}
