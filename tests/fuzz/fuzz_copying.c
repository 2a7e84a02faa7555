// SPDX-License-Identifier: BSD-2-Clause
/*
 * What peers with the key tell, as any octets: the tables of the receiver, which are real maps, stay sound. Each
 * payload is preceded by an octet with the peer and one with the type, and its length. Needs root; without it, nothing
 * is run.
 */
#define main copies_bench
#include "../bench/agent/copies.c"
#undef main

#include <detnat/extents.h>

#define SUBSCRIBERS 1024U

static struct side side;

static uint32_t counted(const struct slot *slots, uint32_t n)
{
	uint32_t sessions = 0;

	for (uint32_t i = 0; i < n; i++)
		sessions += (uint32_t)word_is_counted(slots[i].truth);
	return sessions;
}

/* Every session is counted once. */
static void assert_sound(const struct side *s)
{
	for (uint32_t i = 0; i < SUBSCRIBERS; i++) {
		const struct slot *slots = (const struct slot *)mappings_buckets(s->m, s->number, i);
		const struct subscriber *record = mappings_subscriber(s->m, s->number, i);
		uint32_t n;
		const struct slot *beyond = datapath_extent(&s->d, subscriber_extent(record), &n);

		if (counted(slots, 128) + counted(beyond, n) != record->sessions || record->lock & 1)
			abort();
	}
}

static void hear_one(uint8_t from, uint8_t type, const uint8_t *data, size_t length)
{
	unsigned peer = 1 + from % 3;
	struct copying_counts counts = { 0 };
	struct copying_table_report report;
	uint8_t *payload = malloc(length + !length);

	/* On the heap, so that a read behind the end is seen. */
	memcpy(payload, data, length);
	if (type == WIRE_MAPPINGS)
		copying_mappings(side.c, peer, payload, length, &report);
	else if (type == WIRE_MAPPINGS_PART)
		copying_mappings_part(side.c, peer, payload, length, &report);
	else
		while (copying_apply(side.c, peer, type, payload, length, &counts) == 1)
			;
	if (from & 0x80)
		while (copying_vouch(side.c, from >> 2 & 0x0e, 100000))
			;
	if (from & 0x40)
		copying_retry(side.c, peer, &counts);
	if (from & 0x20)
		copying_differences(side.c, peer);
	free(payload);
}

/* What is told goes nowhere. */
static int forget(unsigned type, const void *payload, size_t length, void *arg)
{
	return 0;
}

/* Each input finds the mapping exchanged with all peers. */
static void show(void)
{
	const struct wire_mapping w = {
		.number = htobe16(1),
		.in_plen = 22,
		.out_plen = 32,
		.in_base = htobe32(0x0a000000),
		.out_base = htobe32(0xcb000000),
		.digest = htobe64(side.c->mapping[side.number].tables.digest),
	};
	struct copying_table_report report;

	for (unsigned peer = 1; peer <= 3; peer++)
		if (copying_mappings(side.c, peer, &w, sizeof(w), &report) || report.common != 1)
			abort();
}

/* 0: there are tables; -1: there cannot be. */
static int prepare(void)
{
	struct portmaps *portmaps;
	struct error err;
	int fd;

	if (side.c)
		return 0;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "probe", 4, 4, 1, NULL);
	if (fd < 0)
		return -1;
	close(fd);
	make_side(&side, 22);
	if (portmaps_open(side.m, &portmaps, &err))
		return -1;
	copying_set_portmaps(side.c, portmaps, -1);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (prepare())
		return 0;
	show();
	for (size_t at = 0; size - at >= 4;) {
		size_t length = (size_t)(data[at + 2] << 8 | data[at + 3]);
		uint8_t from = data[at], type = data[at + 1];

		at += 4;
		if (length > size - at)
			length = size - at;
		if (length > WIRE_PAYLOAD_MAX)
			length = WIRE_PAYLOAD_MAX;
		hear_one(from, type, data + at, length);
		at += length;
	}
	while (copying_pass(side.c, 100000, forget, NULL))
		;
	assert_sound(&side);
	return 0;
}
