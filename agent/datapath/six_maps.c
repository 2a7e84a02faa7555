/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The maps of mappings whose subscribers are IPv6 prefixes, see <detnat/prefix6.h>: made with the first such mapping,
 * and pinned, so that later agents and programs share them.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <detnat/prefix6.h>

#include "base/rights.h"
#include "base/virtual6.h"
#include "datapath/chunk_maps.h"
#include "datapath/datapath_private.h"
#include "host/paths.h"

static const struct six_map {
	const char *name;
	size_t fd;     /* offset in struct datapath */
	size_t memory; /* the same of the pointer to its elements; 0: it is not mapped into memory */
	enum bpf_map_type type;
	uint32_t key_size;
	uint32_t value_size;
	uint32_t entries;
	uint32_t flags;
} maps[] = {
	{ "records6", offsetof(struct datapath, records6), offsetof(struct datapath, record6), BPF_MAP_TYPE_ARRAY, 4,
	  sizeof(struct record6), MAX_RECORDS6, BPF_F_MMAPABLE },
	{ "indices6", offsetof(struct datapath, indices6), offsetof(struct datapath, index6), BPF_MAP_TYPE_ARRAY, 4,
	  sizeof(struct indices6), 1, BPF_F_MMAPABLE },
	{ "addresses6", offsetof(struct datapath, addresses6), offsetof(struct datapath, address6), BPF_MAP_TYPE_ARRAY,
	  4, sizeof(struct address6_octets), MAX_IFINDEX, BPF_F_MMAPABLE },
	{ "prefixes6", offsetof(struct datapath, prefixes6), 0, BPF_MAP_TYPE_LPM_TRIE, sizeof(struct prefix6_key), 4,
	  MAX_RECORDS6, BPF_F_NO_PREALLOC },
	{ "hosts6", offsetof(struct datapath, hosts6), 0, BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, MAX_HOST6_CHUNKS, 0 },
};

static int *fd_of(struct datapath *d, const struct six_map *m)
{
	return (int *)((char *)d + m->fd);
}

static void **memory_of(struct datapath *d, const struct six_map *m)
{
	return m->memory ? (void **)(void *)((char *)d + m->memory) : NULL;
}

static size_t size_of(const struct six_map *m)
{
	return (size_t)m->value_size * m->entries;
}

int pins_mmap_six(struct datapath *d, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		void **at = memory_of(d, &maps[i]), *memory;

		if (!at || *at || *fd_of(d, &maps[i]) < 0)
			continue;
		memory = mmap(NULL, size_of(&maps[i]), PROT_READ | PROT_WRITE, MAP_SHARED, *fd_of(d, &maps[i]), 0);
		if (memory == MAP_FAILED)
			return error_set(err, -errno, "the map %s cannot be mapped into memory: %s", maps[i].name,
					 strerror(errno));
		*at = memory;
	}
	return 0;
}

void pins_close_six(struct datapath *d)
{
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		void **at = memory_of(d, &maps[i]);

		if (at && *at)
			munmap(*at, size_of(&maps[i]));
		if (at)
			*at = NULL;
		close_fd(fd_of(d, &maps[i]));
		*fd_of(d, &maps[i]) = -1;
	}
}

/* A map of maps is made with the like of its inner maps. */
static int make_map(const struct six_map *m)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = m->flags);
	LIBBPF_OPTS(bpf_map_create_opts, inner, .map_flags = BPF_F_MMAPABLE);
	_cleanup_close_ int chunk = -1;

	if (m->type == BPF_MAP_TYPE_ARRAY_OF_MAPS) {
		chunk = bpf_map_create(BPF_MAP_TYPE_ARRAY, CHUNK_HOST6, 4, sizeof(struct host6), HOST6_CHUNK, &inner);
		if (chunk < 0)
			return chunk;
		opts.inner_map_fd = (uint32_t)chunk;
	}
	return bpf_map_create(m->type, m->name, m->key_size, m->value_size, m->entries, &opts);
}

/* The map that is pinned, or a new one: a descriptor, or -errno. Without a directory nothing is pinned. */
static int open_or_make(const struct datapath *d, const struct six_map *m)
{
	char path[PATH_MAX];
	int fd = d->pin_dir ? bpf_obj_get(pin_path_of(d, m->name, path)) : -ENOENT, r;

	if (fd >= 0)
		return fd;
	fd = make_map(m);
	r = fd >= 0 && d->pin_dir ? bpf_obj_pin(fd, path) : 0;
	if (!r)
		return fd;
	close(fd);
	return r;
}

/* The memory of a pinned ARRAY of n elements, to read; NULL: there is none. */
static const void *pinned_memory(const char *pin_path, const char *name, size_t size)
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = -1;
	void *memory;

	snprintf(path, sizeof(path), "%s/v%u/%s", pin_path, LAYOUT_VERSION, name);
	fd = bpf_obj_get(path);
	memory = fd < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

bool datapath_claim_virtual(const char *pin_path)
{
	_cleanup_rights_ struct rights lesser = path_rights(pin_path);
	const size_t records_size = sizeof(struct record6[MAX_RECORDS6]);
	const struct record6 *record6 = pinned_memory(pin_path, "records6", records_size);
	const struct mapping_table *table =
		record6 ? pinned_memory(pin_path, "mappings", sizeof(struct mapping_table)) : NULL;
	bool any = false;

	for (unsigned i = 0; table && i < MAX_MAPPINGS; i++) {
		const struct mapping *m = &table->mapping[i];
		const struct record6 *r = &record6[m->record6 & (MAX_RECORDS6 - 1)];

		if (!(m->geo.flags & MAPPING_IPV6) || !mapping_record_valid(m))
			continue;
		if (!any)
			virtual6_forget();
		any = true;
		virtual6_claim(&(struct prefixes6){ r->in_hi, m->geo.last_subscriber, r->subscriber_plen },
			       m->geo.in_base);
	}
	if (table)
		munmap((void *)table, sizeof(struct mapping_table));
	if (record6)
		munmap((void *)record6, records_size);
	return any;
}

bool datapath_six_has(const struct datapath *d)
{
	return d->records6 >= 0 && d->indices6 >= 0 && d->addresses6 >= 0 && d->prefixes6 >= 0 && d->hosts6 >= 0;
}

int datapath_six_make(struct datapath *d, struct error *err)
{
	if (datapath_six_has(d))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		int *fd = fd_of(d, &maps[i]);

		if (*fd < 0)
			*fd = open_or_make(d, &maps[i]);
		if (*fd < 0)
			return error_set(err, *fd, "the map %s for IPv6 subscribers cannot be made: %s", maps[i].name,
					 strerror(-*fd));
	}
	return pins_mmap_six(d, err);
}

void datapath_six_drop(struct datapath *d)
{
	char path[PATH_MAX];

	for (size_t i = 0; d->pin_dir && i < ARRAY_SIZE(maps); i++)
		unlink(pin_path_of(d, maps[i].name, path));
	pins_close_six(d);
}
