/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keys of hashes and tries of the datapath. They are read before anything is done with them: a map whose entries
 * are removed while it is walked begins anew.
 */
#ifndef DETNAT_MAP_KEYS_H
#define DETNAT_MAP_KEYS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * All keys of a map, of key_size octets each, one behind the other, and no more than it has room for, as programs may
 * change it meanwhile. NULL: out of memory; never for an empty map, or one that is not there (-1). The caller frees it.
 */
void *map_keys(int map, size_t key_size, size_t *ret_n);

/* Removes the entries whose keys are not wanted. 0 or -ENOMEM. */
typedef bool (*map_key_test)(const void *key, const void *arg);
int map_keep(int map, size_t key_size, map_key_test wanted, const void *arg);

#endif
