/* SPDX-License-Identifier: BSD-2-Clause */
/* The map of the running configuration grows with it: 65536 portmaps are some megabytes of JSON. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "datapath/datapath_private.h"
#include "datapath/running.h"

/* The pin of a map that is to take the place of the other; bpffs takes no dots. */
#define PIN_RUNNING_NEXT PIN_RUNNING "_next"

/* Copies what is saved to a map in memory. */
static int copy_state(const struct datapath *d, void *memory, size_t size, struct error *err)
{
	_cleanup_free_ char *json = NULL;
	uint64_t hash;
	int r = running_load_from(d->running_state, d->running_size, &json, &hash);

	if (r == -ENOENT)
		return 0;
	return r ? error_set(err, r, "the running configuration cannot be read: %s", strerror(-r))
		 : running_save_to(memory, size, json, hash, err);
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

	while ((size_t)parts / RUNNING_PLACES * RUNNING_PLACE_SIZE < length + sizeof(struct running_header))
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
