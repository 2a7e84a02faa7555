/* SPDX-License-Identifier: BSD-2-Clause */
/* Copies the records of interfaces, and their list for the second stage. Before layout 8 there were no ways to tenants.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "datapath/map_keys.h"
#include "datapath/migration_private.h"

static int64_t record_size(const struct migration *m)
{
	int id = btf__find_by_name_kind(m->from, "device", BTF_KIND_STRUCT);

	return id < 0 ? id : btf__resolve_size(m->from, (uint32_t)id);
}

bool migration_devices_fit(const struct migration *m)
{
	static const char *const needed[] = { "mac", "roles", "flags", "addr", "mtu" };
	struct layout_member member;

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (layout_find(m->from, "device", needed[i], &member))
			return false;
	return !layout_find(m->from, "device_table", "device", &member) && record_size(m) > 0;
}

static bool is_zero(const uint8_t *record, size_t size)
{
	return !record[0] && !memcmp(record, record + 1, size - 1);
}

static int copy(const struct datapath *d, const struct migration *m, const uint8_t *from, size_t octets)
{
	size_t size = (size_t)record_size(m);
	struct layout_member list, ways;
	int r = 0;

	if (layout_find(m->from, "device_table", "device", &list) || list.offset + (size_t)list.size > octets)
		return -EXDEV;
	for (size_t i = 0; !r && i < MAX_IFINDEX && (i + 1) * size <= list.size; i++)
		if (!is_zero(from + list.offset + i * size, size))
			r = layout_copy(m->from, m->to, "device", from + list.offset + i * size, &d->device[i]);
	if (layout_find(m->from, "device_table", "way", &ways) || ways.offset + (size_t)ways.size > octets)
		for (size_t i = 0; i < MAX_TENANT_NUMBERS; i++)
			d->way[i] = WAY_MAIN;
	else
		memcpy(d->way, from + ways.offset,
		       ways.size < sizeof(d->devices_at->way) ? ways.size : sizeof(d->devices_at->way));
	return r;
}

int migration_devices_copy(struct datapath *d, struct migration *m, const struct migration_row *row)
{
	_cleanup_close_ int map = -1;
	size_t octets;
	void *from;
	int r;

	if (migration_is_shared(d, m, row->pin))
		return 0;
	map = migration_pin(m->pin_dir, row->pin);
	from = migration_mmap(map, &octets);
	if (!from)
		return -errno;
	r = copy(d, m, from, octets);
	munmap(from, octets);
	return r;
}

/* An interface that cannot be entered is gone, or devices_record() says why. */
int migration_ports_copy(struct datapath *d, struct migration *m, const struct migration_row *row)
{
	_cleanup_close_ int from = migration_pin(m->pin_dir, row->pin);
	size_t n;
	_cleanup_free_ uint32_t *keys = map_keys(from, sizeof(*keys), &n);

	for (size_t i = 0; keys && i < n; i++)
		datapath_add_port(d, keys[i]);
	return keys ? 0 : -ENOMEM;
}
