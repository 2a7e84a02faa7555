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

double memory_latency(struct bench *b, uint64_t octets, uint32_t lines)
{
	uint32_t n = (uint32_t)(octets / LINE), used = lines && lines < n ? lines : n;
	uint32_t *order = malloc(n * sizeof(*order));
	char *memory = mmap(NULL, octets, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct timespec from, to;
	void **at;

	if (!order || memory == MAP_FAILED) {
		free(order);
		return 0;
	}
	madvise(memory, octets, MADV_NOHUGEPAGE);
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	for (uint32_t i = n; i > 1; i--) {
		uint32_t other = (uint32_t)(random_next(&b->seed) % i), kept = order[i - 1];

		order[i - 1] = order[other];
		order[other] = kept;
	}
	/* A circle through the lines, each read telling where the next is. */
	for (uint32_t i = 0; i < used; i++)
		*(void **)(memory + (uint64_t)order[i] * LINE) = memory + (uint64_t)order[(i + 1) % used] * LINE;
	at = (void **)(memory + (uint64_t)order[0] * LINE);
	free(order);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	for (uint32_t i = 0; i < READS; i++)
		at = *(void *volatile *)at;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	munmap(memory, octets);
	return ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / READS;
}
