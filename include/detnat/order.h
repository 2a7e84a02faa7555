/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Memory barriers, for BPF programs and for what user space shares with them: order_reads() between loads,
 * order_writes() between stores, order_and_add() between all before it and its own addition.
 *
 * An atomic operation of BPF orders memory only if it returns the value that was there; compilers choose the form that
 * returns nothing, and orders nothing on arm64, wherever the value is unused.
 */
#ifndef DETNAT_ORDER_H
#define DETNAT_ORDER_H

#if defined(__TARGET_ARCH_x86) || defined(__x86_64__)
/* The processor keeps the order of loads and that of stores. */
#define order_memory()	       __asm__ volatile("" ::: "memory")
#define order_and_add(word, n) (void)__sync_fetch_and_add(word, n)
#elif defined(__bpf__)
/* BPF has no barrier that clang 14 knows. An atomic operation on the stack is one, if its result is used. */
static inline __attribute__((always_inline)) void order_memory(void)
{
	unsigned long long place = 0, before = __sync_fetch_and_add(&place, 1);

	__asm__ volatile("" : : "r"(before) : "memory");
}

/* Without a place on the stack, of which kernel 6.1 has little: the addition is the barrier. */
#define order_and_add(word, n)                                                   \
	({                                                                       \
		unsigned long long order_before = __sync_fetch_and_add(word, n); \
		__asm__ volatile("" : : "r"(order_before) : "memory");           \
	})
#else
#define order_memory()	       __sync_synchronize()
#define order_and_add(word, n) (void)__sync_fetch_and_add(word, n)
#endif
#define order_reads()  order_memory()
#define order_writes() order_memory()

#endif
