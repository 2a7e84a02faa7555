// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the kernel says that the tables of an agent take, in octets: the chunks of subscribers and buckets, and all else
 * that is pinned.
 *
 *	tables PIN_DIRECTORY
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <detnat/tables.h>

static uint64_t memlock(int fd)
{
	char path[64], line[256];
	uint64_t octets = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "memlock: %" SCNu64, &octets) == 1)
			break;
	if (f)
		fclose(f);
	return octets;
}

static uint64_t chunks(int outer, uint32_t max)
{
	uint64_t octets = 0;

	for (uint32_t i = 0; i < max; i++) {
		uint32_t id;
		int fd;

		if (bpf_map_lookup_elem(outer, &i, &id))
			continue;
		fd = bpf_map_get_fd_by_id(id);
		if (fd < 0)
			continue;
		octets += memlock(fd);
		close(fd);
	}
	return octets;
}

int main(int argc, char **argv)
{
	uint64_t in_chunks = 0, fixed = 0;
	struct dirent *entry;
	DIR *directory = argc == 2 ? opendir(argv[1]) : NULL;

	if (!directory) {
		fputs("usage: tables PIN_DIRECTORY\n", stderr);
		return 2;
	}
	while ((entry = readdir(directory))) {
		char path[512];
		int fd;

		snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
		fd = bpf_obj_get(path);
		if (fd < 0)
			continue;
		if (!strcmp(entry->d_name, "buckets"))
			in_chunks += chunks(fd, MAX_BUCKET_CHUNKS);
		else if (!strcmp(entry->d_name, "subscribers"))
			in_chunks += chunks(fd, MAX_SUBSCRIBER_CHUNKS);
		fixed += memlock(fd);
		close(fd);
	}
	closedir(directory);
	printf("{\"chunks\":%" PRIu64 ",\"fixed\":%" PRIu64 "}\n", in_chunks, fixed);
	return 0;
}
