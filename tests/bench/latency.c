// SPDX-License-Identifier: BSD-2-Clause
/*
 * What one read at random costs on this machine, now: a session at random is one such read at least, in pages of 4 KB
 * as the kernel maps arrays, so no program can be faster than its instructions and this.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "bench.h"

#define LINE  64U
#define READS 1000000U

/* A prime, for consecutive numbers to be of lines far apart. */
#define SPREAD 2654435761U

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

bool circle_new(struct bench *b, uint64_t octets, struct circle *ret)
{
	uint32_t n = (uint32_t)(octets / LINE);
	_cleanup_free_ uint32_t *order = malloc(n * sizeof(*order));
	char *memory = take_memory(octets);

	*ret = (struct circle){ .memory = memory, .octets = octets };
	if (!order || !memory) {
		circle_free(ret);
		return false;
	}
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	for (uint32_t i = n; i > 1; i--) {
		uint32_t other = (uint32_t)(random_next(&b->seed) % i), kept = order[i - 1];

		order[i - 1] = order[other];
		order[other] = kept;
	}
	/* Each read tells where the next is. */
	for (uint32_t i = 0; i < n; i++)
		*(void **)(memory + (uint64_t)order[i] * LINE) = memory + (uint64_t)order[(i + 1) % n] * LINE;
	return true;
}

double circle_run(const struct circle *c, uint64_t start)
{
	void **at = (void **)(c->memory + start / LINE * LINE);
	double from = thread_ns();

	for (uint32_t i = 0; i < READS; i++)
		at = *(void *volatile *)at;
	return (thread_ns() - from) / READS;
}

void circle_free(struct circle *c)
{
	if (c->memory)
		munmap(c->memory, c->octets);
	c->memory = NULL;
}

double memory_latency(struct bench *b, uint64_t octets)
{
	struct circle c;
	double ns;

	if (!circle_new(b, octets, &c))
		return 0;
	ns = circle_run(&c, 0);
	circle_free(&c);
	return ns;
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
