/* SPDX-License-Identifier: BSD-2-Clause */
/* Opens the maps of another layout, and pins what both layouts share. */
#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <sys/mman.h>

#include "datapath/migration_private.h"
#include "datapath/pinned.h"

int migration_pin(const char *pin_dir, const char *name)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/%s", pin_dir, name);
	return bpf_obj_get(path);
}

void *migration_mmap(int map, size_t *ret_size)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);
	size_t page = (size_t)sysconf(_SC_PAGESIZE), octets;
	void *memory;

	if (map < 0 || bpf_obj_get_info_by_fd(map, &info, &size))
		return NULL;
	octets = ((size_t)((info.value_size + 7) & ~7U) * info.max_entries + page - 1) / page * page;
	memory = mmap(NULL, octets, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	if (memory == MAP_FAILED)
		return NULL;
	*ret_size = octets;
	return memory;
}

bool migration_is_shared(const struct datapath *d, const struct migration *m, const char *pin)
{
	_cleanup_close_ int old = migration_pin(m->pin_dir, pin), own = migration_pin(d->pin_dir, pin);

	return old >= 0 && map_id(old) == map_id(own);
}

int migration_pin_chunks(const struct datapath *d, const struct migration *m, int outer, const char *name,
			 uint64_t first, uint64_t count, unsigned shift)
{
	int r = 0;

	for (uint64_t chunk = first >> shift; !r && chunk <= (first + count - 1) >> shift; chunk++) {
		char path[PATH_MAX];
		_cleanup_close_ int fd =
			outer_chunk(outer, (uint32_t)chunk, chunk_pin(m->pin_dir, name, (uint32_t)chunk, path));

		r = fd < 0 ? fd : bpf_obj_pin(fd, chunk_pin(d->pin_dir, name, (uint32_t)chunk, path));
		/* A chunk of two mappings, or of a half-deleted mapping, which is removed anyway. */
		if (r == -EEXIST || r == -ENOENT || r == -ESTALE)
			r = 0;
	}
	return r;
}

int migration_buckets_pin(struct datapath *d, struct migration *m, const struct migration_row *row)
{
	int r = 0;

	for (unsigned i = 0; !r && i < MAX_MAPPINGS; i++) {
		const struct mapping *record = &d->mapping[i];

		if (!mapping_record_valid(record) || !record->geo.in_plen || record->geo.out_plen == PLEN_NONE)
			continue;
		if (record->first_bucket != NO_BUCKETS)
			r = migration_pin_chunks(d, m, d->buckets, CHUNK_BUCKET, record->first_bucket,
						 (record->geo.last_subscriber + 1ULL) << record->bucket_shift,
						 BUCKET_CHUNK_SHIFT);
		if (!r && record->bindings.protocols)
			r = migration_pin_chunks(d, m, d->buckets, CHUNK_BUCKET, record->bindings.first,
						 mapping_record_binding_buckets(record), BUCKET_CHUNK_SHIFT);
	}
	return r;
}

static bool has_pin(const char *pin_dir, const char *name)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/%s", pin_dir, name);
	return !access(path, F_OK);
}

bool migration_unused(const char *pin_dir)
{
	return has_pin(pin_dir, PIN_MOVING);
}

bool migration_is_offer(const char *pin_dir)
{
	return has_pin(pin_dir, PIN_OFFERED);
}
