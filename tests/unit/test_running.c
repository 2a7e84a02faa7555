/* SPDX-License-Identifier: BSD-2-Clause */
/* The running configuration as it is saved: the latest whole state is read back, whatever moment an agent died in. */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fnv.h"
#include "datapath/datapath.h"
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
	const size_t size = RUNNING_SIGN + sizeof(struct running_header) + strlen("{\"new\":1}");
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
	const char *json = "{\"mappings\":[{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/28\"}],\"portmaps\":[],\"b\":2}";
	const size_t size = RUNNING_SIGN + sizeof(struct running_header) + strlen(json);
	struct error err;

	cr_assert_eq(running_save(map, json, 1, &err), 0);
	for (size_t bit = RUNNING_SIGN * 8; bit < size * 8; bit++) {
		char *text;
		uint64_t hash;

		map[bit / 8] ^= (char)(1 << bit % 8);
		cr_assert_neq(running_load(map, &text, &hash), 0, "bit %zu", bit);
		map[bit / 8] ^= (char)(1 << bit % 8);
	}
}

Test(running, a_state_of_1_0_0_is_read_and_replaced)
{
	_cleanup_free_ char *map = fresh_map();
	struct error err;

	cr_assert_eq(running_save_former(map, RUNNING_SIZE, "{\"former\":1}", 1, &err), 0);
	cr_assert_eq(map[0], '1', "its mark");
	assert_state(map, "{\"former\":1}", 1);
	cr_assert_eq(running_save(map, "{\"now\":2}", 2, &err), 0);
	assert_state(map, "{\"now\":2}", 2);
	cr_assert_eq(running_save_former(map, RUNNING_SIZE, "{\"back\":3}", 3, &err), 0);
	assert_state(map, "{\"back\":3}", 3);
}

/* As 1.0.0 reads a place: its mark, octets of text, and FNV-1a of all but the checksum. */
Test(running, version_1_0_0_finds_a_state_in_each_place)
{
	_cleanup_free_ char *map = fresh_map();
	struct running_header header;
	struct error err;

	for (uint64_t n = 1; n <= 3; n++)
		cr_assert_eq(running_save(map, "{\"new\":1}", n, &err), 0);
	for (unsigned i = 0; i < RUNNING_PLACES; i++) {
		const char *place = map + i * RUNNING_PLACE_SIZE;
		uint64_t sum;

		memcpy(&header, place, sizeof(header));
		sum = fnv1a(FNV1A_BEGIN, &header, offsetof(struct running_header, checksum));
		cr_expect_eq(header.magic, 0x646e7231);
		cr_assert_leq(header.length, RUNNING_SIGN - sizeof(header));
		cr_expect_eq(fnv1a(sum, place + sizeof(header), header.length), header.checksum);
	}
}

/* What it finds there is no state: a place whose own was not written to its end has none. */
Test(running, a_sign_for_1_0_0_is_no_state)
{
	_cleanup_free_ char *map = fresh_map();
	struct error err;
	uint64_t hash;
	char *text;

	cr_assert_eq(running_save(map, "{\"new\":1}", 1, &err), 0);
	map[RUNNING_SIGN] ^= 1;
	cr_assert_eq(running_load(map, &text, &hash), -ENOENT);
}

static char pins[] = "/tmp/detnat-running-XXXXXX";

/* A pinned map of the usual size in a mount namespace of the test's own. */
static struct datapath pinned(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	struct datapath d = { .running_size = RUNNING_SIZE, .pin_dir = pins };
	char path[64];

	cr_assert(mkdtemp(pins));
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("bpf", pins, "bpf", 0, NULL))
		cr_skip("a bpffs needs root");
	d.running = bpf_map_create(BPF_MAP_TYPE_ARRAY, "running", sizeof(uint32_t), RUNNING_PLACE_SIZE, RUNNING_PLACES,
				   &opts);
	cr_assert_geq(d.running, 0);
	d.running_state = mmap(NULL, RUNNING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, d.running, 0);
	cr_assert_neq(d.running_state, MAP_FAILED);
	snprintf(path, sizeof(path), "%s/running", pins);
	cr_assert_eq(bpf_obj_pin(d.running, path), 0);
	return d;
}

static void unpin(void)
{
	umount2(pins, MNT_DETACH);
	rmdir(pins);
}

/* What the next start finds. */
static void expect_pinned(const char *json, size_t wanted_size)
{
	struct bpf_map_info info = { 0 };
	uint32_t length = sizeof(info);
	_cleanup_free_ char *text = NULL;
	char path[64];
	uint64_t hash;
	size_t size;
	void *memory;
	int map;

	snprintf(path, sizeof(path), "%s/running", pins);
	map = bpf_obj_get(path);
	cr_assert_geq(map, 0);
	cr_assert_eq(bpf_obj_get_info_by_fd(map, &info, &length), 0);
	size = (size_t)info.value_size * info.max_entries;
	cr_expect_eq(size, wanted_size, "%zu octets, not %zu", size, wanted_size);
	memory = mmap(NULL, size, PROT_READ, MAP_SHARED, map, 0);
	cr_assert_neq(memory, MAP_FAILED);
	cr_assert_eq(running_load_from(memory, size, &text, &hash), 0);
	cr_expect_str_eq(text, json);
	cr_expect_eq(hash, 7);
	munmap(memory, size);
	close(map);
}

Test(running, room_is_made_for_a_longer_state_and_what_is_saved_moves_along, .fini = unpin)
{
	struct datapath d = pinned();
	struct error err;
	int before = d.running;

	cr_assert_eq(running_save(d.running_state, "{\"kept\":1}", 7, &err), 0);
	cr_assert_eq(running_reserve(&d, RUNNING_MAX_LENGTH, &err), 0);
	cr_expect_eq(d.running, before, "it fits");
	cr_assert_eq(running_reserve(&d, RUNNING_MAX_LENGTH + 1, &err), 0);
	cr_expect_eq(d.running_size, 2 * RUNNING_SIZE);
	expect_pinned("{\"kept\":1}", 2 * RUNNING_SIZE);
	cr_assert_eq(running_reserve(&d, 5 * RUNNING_MAX_LENGTH, &err), 0);
	expect_pinned("{\"kept\":1}", 8 * RUNNING_SIZE);

	/* It is the pinned map that is written from now on. */
	cr_assert_eq(running_save_to(d.running_state, d.running_size, "{\"new\":1}", strlen("{\"new\":1}"), 7, &err),
		     0);
	expect_pinned("{\"new\":1}", 8 * RUNNING_SIZE);
}

Test(running, room_is_made_where_nothing_is_saved_yet, .fini = unpin)
{
	struct datapath d = pinned();
	struct error err;

	cr_assert_eq(running_reserve(&d, RUNNING_MAX_LENGTH + 1, &err), 0);
	cr_assert_eq(running_save_to(d.running_state, d.running_size, "{}", strlen("{}"), 7, &err), 0);
	expect_pinned("{}", 2 * RUNNING_SIZE);
}

/* An agent that was killed before the rename leaves the pin of the map that was to come. */
Test(running, a_pin_that_a_killed_agent_left_is_in_no_way, .fini = unpin)
{
	struct datapath d = pinned();
	struct error err;
	char next[64];

	snprintf(next, sizeof(next), "%s/running_next", pins);
	cr_assert_eq(running_save(d.running_state, "{}", 7, &err), 0);
	cr_assert_eq(bpf_obj_pin(d.running, next), 0);
	expect_pinned("{}", RUNNING_SIZE);
	cr_assert_eq(running_reserve(&d, RUNNING_MAX_LENGTH + 1, &err), 0);
	expect_pinned("{}", 2 * RUNNING_SIZE);
	cr_expect_neq(access(next, F_OK), 0);
}

Test(running, without_room_the_former_map_stays, .fini = unpin)
{
	struct datapath d = pinned();
	char nowhere[] = "/proc/nowhere";
	struct error err = { 0 };
	int before = d.running;

	cr_assert_eq(running_save(d.running_state, "{}", 7, &err), 0);
	d.pin_dir = nowhere;
	cr_expect_lt(running_reserve(&d, RUNNING_MAX_LENGTH + 1, &err), 0);
	cr_expect_not_null(strstr(err.text, "cannot be replaced"), "%s", err.text);
	cr_expect_eq(d.running, before);
	cr_expect_eq(d.running_size, RUNNING_SIZE);
	cr_assert_eq(running_save(d.running_state, "{\"b\":2}", 7, &err), 0);
	expect_pinned("{\"b\":2}", RUNNING_SIZE);
}
