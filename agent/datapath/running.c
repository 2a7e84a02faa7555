/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/running.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/fnv.h"

#define RUNNING_MAGIC 0x646e7231U

/* It detects a torn write, not an attacker. */
static uint64_t place_checksum(const struct running_header *header, const void *json)
{
	uint64_t sum = fnv1a(FNV1A_BEGIN, header, offsetof(struct running_header, checksum));

	return fnv1a(sum, json, header->length);
}

/* Octets of JSON that a map takes. */
static size_t room_in(size_t size)
{
	return size / RUNNING_PLACES - sizeof(struct running_header);
}

/* Copies the header of a place out, so that it cannot change between check and use. */
static bool place_valid(const void *map, size_t size, unsigned number, struct running_header *ret)
{
	const char *place = (const char *)map + number * (size / RUNNING_PLACES);

	memcpy(ret, place, sizeof(*ret));
	return ret->magic == RUNNING_MAGIC && ret->length <= room_in(size) &&
	       place_checksum(ret, place + sizeof(*ret)) == ret->checksum;
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

int running_save_to(void *map, size_t size, const char *json, uint64_t file_hash, struct error *err)
{
	struct running_header header = { 0 };
	size_t length = strlen(json);

	if (length > room_in(size))
		return error_set(err, -EFBIG,
				 "the running configuration is %zu octets of JSON, more than the %zu that can be saved",
				 length, room_in(size));

	int latest = latest_place(map, size, &header);
	char *place = (char *)map + (latest == 0 ? size / RUNNING_PLACES : 0);

	header = (struct running_header){
		.magic = RUNNING_MAGIC,
		.length = (uint32_t)length,
		.generation = latest < 0 ? 1 : header.generation + 1,
		.file_hash = file_hash,
	};
	header.checksum = place_checksum(&header, json);
	memcpy(place + sizeof(header), json, length);
	memcpy(place, &header, sizeof(header));
	return 0;
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
	memcpy(json, (const char *)map + (size_t)latest * (size / RUNNING_PLACES) + sizeof(header), header.length);
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
