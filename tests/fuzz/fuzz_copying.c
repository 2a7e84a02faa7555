// SPDX-License-Identifier: BSD-2-Clause
/*
 * What peers with the key tell, as any octets: the tables of the receiver, which are real maps, stay sound. Each
 * payload is preceded by an octet with the peer and one with the type, and its length. Needs root; without it, nothing
 * is run.
 */
#define main copies_bench
#include "../bench/agent/copies.c"
#undef main

#define SUBSCRIBERS 1024U

static struct side side;

/* Whether the session of an IN2OUT entry is the mapping's, and its other entry leads to it. */
static bool has_pair(const struct side *s, const struct overflow_key *in2out, uint64_t word)
{
	const struct overflow_key out2in = overflow_key_reverse(in2out, word_out_port(word));
	struct overflow_session session;

	return overflow_key_is_of(&mappings_get(s->m, s->number)->geo, in2out) &&
	       !bpf_map_lookup_elem(s->d.overflow, &out2in, &session) && session.in_port == in2out->port;
}

/* Every session is counted once, and each entry of the overflow has the other one. */
static void assert_sound(const struct side *s)
{
	struct overflow_scan scan = { 0 };
	uint32_t beyond[SUBSCRIBERS] = { 0 };
	uint64_t in = 0, out = 0;
	int r;

	do {
		r = overflow_scan_any(&scan, &s->d);
		if (r < 0)
			die("reading the overflow", r);
		for (uint32_t i = 0; i < scan.n; i++) {
			if (scan.keys[i].direction != OVERFLOW_IN2OUT) {
				out++;
				continue;
			}
			in++;
			beyond[scan.keys[i].in_addr - 0x0a000000]++;
			if (!has_pair(s, &scan.keys[i], scan.sessions[i].truth))
				abort();
		}
	} while (r > 0);
	overflow_scan_end(&scan);
	if (in != out || in != (uint64_t)s->d.global->overflow)
		abort();
	for (uint32_t i = 0; i < SUBSCRIBERS; i++) {
		const struct slot *slots = (const struct slot *)mappings_buckets(s->m, s->number, i);
		const struct subscriber *record = mappings_subscriber(s->m, s->number, i);
		uint32_t n = beyond[i];

		for (uint32_t k = 0; k < 128; k++)
			n += word_is_live(slots[k].truth) && word_state(slots[k].truth) != SESSION_TIME_WAIT;
		if (n != record->sessions || overflow_count(record) != beyond[i] || record->lock & 1)
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
	side.d.settings.overflow_sessions = 100;
	side.d.global->overflow = 0;
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
