/* SPDX-License-Identifier: BSD-2-Clause */
/* Opens the maps of another layout. */
#include <bpf/bpf.h>
#include <limits.h>
#include <sys/mman.h>

#include "datapath/migration_private.h"

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
