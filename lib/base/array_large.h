/* SPDX-License-Identifier: BSD-2-Clause */
/* Arrays that may be very large. */
#ifndef DETNAT_ARRAY_LARGE_H
#define DETNAT_ARRAY_LARGE_H

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define LARGE_PAGE (2U << 20)

/*
 * Room for n elements of `size` octets, of any content, for free(). Each page takes time when it is used first, so that
 * of much room is of large pages, if the kernel has them. NULL: no memory.
 */
static inline void *array_large(size_t n, size_t size)
{
	size_t octets = n * size;
	void *room;

	if (size && n > (SIZE_MAX - LARGE_PAGE) / size)
		return NULL;
	if (octets < LARGE_PAGE / 4)
		return malloc(octets + 1);
	octets = (octets + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
	room = aligned_alloc(LARGE_PAGE, octets);
	if (room)
		madvise(room, octets, MADV_HUGEPAGE);
	return room;
}

#endif
