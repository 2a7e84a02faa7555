/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/map_keys.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "datapath/pinned.h"

#define ROOM_MIN 64UL

void *map_keys(int map, size_t key_size, size_t *ret_n)
{
	size_t n = 0, room = ROOM_MIN, max = map_room(map);
	_cleanup_free_ uint8_t *keys = malloc(room * key_size);

	while (keys && n < max &&
	       !bpf_map_get_next_key(map, n ? keys + (n - 1) * key_size : NULL, keys + n * key_size)) {
		uint8_t *more = ++n < room ? keys : reallocarray(keys, room *= 2, key_size);

		if (!more)
			return NULL;
		keys = more;
	}
	*ret_n = n;
	return take_pointer(keys);
}

int map_keep(int map, size_t key_size, map_key_test wanted, const void *arg)
{
	size_t n;
	_cleanup_free_ uint8_t *keys = map_keys(map, key_size, &n);

	for (size_t i = 0; keys && i < n; i++)
		if (!wanted(keys + i * key_size, arg))
			bpf_map_delete_elem(map, keys + i * key_size);
	return keys ? 0 : -ENOMEM;
}
