/* SPDX-License-Identifier: BSD-2-Clause */
/* Searches in sorted arrays. */
#ifndef DETNAT_SEARCH_H
#define DETNAT_SEARCH_H

#include <stddef.h>

/*
 * Counts the elements at the beginning of a sorted array of n for which a condition holds, by halves. `place` names the
 * variable with which the condition says where it looks: count_while(i, n, at[i] < key) is the place of the first
 * element that is at least key, or n.
 */
#define count_while(place, n, condition)                                  \
	({                                                                \
		size_t _low = 0, _high = (n);                             \
		while (_low < _high) {                                    \
			const size_t place = _low + (_high - _low) / 2;   \
			_low = (condition) ? (place) + 1 : _low;          \
			_high = _low > (place) ? _high : (size_t)(place); \
		}                                                         \
		_low;                                                     \
	})

#endif
