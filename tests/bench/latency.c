// SPDX-License-Identifier: BSD-2-Clause
/*
 * What one read at random costs on this machine, now: a session at random is one such read at least, in pages of 4 KB
 * as the kernel maps arrays, so no program can be faster than its instructions and this.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "bench.h"

#define LINE  64U
#define READS 1000000U

/* A prime, for consecutive numbers to be of lines far apart. */
#define SPREAD 2654435761U

static double thread_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Zeroed; in small pages. NULL: there is none. */
static char *take_memory(uint64_t octets)
{
	char *memory = mmap(NULL, octets, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	madvise(memory, octets, MADV_NOHUGEPAGE);
	for (uint64_t i = 0; i < octets; i += LINE)
		*(volatile char *)(memory + i) = 0;
	return memory;
}

double memory_latency(struct bench *b, uint64_t octets)
{
	uint32_t n = (uint32_t)(octets / LINE);
	_cleanup_free_ uint32_t *order = malloc(n * sizeof(*order));
	char *memory = take_memory(octets);
	void **at = (void **)memory;
	double from;

	if (!order || !memory)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	for (uint32_t i = n; i > 1; i--) {
		uint32_t other = (uint32_t)(random_next(&b->seed) % i), kept = order[i - 1];

		order[i - 1] = order[other];
		order[other] = kept;
	}
	/* A circle through all lines, each read telling where the next is. */
	for (uint32_t i = 0; i < n; i++)
		*(void **)(memory + (uint64_t)order[i] * LINE) = memory + (uint64_t)order[(i + 1) % n] * LINE;
	from = thread_ns();
	for (uint32_t i = 0; i < READS; i++)
		at = *(void *volatile *)at;
	from = thread_ns() - from;
	munmap(memory, octets);
	return from / READS;
}

double memory_latency_of(uint64_t octets, const uint32_t *number, uint32_t n)
{
	char *memory = take_memory(octets);
	uint64_t lines = octets / LINE, zero = 0;
	double from;

	if (!memory || !lines)
		return 0;
	from = thread_ns();
	/* Where the next one is depends on what the one before reads, though that is always 0. */
	for (uint32_t i = 0; i < n; i++)
		zero = *(volatile uint64_t *)(memory + ((number[i] + zero) * SPREAD % lines) * LINE);
	from = thread_ns() - from;
	munmap(memory, octets);
	return from / n;
}
