/* SPDX-License-Identifier: BSD-2-Clause */
/* Before `b`, whose name it uses otherwise. */
#include <detnat/extents.h>

#include "session_copies_fixture.h"

#include <netinet/in.h>

struct gateway gateway;

void sound(void)
{
	assert_sound(&gateway);
}

struct subscriber *host(void)
{
	return mappings_subscriber(gateway.m, gateway.number, HOST);
}

int place(uint64_t key, uint16_t out_port, uint8_t proto, uint8_t state, uint32_t slot)
{
	return open_own(&gateway, HOST, key, out_port, proto, state, (uint16_t)slot);
}

int place_udp(uint64_t key)
{
	return place(key, first_port(&gateway, HOST, key_in_port(key)), IPPROTO_UDP, SESSION_UDP,
		     first_slot(&gateway, key, IPPROTO_UDP));
}

uint32_t answered(void)
{
	return gateway.opener.requests->copy[0].slot;
}

uint32_t second_slot(uint32_t at)
{
	uint32_t shift = mappings_get(gateway.m, gateway.number)->bucket_shift;

	return session_buckets(0xc6336409, 443, IPPROTO_UDP, 0, shift).second * BUCKET_SLOTS + at;
}

int place_beyond(uint64_t key, uint16_t out_port)
{
	struct session_copies *all = gateway.opener.requests;

	all->n = 1;
	all->copy[0] = (struct session_copy){
		.key = key,
		.word = state_word(out_port, IPPROTO_UDP, SESSION_UDP, datapath_ticks(&gateway.d)),
		.subscriber = HOST,
		.mapping = (uint16_t)gateway.number,
		.request = COPY_TO_EXTENT,
		.owner = 1,
	};
	cr_assert_eq(copy_program_run(&gateway.opener), 0);
	return all->copy[0].result;
}

void age(uint64_t key, uint32_t ticks)
{
	uint32_t n;
	struct slot *slots = datapath_extent(&gateway.d, subscriber_extent(host()), &n);

	for (uint32_t i = 0; slots && i < n; i++)
		if (slots[i].key == key && word_is_live(slots[i].truth))
			word_refresh(&slots[i].truth, word_seen(slots[i].truth) - ticks);
}
