// SPDX-License-Identifier: BSD-2-Clause
/*
 * Nanoseconds a packet of the datapath, as ratios to the parse-and-rewrite floor, measured alternately in one process.
 *
 * Everything stands in a network namespace of its own, with the product's own tables and programs. Frames are made by
 * a generator program that hands them to the program measured; the cost of the generator alone (with a program behind
 * it that does nothing) is part of every figure, the floor's included.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "generator.skel.h"
#include "datapath.h"
#include "flow.h"
#include "log.h"
#include "mappings.h"
#include "sessions.h"

#define ROUNDS	7
#define PACKETS 1000000U

#define EXTERNAL      0xc6336407U /* 198.51.100.7 */
#define EXTERNAL_PORT 1024
#define INSIDE_BASE   0xac100000U /* 172.16.0.0, as CSIT has it */
#define OUTSIDE_BASE  0xcb007100U /* 203.0.113.0 */

struct position {
	uint32_t next, count, target, pad;
};

struct bench {
	struct generator *skel;
	struct datapath d;
	struct mappings *m;
	struct flow_tuple *flows;
	struct position *position;
	uint32_t inside_ifindex, outside_ifindex;
	uint64_t seed;
};

static void die(const char *what, int r)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(r < 0 ? -r : r));
	exit(1);
}

static void command(const char *text)
{
	if (system(text))
		die(text, EIO);
}

/* A namespace with an inside and an outside interface whose peers resolve every address. */
static void make_namespace(struct bench *b)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("sysfs", "/sys", "sysfs", 0, NULL) || mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL))
		die("making a namespace", errno);
	command("ip link set lo up;"
		"ip link add bin type veth peer name pin; ip link add bout type veth peer name pout;"
		"ip link set bin address 02:02:02:02:02:02; ip link set bout address 02:02:02:02:02:02;"
		"for i in bin pin bout pout; do ip link set $i up; ethtool -K $i gro on; done;"
		"ip addr add 10.9.0.1/24 dev bin; ip addr add 198.51.100.1/24 dev bout;"
		"ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:01 dev bin;"
		"ip neigh add 198.51.100.7 lladdr 02:00:00:00:00:02 dev bout;"
		"ip route add 172.16.0.0/12 via 10.9.0.2;"
		"echo 1 > /proc/sys/net/ipv4/ip_forward");
	b->inside_ifindex = if_nametoindex("bin");
	b->outside_ifindex = if_nametoindex("bout");
}

static void describe_device(struct bench *b, uint32_t ifindex, uint8_t roles)
{
	struct device *v = &b->d.device[ifindex];

	memset(v->mac, 2, sizeof(v->mac));
	v->flags = DEVICE_REDIRECT | DEVICE_NATIVE;
	v->mtu = 1500;
	v->addr = roles == DEVICE_INSIDE ? 0x0a090001 : 0xc6336401;
	v->roles = roles;
}

static void add_mapping(struct bench *b, uint32_t hosts, uint32_t ratio_shift)
{
	struct error err;
	struct mapping_job *job;
	uint8_t in_plen = 32;

	while (prefix_size(in_plen) < hosts)
		in_plen--;

	struct mapping_spec spec = {
		.in = { INSIDE_BASE, in_plen },
		.out = { OUTSIDE_BASE, (uint8_t)(in_plen + ratio_shift) },
		.sessions_per_user = 1000,
		.session_slots = 128,
	};
	int r;

	for (int i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = ticks_of_seconds(3600, b->d.hz);
	r = mappings_add_begin(b->m, &spec, &job, &err);
	if (r)
		die(err.text, r);
	while ((r = mappings_add_step(job, &err)) > 0)
		;
	if (r || mappings_add_commit(job))
		die(err.text, r);
}

static uint32_t entry_program(struct bench *b, uint32_t entry)
{
	uint32_t id;

	if (bpf_map_lookup_elem(b->d.entries, &entry, &id))
		die("entries", errno);
	return (uint32_t)bpf_prog_get_fd_by_id(id);
}

static void set_target(struct bench *b, uint32_t target, int fd)
{
	if (bpf_map_update_elem(bpf_map__fd(b->skel->maps.targets), &target, &fd, 0))
		die("targets", errno);
}

static void set_up(struct bench *b)
{
	struct config config = { .pin_path = (char *)"/sys/fs/bpf/detnat", .overflow_sessions = 65536 };
	struct error err;
	int r;

	make_namespace(b);
	r = datapath_open(&config, &b->d, &err);
	if (!r) {
		struct settings settings = {
			.hz = b->d.hz, .overflow_sessions = 65536, .redirect = 1, .hairpin = 1, .quota_icmp_code = 1
		};

		r = datapath_load(&b->d, &settings, &err);
	}
	if (!r)
		r = mappings_open(&b->d, &b->m, &err);
	if (r)
		die(err.text, r);
	describe_device(b, b->inside_ifindex, DEVICE_INSIDE);
	describe_device(b, b->outside_ifindex, DEVICE_OUTSIDE);

	b->skel = generator__open_and_load();
	if (!b->skel)
		die("loading the generator", errno);
	b->flows =
		mmap(NULL, MAX_FLOWS * 16ULL, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(b->skel->maps.flows), 0);
	b->position = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(b->skel->maps.positions), 0);
	if (b->flows == MAP_FAILED || b->position == MAP_FAILED)
		die("mmap", errno);
	set_target(b, TARGET_FLOOR, bpf_program__fd(b->skel->progs.floor_program));
	set_target(b, TARGET_EMPTY, bpf_program__fd(b->skel->progs.empty));
	set_target(b, TARGET_INSIDE, (int)entry_program(b, ENTRY_INSIDE));
	set_target(b, TARGET_OUTSIDE, (int)entry_program(b, ENTRY_OUTSIDE));
}

/* Runs the generator so many times against a target, as if frames came in by an interface; nanoseconds a packet. */
static double run(struct bench *b, enum target target, uint32_t count, uint32_t packets)
{
	unsigned char frame[64] = { [12] = 8, [14] = 0x45, [17] = 50, [22] = 64, [23] = 17, [39] = 30, [40] = 1 };
	struct xdp_md ctx = {
		.data_end = sizeof(frame),
		.ingress_ifindex = target == TARGET_OUTSIDE ? b->outside_ifindex : b->inside_ifindex,
	};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame), .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = (int)packets);
	struct timespec from, to;

	*b->position = (struct position){ .count = count, .target = target };
	clock_gettime(CLOCK_MONOTONIC, &from);
	if (bpf_prog_test_run_opts(bpf_program__fd(b->skel->progs.generate), &opts))
		die("BPF_PROG_TEST_RUN", errno);
	clock_gettime(CLOCK_MONOTONIC, &to);
	if (target >= TARGET_INSIDE && opts.retval != 4)
		die("a packet was not redirected", EPROTO);
	return ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / packets;
}

static uint64_t random_next(struct bench *b)
{
	b->seed ^= b->seed << 13;
	b->seed ^= b->seed >> 7;
	b->seed ^= b->seed << 17;
	return b->seed;
}

/* Every session once, in random order. */
static void fill_flows(struct bench *b, uint32_t hosts, uint32_t ports, int outside)
{
	const struct mapping *m = mappings_get(b->m, mappings_find_inside(b->m, INSIDE_BASE));
	uint32_t n = 0;

	for (uint32_t h = 0; h < hosts; h++) {
		struct port_block block = mapping_forward(&m->geo, INSIDE_BASE + h);

		for (uint32_t p = 0; p < ports; p++, n++) {
			uint16_t port = (uint16_t)(1024 + p);

			b->flows[n] =
				outside ? (struct flow_tuple){ EXTERNAL, block.out_addr, EXTERNAL_PORT,
							       (uint16_t)(block.port_lo +
									  mapping_first_choice(&m->geo, port)),
							       0 }
					: (struct flow_tuple){ INSIDE_BASE + h, EXTERNAL, port, EXTERNAL_PORT, 0 };
		}
	}
	while (n > 1) {
		uint32_t other = (uint32_t)(random_next(b) % n--);
		struct flow_tuple t = b->flows[n];

		b->flows[n] = b->flows[other];
		b->flows[other] = t;
	}
}

/* Empties all tables of the hosts, as nothing else runs. */
static void forget_sessions(struct bench *b, uint32_t hosts)
{
	int number = mappings_find_inside(b->m, INSIDE_BASE);
	uint32_t buckets = 1U << mappings_get(b->m, number)->bucket_shift;

	for (uint32_t h = 0; h < hosts; h++) {
		memset(mappings_buckets(b->m, number, h), 0, buckets * sizeof(struct bucket));
		memset(mappings_subscriber(b->m, number, h), 0, sizeof(struct subscriber));
	}
	for (struct overflow_key key; !bpf_map_get_next_key(b->d.overflow, NULL, &key);)
		bpf_map_delete_elem(b->d.overflow, &key);
	b->d.global->overflow = 0;
}

static uint64_t count_sessions(struct bench *b)
{
	struct session_counter *c;
	struct session_count *count = calloc(1, sizeof(*count));
	uint64_t total;

	if (!count || session_counter_new(b->m, &c))
		die("counting", ENOMEM);
	while (session_counter_step(c, 100000, count) > 0)
		;
	total = count->total;
	session_counter_free(c);
	free(count);
	return total;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), by_value);
	return values[n / 2];
}

struct row {
	const char *what;
	double ns[ROUNDS];
	double ratio[ROUNDS];
};

static void report(const char *name, struct row *r)
{
	double ns = median(r->ns, ROUNDS), ratio = median(r->ratio, ROUNDS);

	printf("%-46s %-22s %8.1f %10.2f %7.2f x\n", name, r->what, ns, 1e3 / ns, ratio);
}

int main(void)
{
	struct bench b = { .seed = 0x9e3779b97f4a7c15ULL };
	const uint32_t hosts = 1024, ports = 63, sessions = hosts * ports;
	struct row floor = { .what = "floor" }, empty = { .what = "generator alone" };
	struct row open = { .what = "new session" }, in = { .what = "inside to outside" },
		   out = { .what = "outside to inside" };
	struct counters c;
	char name[64];

	if (geteuid() != 0) {
		fputs("bench: needs root, for namespaces and BPF programs\n", stderr);
		return 1;
	}
	/* The pins are in a mount namespace of the bench alone, which the datapath would warn of. */
	log_set_level(LOG_LEVEL_ERROR);
	set_up(&b);
	add_mapping(&b, hosts, 10);
	for (int i = 0; i < ROUNDS; i++) {
		fill_flows(&b, hosts, ports, 0);
		floor.ns[i] = run(&b, TARGET_FLOOR, sessions, PACKETS);
		empty.ns[i] = run(&b, TARGET_EMPTY, sessions, PACKETS);
		forget_sessions(&b, hosts);
		open.ns[i] = run(&b, TARGET_INSIDE, sessions, sessions);
		if (count_sessions(&b) != sessions) {
			fprintf(stderr, "bench: %lu of %u sessions in the table after ramp-up\n", count_sessions(&b),
				sessions);
			return 1;
		}
		in.ns[i] = run(&b, TARGET_INSIDE, sessions, PACKETS);
		fill_flows(&b, hosts, ports, 1);
		out.ns[i] = run(&b, TARGET_OUTSIDE, sessions, PACKETS);
		for (struct row *rows[] = { &floor, &empty, &open, &in, &out }, **r = rows; r < rows + 5; r++)
			(*r)->ratio[i] = (*r)->ns[i] / floor.ns[i];
	}
	snprintf(name, sizeof(name), "ethip4udp-nat44det-h%u-p%u-s%u", hosts, ports, sessions);
	printf("%-46s %-22s %8s %10s %9s\n", "ROW", "PATH", "ns/pkt", "Mpps/core", "OF FLOOR");
	report(name, &floor);
	report(name, &empty);
	report(name, &in);
	report(name, &out);
	report(name, &open);
	if (!datapath_counters(&b.d, &c))
		printf("overflow: %.3f %% of sessions opened\n",
		       100.0 * (double)c.sessions_overflowed / (double)c.sessions_opened);
	printf("medians of %d rounds of %u packets in random order; every session was in the table after each "
	       "ramp-up\n",
	       ROUNDS, PACKETS);
	return 0;
}
