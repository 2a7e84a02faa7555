/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The Internet checksum's sum over octets of the frame, in any buffer. For the slow path. */
#ifndef DETNAT_FRAME_SUM_H
#define DETNAT_FRAME_SUM_H

#include "packet/checksum.h"
#include "packet/parse.h"

#define FRAME_SUM_FAILED (~0ULL)
/* Octets per step. */
#define FRAME_SUM_STEP 64U
/* Maximum number of octets summed. */
#define FRAME_SUM_MAX 65536U

struct frame_sum {
	ctx_t *ctx;
	__u64 sum;
	__u32 at;
	__u32 end;
	__u32 failed;
	__u32 pad;
};

/* Adds the next 64 octets of the frame, or fewer at its end. Returns 1 to end the loop. */
static long frame_sum_step(__u32 i, struct frame_sum *s)
{
	__u32 words[FRAME_SUM_STEP / 4] = {}, size = s->end - s->at, below;

	if (s->at >= s->end)
		return LOOP_END;
	/* All ones or none, instead of a branch, of which the verifier would follow both sides. */
	below = (__u32)((__s32)(size - sizeof(words)) >> 31);
	barrier_var(below);
	size = (size & below) | (sizeof(words) & ~below);
	/* Older verifiers derive no lower bound from a comparison. */
	barrier_var(size);
	size = ((size - 1) & (sizeof(words) - 1)) + 1;
	if (ctx_load(s->ctx, s->at, words, size)) {
		s->failed = 1;
		return LOOP_END;
	}
	for (__u32 k = 0; k < FRAME_SUM_STEP / 4; k++)
		s->sum += words[k];
	s->at += sizeof(words);
	return LOOP_ON;
}

/* Unfolded sum of the octets from `at` up to, but not including, `end`; FRAME_SUM_FAILED if the frame is shorter. */
SUBPROGRAM __u64 frame_sum(ctx_t *ctx, __u32 at, __u32 end)
{
	struct frame_sum s = { .ctx = ctx, .at = at, .end = end };

	bpf_loop(FRAME_SUM_MAX / FRAME_SUM_STEP, frame_sum_step, &s, 0);
	return s.failed ? FRAME_SUM_FAILED : s.sum;
}

#endif
