/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arrays of the history's index. Their room follows from the number of elements: the next power of two, at least 8.
 */
#ifndef DETNAT_HISTORY_GROW_H
#define DETNAT_HISTORY_GROW_H

#include <errno.h>
#include <stdlib.h>

#define HISTORY_FIRST_ROOM 8U

/* Makes room for one more element of `size` octets. array: address of the pointer to n elements. 0 or -ENOMEM. */
static inline int history_grow(void *array, size_t n, size_t size)
{
	void **at = array, *larger;

	if (n & (n - 1) || (n && n < HISTORY_FIRST_ROOM))
		return 0;
	larger = reallocarray(*at, n ? n * 2 : HISTORY_FIRST_ROOM, size);
	if (!larger)
		return -ENOMEM;
	*at = larger;
	return 0;
}

#endif
