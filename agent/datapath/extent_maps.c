/* SPDX-License-Identifier: BSD-2-Clause */
/* The map `extents`, <detnat/extents.h>: its size, and one of them in memory. */
#include <bpf/bpf.h>

#include <detnat/extents.h>

#include "base/base.h"
#include "datapath/datapath_private.h"

void object_set_extents(struct bpf_object *o, uint32_t buckets)
{
	struct bpf_map *m = bpf_object__find_map_by_name(o, PIN_EXTENTS);

	if (m)
		bpf_map__set_max_entries(m, buckets ? buckets : 1);
}

uint64_t datapath_extent_buckets(const struct datapath *d)
{
	return d->extents_size / sizeof(struct bucket);
}

uint64_t datapath_extents_used(const struct datapath *d)
{
	return d->pool ? __atomic_load_n(&d->pool->used, __ATOMIC_RELAXED) : 0;
}

struct slot *datapath_extent(const struct datapath *d, uint32_t extent, uint32_t *ret_n)
{
	uint64_t buckets = extent_buckets(extent), all = datapath_extent_buckets(d);

	if (!buckets || !d->extent || extent_first(extent) + buckets > all) {
		*ret_n = 0;
		return NULL;
	}
	*ret_n = (uint32_t)buckets * BUCKET_SLOTS;
	return d->extent[extent_first(extent)].slot;
}
