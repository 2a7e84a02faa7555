/* SPDX-License-Identifier: BSD-2-Clause */
/* The running configuration as it is saved: the latest whole state is read back, whatever moment an agent died in. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "datapath/running.h"

static void *fresh_map(void)
{
	void *map = calloc(RUNNING_PLACES, RUNNING_PLACE_SIZE);

	cr_assert(map);
	return map;
}

static void assert_state(const void *map, const char *json, uint64_t hash)
{
	_cleanup_free_ char *text = NULL;
	uint64_t read_hash = 0;

	cr_assert_eq(running_load(map, &text, &read_hash), 0);
	cr_assert_str_eq(text, json);
	cr_assert_eq(read_hash, hash);
}

Test(running, an_empty_map_holds_no_state)
{
	_cleanup_free_ void *map = fresh_map();
	char *text;
	uint64_t hash;

	cr_assert_eq(running_load(map, &text, &hash), -ENOENT);
}

Test(running, the_last_state_saved_is_read_back)
{
	_cleanup_free_ void *map = fresh_map();
	struct error err;
	char json[32];

	for (unsigned i = 0; i < 5; i++) {
		snprintf(json, sizeof(json), "{\"n\":%u}", i);
		cr_assert_eq(running_save(map, json, i * 1000ULL, &err), 0);
		assert_state(map, json, i * 1000ULL);
	}
}

Test(running, a_shorter_state_replaces_a_longer_one)
{
	_cleanup_free_ void *map = fresh_map();
	struct error err;

	for (unsigned i = 0; i < 2; i++)
		cr_assert_eq(running_save(map, "{\"long\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}", 1, &err), 0);
	for (unsigned i = 0; i < 2; i++)
		cr_assert_eq(running_save(map, "{}", 2, &err), 0);
	assert_state(map, "{}", 2);
}

/* A save is a copy to memory, so a kill leaves some first part of it done, the header's or the JSON's. */
Test(running, a_save_cut_short_leaves_the_former_state)
{
	_cleanup_free_ char *before = fresh_map(), *after = fresh_map(), *torn = fresh_map();
	const size_t size = sizeof(struct running_header) + strlen("{\"new\":1}");
	struct error err;

	cr_assert_eq(running_save(before, "{\"older\":1}", 1, &err), 0);
	cr_assert_eq(running_save(before, "{\"old\":1}", 2, &err), 0);
	memcpy(after, before, RUNNING_SIZE);
	cr_assert_eq(running_save(after, "{\"new\":1}", 3, &err), 0);
	for (size_t written = 0; written < size; written++) {
		memcpy(torn, before, RUNNING_SIZE);
		memcpy(torn, after, written);
		assert_state(torn, "{\"old\":1}", 2);
	}
	memcpy(torn, after, size);
	assert_state(torn, "{\"new\":1}", 3);
}

Test(running, a_state_that_does_not_fit_is_refused_and_the_former_one_stays)
{
	_cleanup_free_ void *map = fresh_map();
	_cleanup_free_ char *json = malloc(RUNNING_MAX_LENGTH + 2);
	struct error err;

	memset(json, ' ', RUNNING_MAX_LENGTH + 1);
	json[RUNNING_MAX_LENGTH + 1] = '\0';
	cr_assert_eq(running_save(map, "{}", 7, &err), 0);
	cr_assert_eq(running_save(map, json, 8, &err), -EFBIG);
	assert_state(map, "{}", 7);
	json[RUNNING_MAX_LENGTH] = '\0';
	cr_assert_eq(running_save(map, json, 9, &err), 0);
	assert_state(map, json, 9);
}

Test(running, any_flipped_bit_of_the_latest_state_is_noticed)
{
	_cleanup_free_ char *map = fresh_map();
	const size_t size = sizeof(struct running_header) + strlen("{\"b\":2}");
	struct error err;

	cr_assert_eq(running_save(map, "{\"b\":2}", 1, &err), 0);
	for (size_t bit = 0; bit < size * 8; bit++) {
		char *text;
		uint64_t hash;

		map[bit / 8] ^= (char)(1 << bit % 8);
		cr_assert_neq(running_load(map, &text, &hash), 0, "bit %zu", bit);
		map[bit / 8] ^= (char)(1 << bit % 8);
	}
}
