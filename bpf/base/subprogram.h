/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Global subprograms: verified once, independently of their callers. If one were inlined, the verifier would follow
 * each of its paths through all the code after it. Memory passed by address must be initialised, may be NULL for the
 * verifier, and has unknown content afterwards, so it must not hold pointers. The returned integer is unknown to the
 * verifier, too.
 *
 * The fast path calls them only where few packets of a session need them: session_hit(), portmaps and bindings. For
 * other packets a call would cost too much.
 */
#ifndef DETNAT_SUBPROGRAM_H
#define DETNAT_SUBPROGRAM_H

#define SUBPROGRAM __attribute__((noinline))

/*
 * For a subprogram that does not read its context in some objects: clang would let callers pass any value, which the
 * verifier rejects.
 */
#define NEEDS_CONTEXT(ctx) asm volatile("" ::"r"(ctx))

/* The result of a step of bpf_loop(): 1 ends it. clang may know a subprogram's result; the verifier does not. */
static __attribute__((always_inline)) inline long loop_ends(int returned)
{
	asm volatile("" : "+r"(returned));
	return returned != 0;
}

#endif
