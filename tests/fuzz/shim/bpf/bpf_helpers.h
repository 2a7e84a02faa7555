/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In place of libbpf's header: the helpers that the parser and the option walkers of bpf/ call, for user space. A frame
 * stands below 4 GiB, as its context has addresses of 32 bits.
 */
#ifndef DETNAT_FUZZ_BPF_HELPERS_H
#define DETNAT_FUZZ_BPF_HELPERS_H

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#define SEC(name)
#define __uint(name, value)  int(*name)[value]
#define __type(name, type)   typeof(type) *name
#define __array(name, value) typeof(value) *name[]
#undef __always_inline
#define __noinline	   __attribute__((noinline))
#define __always_inline	   inline __attribute__((always_inline))
#define LIBBPF_PIN_BY_NAME 1
#define barrier_var(var)   asm volatile("" : "+r"(var))

/* Every map has one element, of any content: what the walkers keep there they write first. */
static inline void *bpf_map_lookup_elem(void *map, const void *key)
{
	static _Alignas(64) char element[4096];

	return element;
}

static inline long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags)
{
	return -EINVAL;
}

static inline __u64 bpf_xdp_get_buff_len(const struct xdp_md *ctx)
{
	return ctx->data_end - ctx->data;
}

static inline long bpf_xdp_load_bytes(const struct xdp_md *ctx, __u32 offset, void *to, __u32 size)
{
	__u32 length = ctx->data_end - ctx->data;

	if (offset > length || size > length - offset)
		return -EINVAL;
	memcpy(to, (char *)(long)ctx->data + offset, size);
	return 0;
}

static inline long bpf_xdp_store_bytes(const struct xdp_md *ctx, __u32 offset, void *from, __u32 size)
{
	__u32 length = ctx->data_end - ctx->data;

	if (offset > length || size > length - offset)
		return -EINVAL;
	memcpy((char *)(long)ctx->data + offset, from, size);
	return 0;
}

/* What the headers call elsewhere than in the functions that are tried. */
#define bpf_tail_call(...)	   abort()
#define bpf_jiffies64()		   ((__u64)0)
#define bpf_ktime_get_ns()	   ((__u64)0)
#define bpf_ktime_get_coarse_ns()  ((__u64)0)
#define bpf_ktime_get_boot_ns()	   ((__u64)0)
#define bpf_map_delete_elem(...)   ((long)-EINVAL)
#define bpf_for_each_map_elem(...) ((long)-EINVAL)
#define bpf_fib_lookup(...)	   ((long)-EINVAL)
#define bpf_redirect(...)	   ((long)-EINVAL)
#define bpf_xdp_adjust_head(...)   ((long)-EINVAL)
#define bpf_xdp_adjust_tail(...)   ((long)-EINVAL)
#define bpf_xdp_adjust_meta(...)   ((long)-EINVAL)
#define bpf_ringbuf_output(...)	   ((long)-EINVAL)
#define bpf_ringbuf_reserve(...)   ((void *)0)
#define bpf_ringbuf_submit(...)	   abort()
#define bpf_ringbuf_discard(...)   abort()

#define bpf_loop(n, step, ctx, flags)                \
	({                                           \
		__u32 i_ = 0;                        \
		while (i_ < (n) && !step(i_++, ctx)) \
			;                            \
		(long)i_;                            \
	})

#endif
