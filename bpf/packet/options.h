/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Options of an IP or a TCP header. Both are lists of the same form: a kind and, except for two kinds, the length of
 * the whole option and its value. For the slow path.
 */
#ifndef DETNAT_OPTIONS_H
#define DETNAT_OPTIONS_H

#include <detnat/slots.h>

#include "packet/parse.h"

#define OPTION_END  0
#define OPTION_NONE 1 /* no operation */
#define MAX_OPTIONS 40U

/*
 * The options of the current packet. Kept in a map, because the verifier then assumes nothing about their content or
 * the result of the walk.
 */
struct options {
	__u8 octet[64];
	__u32 length;
	__u32 at;      /* current option; after the walk, the one sought */
	__u32 verdict; /* enum options_verdict */
};

/* A set of option kinds, one bit each. */
struct option_kinds {
	__u64 word[4];
};
#define OPTION_BIT(kind) (1ULL << ((kind)&63))

enum options_verdict { OPTIONS_WITHOUT, OPTIONS_FOUND, OPTIONS_MALFORMED };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct options);
} options SEC(".maps");

struct options_walk {
	struct options *o;
	const struct option_kinds *sought;
};

/* Examines one option. Returns 1 to end the walk. */
static long options_step(__u32 i, struct options_walk *w)
{
	volatile struct options *o = w->o;
	__u32 at = o->at, length = o->length, size;
	__u8 kind;

	if (at >= length)
		return LOOP_END;
	kind = o->octet[at & 63];
	if (kind == OPTION_END)
		return LOOP_END;
	if (kind == OPTION_NONE) {
		o->at = at + 1;
		return LOOP_ON;
	}
	size = o->octet[(at + 1) & 63];
	if (at + 2 > length || size < 2 || at + size > length) {
		o->verdict = OPTIONS_MALFORMED;
		return LOOP_END;
	}
	if (w->sought->word[kind >> 6] & OPTION_BIT(kind)) {
		o->verdict = OPTIONS_FOUND;
		return LOOP_END;
	}
	o->at = at + size;
	return LOOP_ON;
}

/*
 * Looks for the first option of the given kinds in `length` octets of the frame, at most MAX_OPTIONS. If it finds one,
 * *ret_o has the options, and o->at is its offset; its length is at least 2 and within the list.
 */
static __always_inline enum options_verdict options_find(ctx_t *ctx, __u32 offset, __u32 length,
							 const struct option_kinds *sought, struct options **ret_o)
{
	__u32 zero = 0;
	struct options_walk w = { .o = bpf_map_lookup_elem(&options, &zero), .sought = sought };
	volatile struct options *o = w.o;

	/* The verifier must see the bounds at the call. */
	barrier_var(length);
	if (!o || !length || length > MAX_OPTIONS)
		return OPTIONS_WITHOUT;
	/* The 6.1 verifier derives no lower bound from a comparison with 0. */
	barrier_var(length);
	length = ((length - 1) & 63) + 1;
	if (ctx_load(ctx, offset, w.o->octet, length))
		return OPTIONS_WITHOUT;
	o->length = length;
	o->at = 0;
	o->verdict = OPTIONS_WITHOUT;
	bpf_loop(MAX_OPTIONS, options_step, &w, 0);
	*ret_o = w.o;
	return o->verdict;
}

/* Goes on behind the option that was found, to the next one of the given kinds. As options_find(). */
static __always_inline enum options_verdict options_find_next(struct options *found, const struct option_kinds *sought)
{
	struct options_walk w = { .o = found, .sought = sought };
	volatile struct options *o = found;

	o->at += o->octet[(o->at + 1) & 63];
	o->verdict = OPTIONS_WITHOUT;
	bpf_loop(MAX_OPTIONS, options_step, &w, 0);
	return o->verdict;
}

#endif
