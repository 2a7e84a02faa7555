// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/cleanup.h"

#include "kept_reset.h"

/* Elements that an array is told at once. */
#define BATCH 4096U

static bool is_constant(const struct bpf_map_info *info)
{
	return info->map_flags & BPF_F_RDONLY_PROG;
}

static int update_all(int fd, const struct bpf_map_info *info, const uint8_t *value, size_t size)
{
	uint32_t batch = info->max_entries < BATCH ? info->max_entries : BATCH;
	_cleanup_free_ uint32_t *keys = calloc(batch, sizeof(*keys));
	_cleanup_free_ uint8_t *values = calloc(batch, size);

	if (!keys || !values)
		return -ENOMEM;
	if (value)
		memcpy(values, value, info->value_size);
	for (uint32_t at = 0; at < info->max_entries;) {
		uint32_t n = info->max_entries - at < batch ? info->max_entries - at : batch;

		for (uint32_t i = 0; i < n; i++)
			keys[i] = at + i;
		if (n == 1 ? bpf_map_update_elem(fd, keys, values, BPF_ANY)
			   : bpf_map_update_batch(fd, keys, values, &n, NULL))
			return -errno;
		at += n;
	}
	return 0;
}

/* An array whose memory may be mapped: that brings all its pages, while a copy of its value takes a fault for each. */
static int write_mapped(int fd, const struct bpf_map_info *info, const void *value)
{
	size_t stride = (info->value_size + 7U) & ~7U, page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = (stride * info->max_entries + page - 1) / page * page;
	uint8_t *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	memset(at, 0, size);
	for (uint32_t i = 0; value && i < info->max_entries; i++)
		memcpy(at + i * stride, value, info->value_size);
	return munmap(at, size) ? -errno : 0;
}

static int reset_array(int fd, const struct bpf_map_info *info, const void *initial)
{
	if (is_constant(info))
		return 0;
	return info->map_flags & BPF_F_MMAPABLE ? write_mapped(fd, info, initial)
						: update_all(fd, info, initial, info->value_size);
}

/* What is not there is no error. */
static int delete_indices(int fd, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (bpf_map_delete_elem(fd, &i) && errno != ENOENT)
			return -errno;
	return 0;
}

/* A deletion from an array of maps, which waits for a grace period. */
struct deletion {
	int fd, r;
	uint32_t key;
	pthread_t thread;
};

static void *delete_map(void *arg)
{
	struct deletion *d = arg;

	d->r = bpf_map_delete_elem(d->fd, &d->key) ? -errno : 0;
	return NULL;
}

/* All at once, so that they wait for the same grace period. */
static int delete_maps(int fd, uint32_t entries)
{
	_cleanup_free_ uint32_t *keys = calloc(entries, sizeof(*keys)), *ids = calloc(entries, sizeof(*ids));
	_cleanup_free_ struct deletion *deletions = NULL;
	uint32_t n = entries, cursor = 0;
	int r = 0;

	if (!keys || !ids)
		return -ENOMEM;
	if (bpf_map_lookup_batch(fd, NULL, &cursor, keys, ids, &n, NULL) && errno != ENOENT)
		return -errno;
	deletions = calloc(n + 1, sizeof(*deletions));
	if (!deletions)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		deletions[i] = (struct deletion){ .fd = fd, .key = keys[i] };
		if (pthread_create(&deletions[i].thread, NULL, delete_map, &deletions[i]))
			return -EAGAIN;
	}
	for (uint32_t i = 0; i < n; i++) {
		pthread_join(deletions[i].thread, NULL);
		r = r ? r : deletions[i].r;
	}
	return r;
}

static bool is_of_object(const struct bpf_prog_info *info, const uint32_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == info->id)
			return true;
	return !strcmp(info->name, "stand_in");
}

int kept_reset_programs(int fd, const uint32_t *ids, size_t n)
{
	struct bpf_map_info map = { 0 };
	uint32_t size = sizeof(map), id;

	if (bpf_obj_get_info_by_fd(fd, &map, &size))
		return -errno;
	for (uint32_t i = 0; i < map.max_entries; i++) {
		struct bpf_prog_info info = { 0 };
		_cleanup_close_ int program = -1;

		if (bpf_map_lookup_elem(fd, &i, &id))
			continue;
		program = bpf_prog_get_fd_by_id(id);
		size = sizeof(info);
		if (program < 0 || bpf_obj_get_info_by_fd(program, &info, &size))
			return -errno;
		if (!is_of_object(&info, ids, n) && bpf_map_delete_elem(fd, &i))
			return -errno;
	}
	return 0;
}

static int delete_keys(int fd, uint32_t size)
{
	_cleanup_free_ uint8_t *key = malloc(size);

	if (!key)
		return -ENOMEM;
	while (!bpf_map_get_next_key(fd, NULL, key))
		if (bpf_map_delete_elem(fd, key) && errno != ENOENT)
			return -errno;
	return errno == ENOENT ? 0 : -errno;
}

/* What nobody has read is taken for read. */
static int read_ring(int fd)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint64_t *consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	const uint64_t *producer = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, (off_t)page);
	int r = consumer == MAP_FAILED || producer == MAP_FAILED ? -errno : 0;

	if (!r)
		__atomic_store_n(consumer, __atomic_load_n(producer, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
	if (consumer != MAP_FAILED)
		munmap(consumer, page);
	if (producer != MAP_FAILED)
		munmap((void *)producer, page);
	return r;
}

int kept_reset(int fd, const void *initial)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		return -errno;
	switch (info.type) {
	case BPF_MAP_TYPE_ARRAY:
		return reset_array(fd, &info, initial);
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		return update_all(fd, &info, NULL, ((info.value_size + 7U) & ~7U) * (size_t)libbpf_num_possible_cpus());
	case BPF_MAP_TYPE_ARRAY_OF_MAPS:
		return delete_maps(fd, info.max_entries);
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
	case BPF_MAP_TYPE_LPM_TRIE:
	case BPF_MAP_TYPE_HASH_OF_MAPS:
	case BPF_MAP_TYPE_DEVMAP_HASH:
		return delete_keys(fd, info.key_size);
	case BPF_MAP_TYPE_DEVMAP:
	case BPF_MAP_TYPE_XSKMAP:
	case BPF_MAP_TYPE_CPUMAP:
		return delete_indices(fd, info.max_entries);
	case BPF_MAP_TYPE_RINGBUF:
		return read_ring(fd);
	default:
		return -ENOTSUP;
	}
}
