/* SPDX-License-Identifier: BSD-2-Clause */
/* The maps of the copy of the kernel's routes, see <detnat/fib.h>. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "datapath/datapath_private.h"
#include "datapath/pinned.h"

static int make_chunk(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);

	return bpf_map_create(BPF_MAP_TYPE_ARRAY, "fib_chunk", sizeof(uint32_t), sizeof(struct fib_node), FIB_CHUNK,
			      &opts);
}

static int make_nodes(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	_cleanup_close_ int inner = make_chunk();

	if (inner < 0)
		return inner;
	opts.inner_map_fd = (uint32_t)inner;
	return bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "fib_nodes", sizeof(uint32_t), sizeof(uint32_t),
			      MAX_FIB_CHUNKS, &opts);
}

int fib_maps_make(struct datapath *d, struct error *err)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	void *memory;

	d->fib_map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "fib", sizeof(uint32_t), sizeof(struct fib), 1, &opts);
	d->fib_nodes = d->fib_map < 0 ? d->fib_map : make_nodes();
	if (d->fib_nodes < 0)
		return error_set(err, d->fib_nodes, "the maps for routes cannot be created: %s",
				 strerror(-d->fib_nodes));
	memory = mmap(NULL, sizeof(struct fib), PROT_READ | PROT_WRITE, MAP_SHARED, d->fib_map, 0);
	if (memory == MAP_FAILED)
		return error_set(err, -errno, "the map of routes cannot be mapped into memory: %s", strerror(errno));
	d->fib = memory;
	return 0;
}

void fib_maps_close(struct datapath *d)
{
	if (d->fib)
		munmap(d->fib, sizeof(struct fib));
	d->fib = NULL;
	close_fd(&d->fib_nodes);
	close_fd(&d->fib_map);
	d->fib_nodes = d->fib_map = -1;
}

int datapath_fib_chunk(const struct datapath *d, uint32_t chunk, struct fib_node **ret)
{
	const size_t size = sizeof(struct fib_node) << FIB_CHUNK_SHIFT;
	_cleanup_close_ int fd = chunk < MAX_FIB_CHUNKS ? make_chunk() : -ENOSPC;
	void *memory;
	int r;

	if (fd < 0)
		return fd;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	r = bpf_map_update_elem(d->fib_nodes, &chunk, &fd, BPF_ANY);
	if (r) {
		munmap(memory, size);
		return r;
	}
	*ret = memory;
	return 0;
}

/*
 * The size of the maps `portmaps` and `portmap_filters`: room for all portmaps of a configuration, and for as many
 * leases as an agent's configuration asks for at its start.
 */

uint32_t portmap_entries(uint32_t leases)
{
	return 2 * PORTMAP_ROOM(leases);
}

uint32_t portmap_filter_entries(uint32_t leases)
{
	return PORTMAP_ROOM(leases);
}

static uint32_t room_of(int portmaps)
{
	uint32_t entries = map_room(portmaps);

	return entries < portmap_entries(0) ? MIN_LEASES : entries / 2 - MAX_PORTMAPS;
}

uint32_t datapath_lease_room(const struct datapath *d)
{
	return map_room(d->portmaps) == FEATURE_UNUSED && d->leases ? d->leases : room_of(d->portmaps);
}

/* Where no programs use a map it stays small until datapath_features_grow(). */
static int fit(const struct datapath *d, const char *name, uint32_t entries)
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = bpf_obj_get(pin_path_of(d, name, path));

	return map_room(fd) <= FEATURE_UNUSED ? 0 : pinned_map_fit(d->pin_dir, name, entries);
}

uint32_t portmap_maps_fit(const struct datapath *d, uint32_t leases)
{
	char path[PATH_MAX];
	_cleanup_close_ int portmaps = bpf_obj_get(pin_path_of(d, "portmaps", path));
	uint32_t present = room_of(portmaps);
	int r = fit(d, "portmaps", portmap_entries(leases));

	if (r) {
		log_warning(
			"the table of leases keeps its room for %u, as one for %u cannot be made: %s; the next start "
			"tries again",
			present, leases, r == -E2BIG ? "there are more leases" : strerror(-r));
		leases = present;
	}
	/* The present filters of leases fit, as each lease does. */
	r = fit(d, "portmap_filters", portmap_filter_entries(leases));
	if (r)
		log_warning("the table of filters cannot be made anew: %s", strerror(-r));
	return leases;
}
