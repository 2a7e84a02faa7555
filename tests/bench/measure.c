// SPDX-License-Identifier: BSD-2-Clause
/*
 * A core runs a list of flows against a program. Time is the thread's own on the core: what other processes take of it
 * is not counted, nor are the grace periods that a test run ends with (some 10 ms); interrupts are.
 */
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "generator.skel.h"

#define VERDICT_XDP_DROP     1
#define VERDICT_XDP_PASS     2
#define VERDICT_XDP_TX	     3
#define VERDICT_XDP_REDIRECT 4
#define VERDICT_TC_OK	     0
#define NO_REASON	     N_REASONS

/* So many that what the core forgot while it waited (caches, branches) does not count. */
#define LEAST_PACKETS 500000U

/* Refusals are held off for 0.4 seconds at least. */
#define HELD_PACKETS 200000U

#define IP_LENGTH 50 /* of 64 octets on the wire with Ethernet's header; trailing ones belong to UDP's data */

static void make_frame(unsigned char *f, bool tcp, uint8_t flags)
{
	memset(f, 0, FRAME);
	f[12] = 0x08; /* IPv4 */
	f[14] = 0x45;
	f[17] = IP_LENGTH;
	f[22] = 64;
	f[23] = tcp ? 6 : 17;
	if (tcp) {
		f[46] = 5 << 4;
		f[47] = flags;
	} else {
		f[39] = IP_LENGTH - 20;
		f[40] = 1; /* a checksum, or none would be updated */
	}
}

struct job job_translate(const struct bench *b, enum direction direction, bool tcp, uint8_t flags)
{
	struct job j = {
		.target = direction == FROM_OUTSIDE ? TARGET_OUTSIDE : TARGET_INSIDE,
		.ingress = direction == FROM_OUTSIDE ? b->outside_ifindex : b->inside_ifindex,
		.verdict = direction == BEYOND_QUOTA ? VERDICT_XDP_DROP : VERDICT_XDP_REDIRECT,
		.reason = direction == FROM_INSIDE    ? REASON_in2out_translated
			  : direction == FROM_OUTSIDE ? REASON_out2in_translated
						      : REASON_drop_quota,
		.six = b->row->feature == FEATURE_SIX,
	};

	make_frame(j.frame, tcp, flags);
	return j;
}

/* The programs that a job is compared with, on the same hook. They know no TCP. */
static struct job job_beside(const struct job *j, bool floor)
{
	struct job k = *j;
	bool tc = j->target >= TARGET_FIRST_TC;

	make_frame(k.frame, false, 0);
	if (tc)
		k.target = floor ? TARGET_TC_FLOOR : TARGET_TC_EMPTY;
	else
		k.target = floor ? TARGET_FLOOR : TARGET_EMPTY;
	if (floor)
		k.six = false;
	k.verdict = tc ? VERDICT_TC_OK : floor ? VERDICT_XDP_TX : VERDICT_XDP_PASS;
	k.reason = NO_REASON;
	return k;
}

double thread_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double core_run(struct core *c, const struct job *j, uint32_t count, uint32_t packets)
{
	bool tc = j->target >= TARGET_FIRST_TC;
	bool six = j->six && j->ingress == c->b->inside_ifindex;
	uint32_t size = six ? FRAME_SIX : FRAME;
	unsigned char frame[FRAME_SIX] = { 0 };
	struct xdp_md xdp = { .data_end = size, .ingress_ifindex = j->ingress };
	struct __sk_buff skb = { .ingress_ifindex = j->ingress, .ifindex = j->egress };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = size, .repeat = (int)packets);
	double from;

	memcpy(frame, j->frame, FRAME);
	if (six)
		memcpy(frame + 12, (const unsigned char[]){ 0x86, 0xdd, 0x60, 0, 0, 0 }, 6);
	opts.ctx_in = tc ? (void *)&skb : (void *)&xdp;
	opts.ctx_size_in = tc ? sizeof(skb) : sizeof(xdp);
	*c->position = (struct position){ .count = count, .target = j->target, .six = six };

	const struct bpf_program *generator = tc	  ? c->skel->progs.generate_tc
					      : j->six	  ? c->skel->progs.generate_six
					      : j->direct ? c->skel->progs.generate_direct
							  : c->skel->progs.generate;

	from = thread_ns();
	if (bpf_prog_test_run_opts(bpf_program__fd(generator), &opts))
		die("BPF_PROG_TEST_RUN", errno);

	double ns = (thread_ns() - from) / packets;

	if (j->verdict != ANY_VERDICT && (int)opts.retval != j->verdict) {
		fprintf(stderr, "bench: verdict %u of target %u, not %d\n", opts.retval, j->target, j->verdict);
		exit(1);
	}
	return ns;
}

static uint64_t counted(const struct bench *b, enum reason reason)
{
	struct counters c;

	if (reason == NO_REASON)
		return 0;
	if (datapath_counters(&b->d, &c))
		die("counters", errno);
	return ((const uint64_t *)&c)[reason];
}

/* The generator alone; where the datapath changes the length of frames, with half of doing so and undoing it. */
static double run_generator(struct core *c, const struct job *j, uint32_t count, uint32_t packets)
{
	struct job generator = job_beside(j, false);
	double ns = core_run(c, &generator, count, packets);

	if (!j->six)
		return ns;
	generator.target = TARGET_MOVED;
	return (ns + core_run(c, &generator, count, packets)) / 2;
}

/* In pieces short enough that refusals can be held off for them; a list that is run but once is not cut. */
static double run_held(struct core *c, const struct job *j, uint32_t count, uint32_t packets)
{
	uint32_t piece = count > HELD_PACKETS ? count : HELD_PACKETS, n;
	double sum = 0;

	for (uint32_t done = 0; done < packets; done += n) {
		n = packets - done < piece ? packets - done : piece;
		space_hold_refusals(c->b, j->hold);
		sum += core_run(c, j, count, n) * n;
	}
	return sum / packets;
}

struct sample measure(struct core *c, const struct job *j, uint32_t count, uint32_t packets)
{
	struct job floor = job_beside(j, true);
	/* Not for the time between: the machine may have but this core. */
	bool first = core_first(true);
	uint32_t beside = packets > LEAST_PACKETS ? packets : LEAST_PACKETS;
	struct sample s = {
		.generator = run_generator(c, j, count, beside),
		.floor = core_run(c, &floor, count, beside),
	};
	uint64_t before, gone;

	/* Once through a list that is run over and over: what ran before had the caches, and sessions are refreshed. */
	if (packets > count && !j->hold)
		core_run(c, j, count, count);
	before = counted(c->b, j->reason);
	s.ns = j->hold ? run_held(c, j, count, packets) : core_run(c, j, count, packets);
	if (first)
		core_first(false);
	gone = counted(c->b, j->reason) - before;
	if (j->reason != NO_REASON && gone != packets) {
		fprintf(stderr, "bench: %" PRIu64 " of %" PRIu32 " packets were counted as they should be\n", gone,
			packets);
		exit(1);
	}
	s.moved = packets;
	return s;
}

bool core_first(bool first)
{
	struct sched_param p = { .sched_priority = first };

	return !sched_setscheduler(0, first ? SCHED_FIFO : SCHED_OTHER, &p);
}

void core_pin(const struct core *c)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(c->cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("pinning to a core", errno);
}
