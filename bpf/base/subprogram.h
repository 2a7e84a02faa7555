/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Global subprograms: verified once, independently of their callers. If one were inlined, the verifier would follow
 * each of its paths through all the code after it. Memory passed by address must be initialised, may be NULL for the
 * verifier, and has unknown content afterwards, so it must not hold pointers. The returned integer is unknown to the
 * verifier, too.
 *
 * They are weak, so that the compiler knows as little as the verifier: of another one it would learn the range of the
 * results (clang 17 and later), and leave out a mask or a bound after the call that the verifier needs, or which
 * arguments it does not read, and pass anything there.
 *
 * The fast path calls them only where few packets of a session need them: session_hit(), portmaps and bindings. For
 * other packets a call would cost too much.
 */
#ifndef DETNAT_SUBPROGRAM_H
#define DETNAT_SUBPROGRAM_H

#define SUBPROGRAM __attribute__((noinline, weak))

/* One, but not in the tracing builds: their frames are larger, and kernel 6.1 counts 32 octets for each call. */
#ifdef TRACE
#define SUBPROGRAM_UNTRACED static __always_inline
#else
#define SUBPROGRAM_UNTRACED SUBPROGRAM
#endif

/*
 * Whether a variable of 64 bits is below lo or above hi. Each bound is compared by itself, as the verifier must know
 * both of the variable, and a compiler that sees them together compares a difference (clang 19 does).
 */
#define OUTSIDE(x, lo, hi)       \
	((x) < (lo) || ({        \
		 barrier_var(x); \
		 (x) > (hi);     \
	 }))

/*
 * n itself, if it is 1 to mask + 1: the verifier knows so much of the result wherever the compiler keeps it. Of a
 * variable that is on the stack when it is compared, 6.1 learns nothing (clang 22 does that under pressure).
 */
#define KNOWN_LENGTH(n, mask)                                              \
	({                                                                 \
		__u64 known_length = (n)-1;                                \
		asm volatile("%0 &= %1" : "+r"(known_length) : "i"(mask)); \
		known_length + 1;                                          \
	})

/*
 * What a callback of bpf_loop() and its like returns: 0 and 1, which the verifier must see in all 64 bits. Where the
 * compiler (clang 22) knows a variable of 32 bits to be 0 or 1, it returns that variable instead of a constant.
 */
#ifdef __bpf__
#define LOOP_RESULT(n)                               \
	({                                           \
		long loop_result;                    \
		asm("%0 = " #n : "=r"(loop_result)); \
		loop_result;                         \
	})
#else /* fuzzers run the programs natively */
#define LOOP_RESULT(n) (n)
#endif
#define LOOP_ON	 LOOP_RESULT(0)
#define LOOP_END LOOP_RESULT(1)

#endif
