// SPDX-License-Identifier: BSD-2-Clause
/*
 * Fills the tables of a running agent with sessions, as the datapath would: straight into the pinned maps, so that the
 * tables of a quarter of a million subscribers are full in a second. Half of a subscriber's sessions are TCP
 * connections just refreshed, the other half UDP ones whose ages are spread evenly; or all have one age.
 *
 *	fill PIN_DIRECTORY FIRST_ADDRESS SUBSCRIBERS SESSIONS_EACH SPREAD_S|+AGE_S
 *
 * The subscribers must be of one mapping, and must have no sessions. Prints how many were put there.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <detnat/slots.h>
#include <detnat/tables.h>

#include "../random.h"
#include "datapath/datapath.h"

static uint64_t seed = RANDOM_SEED;

static void __attribute__((noreturn)) die(const char *what, int r)
{
	fprintf(stderr, "fill: %s: %s\n", what, strerror(r < 0 ? -r : r));
	exit(1);
}

static const void *map_pinned(const char *pins, const char *name, size_t size)
{
	char path[512];
	void *p;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", pins, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		die(path, fd);
	p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		die(path, errno);
	close(fd);
	return p;
}

/* The mapping of an inside address, found as the datapath does. */
static const struct mapping *find_mapping(const char *pins, uint32_t addr)
{
	const struct index_node *nodes = map_pinned(pins, "in_index", INDEX_NODES * sizeof(*nodes));
	const struct mapping *mappings = map_pinned(pins, "mappings", MAX_MAPPINGS * sizeof(*mappings));
	uint32_t entry = nodes[addr >> 24].entry[addr >> 16 & 255];

	for (int shift = 8; entry && !(entry & INDEX_LEAF); shift -= 8)
		entry = nodes[entry].entry[addr >> shift & 255];
	if (!entry)
		die("no mapping has the first address", ENOENT);
	return &mappings[entry & ~INDEX_LEAF];
}

/* A space of records in chunks, mapped one after the other when they are asked for. */
struct space {
	int outer;
	uint32_t shift, size;
	uint8_t *base;
	int64_t chunk;
};

static struct space open_space(const char *pins, const char *name, uint32_t shift, uint32_t size)
{
	struct space s = { .shift = shift, .size = size, .chunk = -1 };
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", pins, name);
	s.outer = bpf_obj_get(path);
	if (s.outer < 0)
		die(path, s.outer);
	return s;
}

static void *record(struct space *s, uint32_t n)
{
	size_t octets = (size_t)s->size << s->shift;
	uint32_t chunk = n >> s->shift, id;
	int fd;

	if (chunk != s->chunk) {
		if (s->base)
			munmap(s->base, octets);
		if (bpf_map_lookup_elem(s->outer, &chunk, &id))
			die("a chunk is missing", ENOENT);
		fd = bpf_map_get_fd_by_id(id);
		s->base = mmap(NULL, octets, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (s->base == MAP_FAILED)
			die("mmap", errno);
		close(fd);
		s->chunk = chunk;
	}
	return s->base + (size_t)(n & ((1U << s->shift) - 1)) * s->size;
}

static uint32_t ticks_now(void)
{
	const struct bpf_insn clock[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_jiffies64 },
		{ .code = BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = 0, .imm = TICK_SHIFT },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_SLEEPABLE);
	LIBBPF_OPTS(bpf_test_run_opts, run);
	int fd = bpf_prog_load(BPF_PROG_TYPE_SYSCALL, "clock", "GPL", clock, sizeof(clock) / sizeof(clock[0]), &opts);

	if (fd < 0)
		die("loading the clock", fd);
	if (bpf_prog_test_run_opts(fd, &run))
		die("reading the clock", errno);
	close(fd);
	return run.retval;
}

/* Age of the sessions, in ticks. */
struct ages {
	uint32_t now;
	uint32_t fixed;
	uint32_t spread;
};

/* Puts a subscriber's session into a free slot of its two buckets; whether there was one. */
static int put(struct subscriber *s, struct bucket *buckets, const struct mapping *m, const struct port_block *block,
	       uint32_t i, const struct ages *a)
{
	uint32_t ext_addr = 0xc6336400U + (uint32_t)(random_next(&seed) % 100);
	uint16_t in_port = (uint16_t)(1024 + i), offset = mapping_first_choice(&m->geo, in_port);
	uint8_t proto = a->spread && i % 2 ? IPPROTO_TCP : IPPROTO_UDP;
	uint8_t state = proto == IPPROTO_TCP ? SESSION_ESTABLISHED : SESSION_UDP;
	uint32_t age = a->fixed;
	struct bucket_pair pair = session_buckets(ext_addr, 443, proto, offset, m->bucket_shift);
	const struct bucket_choice b = { &buckets[pair.first], &buckets[pair.second], home_bit(pair.first) };

	if (a->spread && proto == IPPROTO_UDP)
		age += (uint32_t)(random_next(&seed) % a->spread);
	for (unsigned k = 0; k < 2 * BUCKET_SLOTS; k++) {
		struct slot *slot = &(k % 2 ? b.second : b.first)->slot[k / 2];

		if (slot->truth)
			continue;
		if (slot != preferred_slot(&b, offset))
			s->displaced |= b.home;
		slot->key = slot_key(ext_addr, 443, in_port);
		slot->truth = state_word((uint16_t)(block->port_lo + offset), proto, state, a->now - age);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct in_addr first;
	uint64_t total = 0;

	if (argc != 6 || inet_pton(AF_INET, argv[2], &first) != 1) {
		fputs("usage: fill PIN_DIRECTORY FIRST_ADDRESS SUBSCRIBERS SESSIONS_EACH SPREAD_S|+AGE_S\n", stderr);
		return 2;
	}

	uint32_t addr = ntohl(first.s_addr), subscribers = (uint32_t)atoi(argv[3]), each = (uint32_t)atoi(argv[4]);
	uint32_t age = ticks_of_seconds((uint32_t)atoi(argv[5] + (*argv[5] == '+')), datapath_hz());
	struct ages ages = { ticks_now(), *argv[5] == '+' ? age : 0, *argv[5] == '+' ? 0 : age };
	const struct mapping *m = find_mapping(argv[1], addr);
	struct space records = open_space(argv[1], "subscribers", SUBSCRIBER_CHUNK_SHIFT, sizeof(struct subscriber));
	struct space buckets = open_space(argv[1], "buckets", BUCKET_CHUNK_SHIFT, sizeof(struct bucket));

	for (uint32_t h = 0; h < subscribers; h++) {
		uint32_t n = addr + h - m->geo.in_base;
		struct port_block block = mapping_forward(&m->geo, addr + h);
		struct subscriber *s = record(&records, m->first_subscriber + n);
		struct bucket *b = record(&buckets, m->first_bucket + (n << m->bucket_shift));
		uint32_t opened = 0;

		for (uint32_t i = 0; i < each; i++)
			opened += (uint32_t)put(s, b, m, &block, i, &ages);
		s->sessions += opened;
		total += opened;
	}
	printf("%llu\n", (unsigned long long)total);
	return 0;
}
