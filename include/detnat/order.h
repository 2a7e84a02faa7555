/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Memory barriers, for BPF programs and for what user space shares with them: order_reads() between loads,
 * order_writes() between stores, order_and_add() between all before it and its own addition.
 *
 * order_after(pointer, value) is the pointer, for a load that must come after the one that gave the value: a processor
 * waits for what an address depends on. That costs two instructions, so the fast path has it in place of a barrier. The
 * value must not have been compared yet, or the compiler may take what it is equal to.
 *
 * An atomic operation of BPF orders memory only if it returns the value that was there; compilers choose the form that
 * returns nothing, and orders nothing on arm64, wherever the value is unused.
 */
#ifndef DETNAT_ORDER_H
#define DETNAT_ORDER_H

/* A single load or store, which the compiler neither repeats nor omits. */
#define LOAD(x)		(*(const volatile typeof(x) *)&(x))
#define STORE(x, value) (*(volatile typeof(x) *)&(x) = (value))

#if defined(__TARGET_ARCH_x86) || defined(__x86_64__)
/* The processor keeps the order of loads and that of stores. */
#define order_memory()		    __asm__ volatile("" ::: "memory")
#define order_and_add(word, n)	    (void)__sync_fetch_and_add(word, n)
#define order_after(pointer, value) ((void)(value), (pointer))
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

/* The verifier knows that the value is 0 then, and the processor does not. */
#define order_after(pointer, value)                                            \
	({                                                                     \
		unsigned long long order_zero = (value);                       \
		__asm__ volatile("%0 &= 0" : "+r"(order_zero));                \
		(typeof(pointer))((unsigned long long)(pointer) + order_zero); \
	})
#else
#define order_memory()		    __sync_synchronize()
#define order_and_add(word, n)	    (void)__sync_fetch_and_add(word, n)
#define order_after(pointer, value) ((void)(value), order_memory(), (pointer))
#endif
#define order_reads()  order_memory()
#define order_writes() order_memory()

#endif
