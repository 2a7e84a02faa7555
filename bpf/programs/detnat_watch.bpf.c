// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tracepoint programs that watch redirected frames: the program that redirects a frame never learns whether it left.
 * Also the program that the agent uses to test an interface with a frame of its own.
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include <detnat/reasons.h>
#include <detnat/watch.h>

#define ENETDOWN 100
#define EMSGSIZE 90
#define ENOSPC	 28

/* Index of the loopback interface in every namespace; the agent's test frames come from it. */
#define LOOPBACK_IFINDEX 1

/* Only the fields read here; libbpf finds their offsets in the running kernel. */
struct ns_common {
	unsigned int inum;
} __attribute__((preserve_access_index));

struct net {
	struct ns_common ns;
} __attribute__((preserve_access_index));

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	int ifindex;
	possible_net_t nd_net;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_WATCHED);
	__type(key, __u32);
	__type(value, struct watched);
} watched SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 << 10); /* a multiple of the page size of any machine */
} alarms SEC(".maps");

/* The pinned map `counters`. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

/* The pinned map `stage_drops`, see stage_drops.h. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} stage_drops SEC(".maps");

const volatile __u32 netns; /* inode number of the agent's network namespace */

/* Index of the interface that try_redirect sends to; 0 while the agent tests none. */
volatile __u32 try_ifindex;

static __always_inline struct watched *watched_find(__u32 ifindex, const struct net_device *in_namespace_of)
{
	/* Interfaces in other namespaces can have the same index. */
	if (BPF_CORE_READ(in_namespace_of, nd_net.net, ns.inum) != netns)
		return 0;
	return bpf_map_lookup_elem(&watched, &ifindex);
}

static __always_inline void count(struct watched *w, __u32 ifindex, __u64 frames, __s32 error, int unable)
{
	__u32 zero = 0;
	struct counters *c = bpf_map_lookup_elem(&counters, &zero);
	__u64 now;

	if (c)
		c->redirect_errors += frames;
	__sync_fetch_and_add(&w->refused, frames);
	if (!unable)
		return;
	w->error = error;
	__sync_fetch_and_add(&w->unable, frames);
	now = bpf_ktime_get_ns();
	if (now - w->told_ns < ALARM_PAUSE_NS)
		return;
	w->told_ns = now;
	bpf_ringbuf_output(&alarms, &ifindex, sizeof(ifindex), 0);
}

/* Subtracts the frames of this batch that the interface's program dropped. */
static __always_inline __u32 without_stage2(__u32 drops)
{
	__u32 zero = 0, *own = bpf_map_lookup_elem(&stage_drops, &zero), n;

	if (!own)
		return drops;
	n = *own;
	*own = 0;
	return n < drops ? drops - n : 0;
}

/*
 * Arguments: from, to, sent, drops, err. A batch of frames was handed to an interface; err is 0 if its queue was full.
 */
SEC("raw_tp/xdp_devmap_xmit")
int watch_xmit(struct bpf_raw_tracepoint_args *ctx)
{
	struct net_device *from = (void *)ctx->args[0], *to = (void *)ctx->args[1];
	__u32 sent = ctx->args[2], drops = ctx->args[3];
	__s32 error = (__s32)ctx->args[4];
	struct watched *w;
	__u32 ifindex;
	int trial;

	/* The checks below cost time, and nearly every batch is sent in full. */
	if (!drops && !try_ifindex)
		return 0;
	if (drops)
		drops = without_stage2(drops);
	trial = BPF_CORE_READ(from, ifindex) == LOOPBACK_IFINDEX;
	if (!drops && !trial)
		return 0;
	ifindex = BPF_CORE_READ(to, ifindex);
	w = watched_find(ifindex, to);
	if (!w)
		return 0;
	if (!trial) {
		count(w, ifindex, drops, error, error < 0 && error != -ENOSPC);
		return 0;
	}
	__sync_fetch_and_add(&w->tried_ok, sent);
	if (drops) {
		w->error = error;
		__sync_fetch_and_add(&w->tried_refused, drops);
	}
	return 0;
}

/* Arguments: from, program, target, err, map type, map, index. A frame was refused before it reached an interface. */
SEC("raw_tp/xdp_redirect_err")
int watch_redirect(struct bpf_raw_tracepoint_args *ctx)
{
	struct net_device *from = (void *)ctx->args[0];
	__s32 error = (__s32)ctx->args[3];
	__u32 ifindex = ctx->args[6];
	struct watched *w = watched_find(ifindex, from);

	if (!w)
		return 0;
	if (BPF_CORE_READ(from, ifindex) == LOOPBACK_IFINDEX) {
		w->error = error;
		__sync_fetch_and_add(&w->tried_refused, 1);
	} else {
		count(w, ifindex, 1, error, error < 0 && error != -EMSGSIZE && error != -ENOSPC);
	}
	return 0;
}

SEC("xdp")
int try_redirect(struct xdp_md *ctx)
{
	return (int)bpf_redirect(try_ifindex, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
