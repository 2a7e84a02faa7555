/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys of real maps of the kernel. */
#include <criterion/criterion.h>

#include <bpf/bpf.h>
#include <stdint.h>
#include <stdlib.h>

#include "datapath/map_keys.h"

#define ENTRIES 1000U

static int map_with(uint32_t n)
{
	int map = bpf_map_create(BPF_MAP_TYPE_HASH, "keys", sizeof(uint32_t), sizeof(uint64_t), ENTRIES, NULL);

	if (map < 0)
		cr_skip("a map needs root");
	for (uint32_t key = 0; key < n; key++)
		cr_assert_eq(bpf_map_update_elem(map, &key, &(uint64_t){ key }, BPF_ANY), 0);
	return map;
}

static bool is_multiple(const void *key, const void *of)
{
	return *(const uint32_t *)key % *(const uint32_t *)of == 0;
}

Test(map_keys, each_key_is_read_once)
{
	static const uint32_t sizes[] = { 0, 1, 63, 64, 65, ENTRIES };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		int map = map_with(sizes[i]);
		size_t n;
		uint32_t *keys = map_keys(map, sizeof(*keys), &n);
		bool seen[ENTRIES] = { 0 };

		cr_assert(keys);
		cr_assert_eq(n, sizes[i]);
		for (size_t k = 0; k < n; k++) {
			cr_assert(keys[k] < sizes[i] && !seen[keys[k]]);
			seen[keys[k]] = true;
		}
		free(keys);
	}
}

Test(map_keys, a_map_that_is_not_there_has_none)
{
	size_t n;
	uint32_t *keys = map_keys(-1, sizeof(*keys), &n);

	cr_assert(keys);
	cr_assert_eq(n, 0);
	free(keys);
	cr_assert_eq(map_keep(-1, sizeof(*keys), is_multiple, &(uint32_t){ 2 }), 0);
}

Test(map_keys, what_is_not_wanted_is_removed_and_all_else_stays)
{
	const uint32_t of = 3;
	int map = map_with(ENTRIES);

	cr_assert_eq(map_keep(map, sizeof(of), is_multiple, &of), 0);
	for (uint32_t key = 0; key < ENTRIES; key++) {
		uint64_t value = UINT64_MAX;

		cr_assert_eq(!bpf_map_lookup_elem(map, &key, &value), key % of == 0, "key %u", key);
		cr_assert(key % of || value == key);
	}
}
