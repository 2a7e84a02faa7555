// SPDX-License-Identifier: BSD-2-Clause
/*
 * What copies of sessions cost the gateway that tells them and the one that takes them: two sets of tables on maps of
 * their own, without sockets; what the first tells is kept in memory, and signed and checked as frames are.
 *
 *	copies [SUBSCRIBERS [SESSIONS_EACH]]
 *
 * Prints a line for each figure: NAME VALUE UNIT.
 */
#include <bpf/bpf.h>
#include <detnat/portmap_lines.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <nettle/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "../random.h"
#include "copies/copying_private.h"
#include "tables/mapping_changes.h"

static uint64_t seed = RANDOM_SEED;

static void __attribute__((noreturn)) die(const char *what, int r)
{
	fprintf(stderr, "copies: %s: %s\n", what, strerror(r < 0 ? -r : r));
	exit(1);
}

static int make_array(const char *name, uint32_t size, uint32_t n)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, 4, size, n, &opts);

	if (fd < 0)
		die(name, fd);
	return fd;
}

static int make_outer(const char *name, uint32_t size, uint32_t chunk, uint32_t n, int *ret_inner)
{
	int inner = make_array("inner", size, chunk);
	LIBBPF_OPTS(bpf_map_create_opts, opts, .inner_map_fd = (uint32_t)inner);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, name, 4, 4, n, &opts);

	if (fd < 0)
		die(name, fd);
	if (ret_inner)
		*ret_inner = inner;
	else
		close(inner);
	return fd;
}

static void *map_memory(int fd, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		die("mmap", errno);
	return p;
}

static int make_clock(void)
{
	const struct bpf_insn clock[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_jiffies64 },
		{ .code = BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = 0, .imm = TICK_SHIFT },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_SLEEPABLE);
	int fd = bpf_prog_load(BPF_PROG_TYPE_SYSCALL, "clock", "GPL", clock, sizeof(clock) / sizeof(clock[0]), &opts);

	if (fd < 0)
		die("loading the clock", fd);
	return fd;
}

static void make_tables(struct datapath *d)
{
	/* No descriptor but those made here. */
	memset(d, 0xff, sizeof(*d));
	d->pin_dir = NULL;
	d->extent = NULL;
	d->pool = NULL;
	d->record6 = NULL;
	d->index6 = NULL;
	d->address6 = NULL;
	d->settings.extent_buckets = 0;
	d->settings.six = 0;
	d->reused = true;
	d->hz = datapath_hz();
	d->in_index = make_array("in_index", sizeof(struct index_table), 1);
	d->out_index = make_array("out_index", sizeof(struct index_table), 1);
	d->mappings = make_array("mappings", sizeof(struct mapping_table), 1);
	d->subscribers =
		make_outer("subscribers", sizeof(struct subscriber), SUBSCRIBER_CHUNK, MAX_SUBSCRIBER_CHUNKS, NULL);
	d->buckets = make_outer("buckets", sizeof(struct bucket), BUCKET_CHUNK, MAX_BUCKET_CHUNKS, NULL);
	d->grace = make_outer("grace", 8, 1, 1, &d->grace_inner);
	d->portmaps = bpf_map_create(BPF_MAP_TYPE_HASH, "portmaps", sizeof(struct portmap_key),
				     sizeof(struct portmap_value), 1024, NULL);
	d->portmap_filters = bpf_map_create(BPF_MAP_TYPE_HASH, "portmap_filters", sizeof(struct portmap_key),
					    sizeof(struct portmap_filters), 1024, NULL);
	if (d->portmaps < 0 || d->portmap_filters < 0)
		die("making maps", errno);
	d->in_nodes = map_memory(d->in_index, INDEX_NODES * sizeof(struct index_node));
	d->out_nodes = map_memory(d->out_index, INDEX_NODES * sizeof(struct index_node));
	d->table = map_memory(d->mappings, sizeof(struct mapping_table));
	d->mapping = d->table->mapping;
	d->global = &d->table->globals;
	d->portmap_line = mmap(NULL, sizeof(struct portmap_line[PORTMAP_LINES_TABLE]), PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (d->portmap_line == MAP_FAILED)
		die("mmap", errno);
	d->fib = calloc(1, sizeof(*d->fib));
	d->clock = make_clock();
}

struct side {
	struct datapath d;
	struct mappings *m;
	struct copying *c;
	int number;
};

static void make_side(struct side *s, uint8_t plen)
{
	static const uint32_t seconds[N_TIMEOUTS] = {
#define X(constant, name, value) value,
		TIMEOUTS(X)
#undef X
	};
	struct mapping_spec spec = {
		.in = { 0x0a000000, plen },
		.out = { 0xcb000000, (uint8_t)(plen + 10) },
		.sessions_per_user = 1000,
		.session_slots = 128,
	};
	const struct copying_limits limits = { .min_age_s = 2, .interval_ms = 1000 };
	struct mapping_job *job;
	struct error err = { 0 };
	int r;

	make_tables(&s->d);
	for (unsigned i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = ticks_of_seconds(seconds[i], s->d.hz);
	r = mappings_open(&s->d, &s->m, &err);
	if (!r)
		r = mappings_add_begin(s->m, &spec, &job, &err);
	while (!r && (r = mappings_add_step(job, &err)) > 0)
		r = 0;
	if (!r)
		r = mappings_add_commit_with(job, &(struct mapping_handover){ 0 });
	if (r)
		die(err.text, r);
	s->number = mappings_find(s->m, spec.in, spec.out);
	r = copying_new(s->m, &limits, NULL, &s->c);
	if (r)
		die("copying_new", r);
}

/* A session in its preferred slot; false: the slot or the port is taken. */
static bool open_session(struct side *s, uint32_t subscriber, uint32_t tick)
{
	const struct mapping *m = mappings_get(s->m, s->number);
	struct subscriber *record = mappings_subscriber(s->m, s->number, subscriber);
	uint64_t random = random_next(&seed);
	uint16_t in_port = (uint16_t)(1024 + (random & 0x7fff));
	uint64_t key = slot_key((uint32_t)(random >> 32), 443, in_port);
	uint32_t first = mapping_first_choice(&m->geo, in_port);
	struct bucket_pair pair = session_buckets(key_ext_addr(key), 443, IPPROTO_TCP, first, m->bucket_shift);
	struct slot *slot = &mappings_buckets(s->m, s->number, subscriber)[pair.first].slot[first & 7];

	if (slot->truth)
		return false;
	slot->key = key;
	slot->truth = state_word((uint16_t)(mapping_port_lo(&m->geo, subscriber) + first), IPPROTO_TCP,
				 SESSION_ESTABLISHED, tick);
	record->sessions++;
	record->lock += 2;
	return true;
}

static void fill(struct side *s, uint32_t subscribers, uint32_t each)
{
	uint32_t tick = datapath_ticks(&s->d);

	for (uint32_t i = 0; i < subscribers; i++)
		for (uint32_t n = 0; n < each;)
			n += open_session(s, i, tick);
}

/* What is told. */
static struct {
	uint8_t *data;
	size_t length, room;
} told;

struct header {
	uint32_t type;
	uint32_t length;
};

static double now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static double cpu_ns(void)
{
	return now_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static void sign(const void *data, size_t length)
{
	static const uint8_t key[32];
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct hmac_sha256_ctx ctx;

	hmac_sha256_set_key(&ctx, sizeof(key), key);
	hmac_sha256_update(&ctx, length, data);
	hmac_sha256_digest(&ctx, sizeof(digest), digest);
}

static int keep(unsigned type, const void *payload, size_t length, void *arg)
{
	const struct header h = { type, (uint32_t)length };

	if (told.length + sizeof(h) + length > told.room)
		die("what is told takes too much memory", ENOMEM);
	memcpy(told.data + told.length, &h, sizeof(h));
	if (length)
		memcpy(told.data + told.length + sizeof(h), payload, length);
	sign(told.data + told.length, sizeof(h) + length);
	told.length += sizeof(h) + length;
	return 0;
}

static void hear(struct side *s, struct copying_counts *counts)
{
	for (size_t at = 0; at < told.length;) {
		struct copying_table_report report;
		struct header h;
		int r;

		memcpy(&h, told.data + at, sizeof(h));
		sign(told.data + at, sizeof(h) + h.length);
		if (h.type == WIRE_MAPPINGS)
			r = copying_mappings(s->c, 1, told.data + at + sizeof(h), h.length, &report);
		else if (h.type == WIRE_MAPPINGS_PART)
			r = copying_mappings_part(s->c, 1, told.data + at + sizeof(h), h.length, &report);
		else
			do
				r = copying_apply(s->c, 1, h.type, told.data + at + sizeof(h), h.length, counts);
			while (r == 1);
		if (r < 0)
			die("applying", r);
		at += sizeof(h) + h.length;
	}
	told.length = 0;
}

static void pass(struct side *s)
{
	while (copying_pass(s->c, 2000, keep, NULL))
		;
}

static void figure(const char *name, double value, const char *unit)
{
	printf("%s %.4g %s\n", name, value, unit);
	fflush(stdout);
}

/* A second of openings and endings, and the passes that tell of them. */
static void churn(struct side *a, struct side *b, uint32_t subscribers, uint32_t openings)
{
	struct copying_counts counts = { 0 };
	double sender = 0, receiver = 0, octets = 0, began;
	unsigned rounds = 8;

	for (unsigned round = 0; round < rounds; round++) {
		uint32_t tick = datapath_ticks(&a->d);

		for (uint32_t i = 0; i < openings;) {
			uint32_t subscriber = (uint32_t)(random_next(&seed) % subscribers);
			struct slot *slots = (struct slot *)mappings_buckets(a->m, a->number, subscriber);
			uint32_t at = (uint32_t)(random_next(&seed) % 128);

			if (word_is_live(slots[at].truth)) {
				slots[at].truth = 0;
				mappings_subscriber(a->m, a->number, subscriber)->sessions--;
			}
			i += open_session(a, subscriber, tick);
		}
		began = cpu_ns();
		pass(a);
		sender += cpu_ns() - began;
		octets += (double)told.length;
		began = cpu_ns();
		hear(b, &counts);
		receiver += cpu_ns() - began;
		if (round == 3) {
			/* From here on what is told each time is as much as is opened. */
			sender = receiver = octets = 0;
			counts = (struct copying_counts){ 0 };
		}
	}
	rounds -= 4;
	figure("churn-sender", 100 * sender / rounds / 1e9, "% of a core");
	figure("churn-receiver", 100 * receiver / rounds / 1e9, "% of a core");
	figure("churn-traffic", octets / rounds / 1e6, "MB/s");
	figure("churn-placed", (double)counts.placed / rounds, "sessions/s");
}

int main(int argc, char **argv)
{
	uint32_t subscribers = argc > 1 ? (uint32_t)atoi(argv[1]) : 262144,
		 each = argc > 2 ? (uint32_t)atoi(argv[2]) : 63;
	double sessions = (double)subscribers * each, began;
	struct copying_counts counts = { 0 };
	struct copying_whole *w;
	struct side a, b;
	int r;

	if (subscribers < 1024 || subscribers & (subscribers - 1) || each > 100) {
		fputs("usage: copies [SUBSCRIBERS, a power of two [SESSIONS_EACH]]\n", stderr);
		return 2;
	}
	make_side(&a, (uint8_t)(32 - __builtin_ctz(subscribers)));
	make_side(&b, (uint8_t)(32 - __builtin_ctz(subscribers)));
	told.room = (size_t)(sessions * 24) + (64U << 20);
	told.data = mmap(NULL, told.room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	fill(&a, subscribers, each);
	began = cpu_ns();
	pass(&a);
	figure("first-pass", (cpu_ns() - began) / sessions, "ns/session");
	pass(&b);
	told.length = 0;
	began = cpu_ns();
	for (unsigned i = 0; i < 16; i++)
		pass(&a);
	figure("idle-pass", (cpu_ns() - began) / 16 / subscribers, "ns/subscriber");
	r = copying_whole_new(a.c, 1, &w);
	if (r)
		die("copying_whole_new", r);
	began = cpu_ns();
	while (copying_whole_step(w, 2000, keep, NULL))
		;
	figure("whole-sender", (cpu_ns() - began) / sessions, "ns/session");
	figure("whole-traffic", (double)told.length / sessions, "octets/session");
	began = cpu_ns();
	hear(&b, &counts);
	figure("whole-receiver", (cpu_ns() - began) / sessions, "ns/session");
	if (counts.placed != (uint64_t)sessions)
		die("sessions were not placed", EINVAL);
	copying_whole_free(w);
	while (copying_whole_new(a.c, 1, &w))
		;
	while (copying_whole_step(w, 2000, keep, NULL))
		;
	copying_whole_free(w);
	began = cpu_ns();
	hear(&b, &counts);
	figure("whole-again-receiver", (cpu_ns() - began) / sessions, "ns/session");
	b.c->peer[1].vouched_tick = 0;
	began = cpu_ns();
	while (copying_vouch(b.c, 2, 2000))
		;
	figure("vouching", (cpu_ns() - began) / sessions, "ns/copy");
	churn(&a, &b, subscribers, 100000);
	figure("memory", (double)(copying_memory(a.c) + copying_memory(b.c)) / 2 / sessions, "octets/session");
	return 0;
}
