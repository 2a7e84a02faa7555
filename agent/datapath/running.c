/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/running.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "datapath/datapath_private.h"

#include "base/fnv.h"

#define RUNNING_MAGIC	     0x646e7233U
#define RUNNING_MAGIC_FORMER 0x646e7231U /* of 1.0.0: FNV-1a of the octets, which takes thirty times as long */

/* So much is digested at once. */
typedef uint64_t words __attribute__((vector_size(64)));

/*
 * Megabytes with each change: sums of words, and sums of these, which depend on each word's place. A processor adds as
 * fast as it reads.
 */
static uint64_t digest_words(uint64_t sum, const char *data, size_t size)
{
	words once = { sum }, twice = { sum };
	size_t at = 0;

	for (; at + sizeof(words) <= size; at += sizeof(words)) {
		words w;

		memcpy(&w, data + at, sizeof(w));
		once += w;
		twice += once;
	}
	sum = fnv1a(fnv1a(sum, &once, sizeof(once)), &twice, sizeof(twice));
	return fnv1a(sum, data + at, size - at);
}

/* It detects a torn write, not an attacker. */
static uint64_t place_checksum(const struct running_header *header, const void *json)
{
	uint64_t sum = fnv1a(FNV1A_BEGIN, header, offsetof(struct running_header, checksum));

	return header->magic == RUNNING_MAGIC ? digest_words(sum, json, header->length)
					      : fnv1a(sum, json, header->length);
}

/*
 * A place begins with a saved state as 1.0.0 knows it, whose text is empty: an agent of 1.0.0 that is started over this
 * datapath sees that another layout is in use, and refuses. It is no state here; a real one has a generation.
 */
static const char sign_text[RUNNING_SIGN - sizeof(struct running_header)] = "{}";

static struct running_header sign_header(void)
{
	struct running_header header = { .magic = RUNNING_MAGIC_FORMER, .length = (uint32_t)strlen(sign_text) };

	header.checksum = place_checksum(&header, sign_text);
	return header;
}

/* Octets of JSON that a map takes. */
static size_t room_in(size_t size)
{
	return size / RUNNING_PLACES - RUNNING_SIGN - sizeof(struct running_header);
}

/* Where the header of a state begins in its place: that of 1.0.0 at the beginning, others behind the sign. */
static size_t header_at(uint32_t magic)
{
	return magic == RUNNING_MAGIC_FORMER ? 0 : RUNNING_SIGN;
}

/* Copies a header out, so that it cannot change between check and use. */
static bool header_valid(const char *place, size_t octets, uint32_t magic, struct running_header *ret)
{
	size_t at = header_at(magic);
	struct running_header sign = sign_header();

	memcpy(ret, place + at, sizeof(*ret));
	return ret->magic == magic && ret->length <= octets - at - sizeof(*ret) &&
	       place_checksum(ret, place + at + sizeof(*ret)) == ret->checksum && memcmp(ret, &sign, sizeof(sign)) != 0;
}

static bool place_valid(const void *map, size_t size, unsigned number, struct running_header *ret)
{
	size_t octets = size / RUNNING_PLACES;
	const char *place = (const char *)map + number * octets;

	return header_valid(place, octets, RUNNING_MAGIC, ret) ||
	       header_valid(place, octets, RUNNING_MAGIC_FORMER, ret);
}

/* The number of the latest valid place, or -ENOENT. */
static int latest_place(const void *map, size_t size, struct running_header *ret)
{
	int latest = -ENOENT;

	for (unsigned i = 0; i < RUNNING_PLACES; i++) {
		struct running_header header;

		if (place_valid(map, size, i, &header) && (latest < 0 || header.generation > ret->generation)) {
			latest = (int)i;
			*ret = header;
		}
	}
	return latest;
}

/* What this process has saved last: the latest place is known without a look at its text. */
static struct {
	const void *map;
	struct running_header header;
} saved;

static int own_place(const void *map, size_t size, struct running_header *ret)
{
	for (unsigned i = 0; saved.map == map && i < RUNNING_PLACES; i++) {
		memcpy(ret, (const char *)map + i * (size / RUNNING_PLACES) + header_at(saved.header.magic),
		       sizeof(*ret));
		if (!memcmp(ret, &saved.header, sizeof(*ret)))
			return (int)i;
	}
	return latest_place(map, size, ret);
}

static int save(void *map, size_t size, uint32_t magic, const char *json, size_t length, uint64_t file_hash,
		struct error *err)
{
	struct running_header header = { 0 }, sign = sign_header();

	if (length > room_in(size))
		return error_set(err, -EFBIG,
				 "the running configuration is %zu octets of JSON, more than the %zu that can be saved",
				 length, room_in(size));

	int latest = own_place(map, size, &header);
	char *place = (char *)map + (latest == 0 ? size / RUNNING_PLACES : 0);

	header = (struct running_header){
		.magic = magic,
		.length = (uint32_t)length,
		.generation = latest < 0 ? 1 : header.generation + 1,
		.file_hash = file_hash,
	};
	header.checksum = place_checksum(&header, json);
	if (magic != RUNNING_MAGIC_FORMER) {
		memcpy(place + sizeof(sign), sign_text, sizeof(sign_text));
		memcpy(place, &sign, sizeof(sign));
	}
	memcpy(place + header_at(magic) + sizeof(header), json, length);
	memcpy(place + header_at(magic), &header, sizeof(header));
	saved.map = map;
	saved.header = header;
	return 0;
}

int running_save_to(void *map, size_t size, const char *json, size_t length, uint64_t file_hash, struct error *err)
{
	return save(map, size, RUNNING_MAGIC, json, length, file_hash, err);
}

int running_save_former(void *map, size_t size, const char *json, uint64_t file_hash, struct error *err)
{
	return save(map, size, RUNNING_MAGIC_FORMER, json, strlen(json), file_hash, err);
}

int running_load_from(const void *map, size_t size, char **ret_json, uint64_t *ret_file_hash)
{
	struct running_header header = { 0 };
	int latest = latest_place(map, size, &header);

	if (latest < 0)
		return latest;

	char *json = malloc(header.length + 1UL);

	if (!json)
		return -ENOMEM;
	memcpy(json,
	       (const char *)map + (size_t)latest * (size / RUNNING_PLACES) + header_at(header.magic) + sizeof(header),
	       header.length);
	json[header.length] = '\0';
	/* Another process may be saving; it writes to the other place first. */
	if (place_checksum(&header, json) != header.checksum) {
		free(json);
		return -EAGAIN;
	}
	*ret_json = json;
	*ret_file_hash = header.file_hash;
	return 0;
}

/* The map of the running configuration grows with it: 65536 portmaps are some megabytes of JSON. */

/* The pin of a map that is about to replace the other; bpffs accepts no dots. */
#define PIN_RUNNING_NEXT PIN_RUNNING "_next"

/* Copies the saved state to a map in memory. */
static int copy_state(const struct datapath *d, void *memory, size_t size, struct error *err)
{
	_cleanup_free_ char *json = NULL;
	uint64_t hash;
	int r = running_load_from(d->running_state, d->running_size, &json, &hash);

	if (r == -ENOENT)
		return 0;
	return r ? error_set(err, r, "the running configuration cannot be read: %s", strerror(-r))
		 : running_save_to(memory, size, json, strlen(json), hash, err);
}

/* Pins the map in place of the other, which stays until then. */
static int take_its_place(const struct datapath *d, int map)
{
	char path[PATH_MAX], next[PATH_MAX];

	pin_path_of(d, PIN_RUNNING, path);
	unlink(pin_path_of(d, PIN_RUNNING_NEXT, next));
	if (bpf_obj_pin(map, next))
		return -errno;
	return rename(next, path) ? -errno : 0;
}

int running_reserve(struct datapath *d, size_t length, struct error *err)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	uint32_t parts = RUNNING_PLACES;
	_cleanup_close_ int map = -1;
	size_t size;
	void *memory;
	int r;

	while ((size_t)parts / RUNNING_PLACES * RUNNING_PLACE_SIZE <
	       length + RUNNING_SIGN + sizeof(struct running_header))
		parts *= 2;
	size = (size_t)parts * RUNNING_PLACE_SIZE;
	if (size <= d->running_size)
		return 0;
	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "running", sizeof(uint32_t), RUNNING_PLACE_SIZE, parts, &opts);
	memory = map < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	if (memory == MAP_FAILED)
		return error_set(err, -errno, "no room to save the running configuration: %s", strerror(errno));
	r = copy_state(d, memory, size, err);
	if (!r) {
		r = take_its_place(d, map);
		if (r)
			error_set(err, r, "%s/" PIN_RUNNING ": cannot be replaced: %s", d->pin_dir, strerror(-r));
	}
	if (r) {
		munmap(memory, size);
		return r;
	}
	munmap(d->running_state, d->running_size);
	close(d->running);
	d->running = take_fd(map);
	d->running_state = memory;
	d->running_size = size;
	return 0;
}
