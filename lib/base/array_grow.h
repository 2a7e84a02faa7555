/* SPDX-License-Identifier: BSD-2-Clause */
/* Arrays that grow. */
#ifndef DETNAT_ARRAY_GROW_H
#define DETNAT_ARRAY_GROW_H

#include <errno.h>
#include <stdlib.h>

#define GROW_FIRST 64U

/*
 * Makes room for one more element of `size` octets. array: address of the pointer to n elements that have *room; it
 * doubles. 0 or -ENOMEM, with the array as it was.
 */
static inline int array_grow(void *array, size_t n, size_t *room, size_t size)
{
	void **at = array, *larger;

	if (n < *room)
		return 0;
	larger = reallocarray(*at, *room ? *room * 2 : GROW_FIRST, size);
	if (!larger)
		return -ENOMEM;
	*at = larger;
	*room = *room ? *room * 2 : GROW_FIRST;
	return 0;
}

#endif
