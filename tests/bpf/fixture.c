// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include "datapath/datapath_private.h"
#include "links/interfaces.h"
#include "tables/mapping_changes.h"
#include "tables/mapping_drains.h"
#include <detnat/fragments.h>
#include <detnat/trace.h>

#include "fixture.h"
#include "fixture_namespace.h"
#include "late_tc.h"
#include "left_out.h"
#include "staged.h"
#include "told_routes.h"

struct datapath datapath;
struct mappings *mappings;
uint32_t inside_ifindex, outside_ifindex, gso_size;
struct binding_layout bindings;
struct limit_layout user_limits;
struct settings settings = { .redirect = 1, .guard = 1, .answer_arp = 1, .hairpin = 1, .quota_icmp_code = 1 };

static void describe_device(uint32_t ifindex, uint8_t roles, uint32_t addr, enum station station)
{
	const struct device record = {
		.mac = { 2, 0, 0, 0, 0, (uint8_t)station },
		.roles = roles,
		.flags = DEVICE_REDIRECT | DEVICE_NATIVE,
		.addr = addr,
		.mtu = 1500,
	};

	device_store(&datapath, ifindex, &record);
}

/* With TRACED=1 in the environment the tracing build runs, recording every packet: it must decide alike. */
static void open_trace(void)
{
	const struct trace_filter everything = { .left = INT64_MAX };
	uint32_t zero = 0;

	if (!getenv("TRACED") || datapath.trace_filter >= 0)
		return;
	settings.trace = 1;
	datapath.trace_filter =
		bpf_map_create(BPF_MAP_TYPE_ARRAY, "trace_filter", sizeof(zero), sizeof(everything), 1, NULL);
	datapath.trace_ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "trace_ring", 0, 0, 1 << 20, NULL);
	datapath.trace_records = bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "trace_records", sizeof(zero),
						sizeof(struct trace_record), 1, NULL);
	cr_assert(datapath.trace_filter >= 0 && datapath.trace_ring >= 0 && datapath.trace_records >= 0, "%s",
		  strerror(errno));
	cr_assert_eq(bpf_map_update_elem(datapath.trace_filter, &zero, &everything, BPF_ANY), 0);
}

void stay_on_one_core(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	cr_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);
}

bool redirect_tc_leaves_answers;

bool redirect_tc_wanted(void)
{
	return getenv("REDIRECT_TC") != NULL;
}

void reload_settings(void)
{
	struct error err;

	if (redirect_tc_wanted())
		settings.tc |= TC_REDIRECTS;

	open_trace();
	if (!settings.hz)
		settings.hz = datapath.hz;
	settings.bindings = bindings.mapping || settings.drains;
	settings.filtering = !!bindings.filtering;
	if (staged_wanted())
		settings.stages = 2;
	staged_begin_reload();
	cr_assert_eq(datapath_load(&datapath, &settings, &err), 0, "%s", err.text);
	datapath_settle(&datapath);
	staged_reload();
}

void make_mapping(const struct mapping_spec *spec, const struct mapping_handover *how)
{
	struct mapping_job *job;
	struct error err;
	int r = mappings_add_begin(mappings, spec, &job, &err);

	cr_assert_eq(r, 0, "%s", err.text);
	while ((r = mappings_add_step(job, &err)) > 0)
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	cr_assert_eq(r, 0, "%s", err.text);
	cr_assert_eq(mappings_add_commit_with(job, how ? how : &(struct mapping_handover){ 0 }), 0);
}

static void add_mapping(void)
{
	struct mapping_spec spec = {
		.in = { ADDR(10, 0, 0, 0), 24 }, .out = { POOL, 30 }, .sessions_per_user = 1000, .session_slots = 1024
	};
	const uint32_t seconds[N_TIMEOUTS] = {
#define X(constant, name, value) value,
		TIMEOUTS(X)
#undef X
	};

	spec.bindings = bindings;
	spec.limit = user_limits;
	for (int i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = ticks_of_seconds(seconds[i], datapath.hz);
	make_mapping(&spec, NULL);
}

void enter_ports(void)
{
	cr_assert_eq(datapath_add_port(&datapath, inside_ifindex), 0);
	cr_assert_eq(datapath_add_port(&datapath, outside_ifindex), 0);
}

/*
 * DETNAT_TICK_PART=N: tests begin N hundredths of a tick after one began. With 0 what a test does fast is in one tick,
 * with 98 the next begins at once: what rests on where in a tick it happened shows.
 */
static void begin_in_tick(void)
{
	const char *part = getenv("DETNAT_TICK_PART");

	if (!part)
		return;
	next_tick();
	usleep((useconds_t)(strtoul(part, NULL, 10) * (1000000U << TICK_SHIFT) / datapath.hz / 100));
}

void set_up(void)
{
	struct config config = { .pin_path = (char *)"/sys/fs/bpf/detnat" };
	const uint32_t room = 8192;
	struct error err;

	if (!settings.extent_buckets)
		settings.extent_buckets = room;
	config.extent_buckets = settings.extent_buckets;
	namespace_make();
	settings.limits = (uint8_t)limit_layout_any(&user_limits);
	tc_is_late = true;
	cr_assert_eq(datapath_open(&config, false, &datapath, &err), 0, "%s", err.text);
	reload_settings();
	cr_assert_eq(mappings_open(&datapath, &mappings, &err), 0, "%s", err.text);
	for (unsigned tenant = 1; tenant < MAX_TENANT_NUMBERS; tenant++)
		datapath.way[tenant] = WAY_MAIN;
	describe_device(inside_ifindex, DEVICE_INSIDE, ADDR(10, 0, 0, 1), GATEWAY_IN);
	describe_device(outside_ifindex, DEVICE_OUTSIDE, ADDR(198, 51, 100, 1), GATEWAY_OUT);
	add_mapping();
	enter_ports();
	/* Frames are marked only if the agent's copy of the routes tells their next hops. */
	if (staged_wanted())
		follow_routes();
	refresh_followed_routes();
	begin_in_tick();
}

void set_up_with_room(void)
{
	full_sized_maps = true;
	set_up();
}

/* The namespaces, and with them everything else, end with the process. */
void tear_down(void)
{
	left_out_check();
	mappings_close(mappings);
	datapath_close(&datapath);
}

/* Whether a hook is one of XDP's for which the programs of tc that do the same stand in. */
static bool is_stood_in(enum hook hook)
{
	return redirect_tc_wanted() && hook != TC_OUTSIDE && hook != TC_OWN && hook < INGRESS_INSIDE;
}

int hook_program(enum hook hook)
{
	static const uint32_t entry[] = { ENTRY_INSIDE, ENTRY_OUTSIDE, ENTRY_BOTH };
	uint32_t id, prog = hook == XDP_OUTSIDE_SLOW ? PROG_out2in : PROG_in2out;
	enum prog_array array = is_stood_in(hook) ? REDIRECT_PROGS : XDP_PROGS;

	if (hook == TC_OUTSIDE || hook == TC_OWN)
		return dup(tc_program());
	if (hook >= INGRESS_INSIDE)
		return dup(datapath.build->ingress[hook - INGRESS_INSIDE + ENTRY_INSIDE]);
	if (hook == XDP_INSIDE_SLOW || hook == XDP_OUTSIDE_SLOW) {
		cr_assert_eq(bpf_map_lookup_elem(datapath.build->arrays[array], &prog, &id), 0);
		return bpf_prog_get_fd_by_id(id);
	}
	if (is_stood_in(hook))
		return dup(datapath.build->redirect[entry[hook]]);
	/* A test that reloads meanwhile may take the program away between the two. */
	for (unsigned tries = 0;; tries++) {
		cr_assert_eq(bpf_map_lookup_elem(datapath.entries, &entry[hook], &id), 0);

		int fd = bpf_prog_get_fd_by_id(id);

		if (fd >= 0 || tries == 100)
			return fd;
	}
}

static int take_transmission(void *arg, void *data, size_t size)
{
	struct transmission *t = arg;

	cr_assert_geq(size, offsetof(struct transmission, frame));
	cr_assert_leq(size, sizeof(*t));
	memcpy(t, data, size);
	cr_assert_eq(size, offsetof(struct transmission, frame) + t->length);
	return -ECANCELED;
}

static int transmitted_by_ring(struct transmission *ret)
{
	struct ring_buffer *ring = ring_buffer__new(datapath.transmissions, take_transmission, ret, NULL);
	int r;

	cr_assert_not_null(ring);
	r = ring_buffer__consume(ring);
	ring_buffer__free(ring);
	return r == -ECANCELED;
}

/* What was left for the agent to send and is no answer: transmitted() has it first. */
static struct transmission others[64];
static size_t n_others, next_other;

/* Returns 1 if the agent got an answer to the sender of a packet, in *ret. */
static int take_answer(struct transmission *ret)
{
	while (transmitted_by_ring(ret)) {
		if (ret->kind == TRANSMISSION_PACKET && !ret->mtu)
			return 1;
		others[n_others++ % (sizeof(others) / sizeof(*others))] = *ret;
	}
	return 0;
}

/* The frame that XDP makes of the packet where tc leaves an answer to the agent: one as long as Ethernet's shortest. */
static int send_answer(uint32_t ifindex, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size)
{
	struct transmission t;
	size_t length;

	if (!take_answer(&t))
		return XDP_DROP;
	cr_assert_eq(t.ifindex, ifindex);
	length = ETH_HLEN + t.length;
	memset(out, 0, size < 60 ? size : 60);
	memcpy(out, in + ETH_ALEN, ETH_ALEN);
	memcpy(out + ETH_ALEN, datapath.device[ifindex].mac, ETH_ALEN);
	memcpy(out + 2 * ETH_ALEN, in + 2 * ETH_ALEN, 2);
	memcpy(out + ETH_HLEN, t.frame, t.length);
	*ret_size = length < 60 ? (size < 60 ? size : 60) : length;
	return XDP_REDIRECT;
}

/* The verdict of XDP that is the same as one of tc. */
static int verdict_of_tc(int verdict)
{
	return verdict == TC_ACT_UNSPEC	    ? XDP_PASS
	       : verdict == TC_ACT_REDIRECT ? XDP_REDIRECT
	       : verdict == TC_ACT_SHOT	    ? XDP_DROP
					    : XDP_ABORTED;
}

static int run_hook_on(uint32_t ifindex, enum hook hook, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size)
{
	_cleanup_close_ int fd = hook_program(hook);
	struct xdp_md xdp = { .data_end = (uint32_t)size, .ingress_ifindex = ifindex };
	struct __sk_buff skb = { .ifindex = outside_ifindex,
				 .ingress_ifindex = hook == TC_OWN ? 0 : inside_ifindex,
				 .gso_size = gso_size,
				 .gso_segs = gso_size ? 2 : 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = (uint32_t)size, .data_out = out,
		    .data_size_out = FRAME_MAX, .repeat = 1);

	if (hook >= INGRESS_INSIDE || is_stood_in(hook))
		skb.ifindex = ifindex;
	if (hook == TC_OUTSIDE || hook == TC_OWN || hook >= INGRESS_INSIDE || is_stood_in(hook)) {
		opts.ctx_in = &skb;
		opts.ctx_size_in = sizeof(skb);
	} else {
		opts.ctx_in = &xdp;
		opts.ctx_size_in = sizeof(xdp);
	}
	cr_assert_eq(bpf_prog_test_run_opts(fd, &opts), 0, "BPF_PROG_TEST_RUN of %zu octets: %s", size,
		     strerror(errno));
	*ret_size = opts.data_size_out;
	if (!is_stood_in(hook))
		return (int)opts.retval;
	if (opts.retval == TC_ACT_SHOT && !redirect_tc_leaves_answers)
		return send_answer(ifindex, in, size, out, ret_size);
	return verdict_of_tc((int)opts.retval);
}

static uint32_t hook_ifindex(enum hook hook)
{
	return hook == XDP_OUTSIDE || hook == XDP_OUTSIDE_SLOW || hook == INGRESS_OUTSIDE ? outside_ifindex
											  : inside_ifindex;
}

int run_hook(enum hook hook, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size)
{
	return run_hook_on(hook_ifindex(hook), hook, in, size, out, ret_size);
}

int run_frame_on(uint32_t ifindex, enum hook hook, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size)
{
	cpu_set_t before;
	int verdict;

	if (!staged_wanted())
		return run_hook_on(ifindex, hook, in, size, out, ret_size);
	cr_assert_eq(sched_getaffinity(0, sizeof(before), &before), 0);
	stay_on_one_core();
	staged_enter();
	verdict = staged_finish(run_hook_on(ifindex, hook, in, size, out, ret_size), out, ret_size);
	staged_leave();
	cr_assert_eq(sched_setaffinity(0, sizeof(before), &before), 0);
	return verdict;
}

int run_frame(enum hook hook, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size)
{
	return run_frame_on(hook_ifindex(hook), hook, in, size, out, ret_size);
}

int transmitted(struct transmission *ret)
{
	if (next_other == n_others)
		return transmitted_by_ring(ret);
	*ret = others[next_other++ % (sizeof(others) / sizeof(*others))];
	return 1;
}

static struct counters read_counters(void)
{
	struct counters c;

	cr_assert_eq(datapath_counters(&datapath, &c), 0);
	return c;
}

uint64_t counted(enum reason reason)
{
	struct counters c = read_counters();

	return ((__u64 *)&c)[reason];
}

static const char *reason_name(unsigned reason)
{
	static const char *const names[] = {
#define X(name, text) #name,
		REASONS(X) SENT_KINDS(X) INCIDENTS(X)
#undef X
	};

	return names[reason];
}

/* Octets of a frame's IP packet, behind its VLAN tags: by its header, where 0 stands for all that follows. */
static uint64_t packet_octets(const uint8_t *frame, size_t size)
{
	size_t at = 12, length;

	while (at + 8 < size && ((frame[at] == 0x81 && !frame[at + 1]) || (frame[at] == 0x88 && frame[at + 1] == 0xa8)))
		at += 4;
	if (at + 6 > size)
		return 0;
	length = (size_t)(frame[at + 4] << 8 | frame[at + 5]);
	return length ? length : size - at - 2;
}

/* The packet is in exactly one of the reasons, and its octets are in that one's volume if it has one. */
static void expect_reason(const char *name, enum reason reason, const struct counters *before, uint64_t octets)
{
	static const char *const volumes[] = {
#define X(name, text) #name,
		VOLUMES(X)
#undef X
	};
	struct counters after = read_counters();
	unsigned n = 0;
#define X(name, text) n++;
	REASONS(X)
#undef X

	for (unsigned i = 0; i < sizeof(volumes) / sizeof(*volumes); i++) {
		unsigned at = REASON_in2out_octets + i;
		uint64_t change = ((__u64 *)&after)[at] - ((const __u64 *)before)[at];

		cr_expect_eq(change, reason == REASON_in2out_translated + i ? octets : 0, "%s: %lu %s", name, change,
			     volumes[i]);
	}

	for (unsigned i = 0; i < n; i++) {
		uint64_t change = ((__u64 *)&after)[i] - ((const __u64 *)before)[i];

		cr_expect_eq(change, i == reason, "%s: %s counted %lu times", name, reason_name(i), change);
	}
}

void run_frame_counted(const char *name, enum hook hook, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size,
		       int verdict, enum reason reason)
{
	struct counters before;
	int got;

	refresh_followed_routes();
	before = read_counters();
	got = run_frame(hook, in, size, out, ret_size);
	cr_expect_eq(got, verdict, "%s: verdict %d, not %d", name, got, verdict);
	expect_reason(name, reason, &before, packet_octets(in, size));
}

void run_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct row *row = &rows[i];
		uint8_t in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
		size_t size = frame_build(&row->in, in), out_size;
		size_t want_size = frame_build(row->out.proto ? &row->out : &row->in, want);

		run_frame_counted(row->name, row->hook, in, size, out, &out_size, row->verdict, row->reason);
		cr_expect(frame_equal(row->name, out, out_size, want, want_size), "%s: another packet", row->name);
	}
}

static void age_those(struct slot *slots, uint32_t n, uint32_t ticks)
{
	for (struct slot *s = slots; s < slots + n; s++)
		if (word_is_live(s->truth))
			s->truth = word_with(s->truth, word_state(s->truth), word_seen(s->truth) - ticks);
}

struct slot *slots_beyond(int number, uint32_t in_addr, uint32_t *ret_n)
{
	const struct mapping *m = mappings_get(mappings, number);

	return datapath_extent(
		&datapath, subscriber_extent(mappings_subscriber(mappings, number, in_addr - m->geo.in_base)), ret_n);
}

struct slot *slot_beyond(uint32_t in_addr, uint64_t key, uint8_t proto)
{
	int number = mappings_find_any(mappings, in_addr);
	uint32_t n = 0;
	struct slot *slots = number < 0 ? NULL : slots_beyond(number, in_addr, &n);

	for (uint32_t i = 0; i < n; i++)
		if (word_is_live(slots[i].truth) && slots[i].key == key && word_proto(slots[i].truth) == proto)
			return &slots[i];
	return NULL;
}

static void age_slots(int number, uint32_t in_addr, uint32_t seconds)
{
	const struct mapping *m = mappings_get(mappings, number);
	uint32_t n, ticks = ticks_of_seconds(seconds, datapath.hz);
	struct slot *beyond = slots_beyond(number, in_addr, &n);

	age_those(mappings_buckets(mappings, number, in_addr - m->geo.in_base)->slot, BUCKET_SLOTS << m->bucket_shift,
		  ticks);
	age_those(beyond, n, ticks);
}

void age_sessions(uint32_t in_addr, uint32_t seconds)
{
	for (int number = 0; number < (int)MAX_MAPPINGS; number++)
		if (mappings_get(mappings, number) && mappings_serves(mappings, number, in_addr))
			age_slots(number, in_addr, seconds);
}

/* Slots of all extents that there ever were. */
static uint32_t slots_of_extents(void)
{
	return datapath.pool ? (uint32_t)datapath.pool->next * BUCKET_SLOTS : 0;
}

unsigned datagrams_remembered(void)
{
	struct fragment_key key, *previous = NULL;
	unsigned n = 0;

	for (; !bpf_map_get_next_key(datapath.fragments, previous, &key); previous = &key)
		n++;
	return n;
}

int64_t sessions_overflowed(void)
{
	int64_t n = 0;

	for (uint32_t i = 0; i < slots_of_extents(); i++)
		n += word_is_live(datapath.extent->slot[i].truth);
	return n;
}

void age_beyond(uint32_t ticks)
{
	if (slots_of_extents())
		age_those(datapath.extent->slot, slots_of_extents(), ticks);
}

void next_tick(void)
{
	for (uint32_t tick = datapath_ticks(&datapath); datapath_ticks(&datapath) == tick;)
		usleep(1000);
}

int open_flow_of(uint32_t in_addr, uint8_t proto, uint16_t in_port, uint16_t ext_port, uint8_t flags)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	struct frame f = {
		.from = HOST,
		.to = GATEWAY_IN,
		.src = in_addr,
		.dst = EXTERNAL,
		.proto = proto,
		.sport = in_port,
		.dport = ext_port,
		.flags = flags,
	};
	size_t size = frame_build(&f, in), out_size, at = proto == ICMP ? 38 : 34;
	uint64_t translated = counted(REASON_in2out_translated);

	run_frame(XDP_INSIDE, in, size, out, &out_size);
	/* The verdict of an answered refusal is the same. */
	return counted(REASON_in2out_translated) > translated ? out[at] << 8 | out[at + 1] : -1;
}

int open_flow_in_time(uint32_t in_addr, uint8_t proto, uint16_t in_port, uint16_t ext_port, uint8_t flags)
{
	uint64_t busy;
	int port;

	do {
		busy = counted(REASON_drop_busy);
		port = open_flow_of(in_addr, proto, in_port, ext_port, flags);
		if (counted(REASON_drop_busy) != busy)
			next_tick();
	} while (counted(REASON_drop_busy) != busy);
	return port;
}

int open_flow(uint8_t proto, uint16_t in_port, uint16_t ext_port, uint8_t flags)
{
	return open_flow_of(SUBSCRIBER, proto, in_port, ext_port, flags);
}

struct found {
	struct session session;
	int n;
};

static int find(const struct session *s, void *arg)
{
	struct found *f = arg;

	f->session = *s;
	f->n++;
	return 0;
}

static struct found walk(uint32_t in_addr)
{
	struct session_walk *w;
	struct found f = { .n = 0 };

	cr_assert_eq(session_walk_new_subscriber(mappings, in_addr, &w), 0);
	while (session_walk_step(w, 1000000, find, &f) > 0)
		;
	session_walk_free(w);
	return f;
}

struct session only_session(uint32_t in_addr)
{
	struct found f = walk(in_addr);

	cr_assert_eq(f.n, 1, "%d sessions", f.n);
	return f.session;
}

uint32_t sessions_of(uint32_t in_addr)
{
	struct subscriber_figures figures;

	cr_assert_eq(subscriber_figures_read(mappings, in_addr, &figures), 0);
	return figures.sessions;
}
