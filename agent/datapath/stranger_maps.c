/* SPDX-License-Identifier: BSD-2-Clause */
/* The maps that packets of strangers are counted in, see <detnat/strangers.h>. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/base.h"
#include "datapath/datapath_private.h"

#define COUNTERS "strangers"
#define POOLS	 "stranger_pools"
#define HOSTS	 "stranger_hosts"

#define COUNTERS_SIZE ((size_t)STRANGER_LINES * sizeof(struct stranger_line))
#define HOSTS_SIZE    ((size_t)STRANGER_HOST_LINES * sizeof(struct stranger_line))
#define POOLS_SIZE    ((size_t)MAX_MAPPINGS * sizeof(struct stranger_pool))

/* A map of n elements in *ret_fd, and its memory in *ret. 0 or -errno. */
static int make_array(const char *name, uint32_t n, uint32_t size, int *ret_fd, void **ret)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	void *memory;

	*ret_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), size, n, &opts);
	if (*ret_fd < 0)
		return *ret_fd;
	memory = mmap(NULL, (size_t)n * size, PROT_READ | PROT_WRITE, MAP_SHARED, *ret_fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	*ret = memory;
	return 0;
}

static void close_addresses(struct datapath *d)
{
	if (d->stranger)
		munmap(d->stranger, COUNTERS_SIZE);
	if (d->stranger_pool)
		munmap(d->stranger_pool, POOLS_SIZE);
	d->stranger = NULL;
	d->stranger_pool = NULL;
	close_fd(&d->strangers);
	close_fd(&d->stranger_pools);
	d->strangers = d->stranger_pools = -1;
}

static void close_hosts(struct datapath *d)
{
	if (d->stranger_host)
		munmap(d->stranger_host, HOSTS_SIZE);
	d->stranger_host = NULL;
	close_fd(&d->stranger_hosts);
	d->stranger_hosts = -1;
}

int datapath_strangers_make(struct datapath *d, struct error *err)
{
	void *lines = NULL, *pools = NULL;
	int r;

	if (d->strangers >= 0)
		return 0;
	r = make_array(COUNTERS, STRANGER_LINES, sizeof(struct stranger_line), &d->strangers, &lines);
	d->stranger = lines;
	if (!r)
		r = make_array(POOLS, MAX_MAPPINGS, sizeof(struct stranger_pool), &d->stranger_pools, &pools);
	d->stranger_pool = pools;
	if (!r)
		return 0;
	close_addresses(d);
	return error_set(err, r, "the maps that count packets of strangers cannot be made: %s", strerror(-r));
}

int datapath_stranger_hosts_make(struct datapath *d, struct error *err)
{
	void *lines = NULL;
	int r;

	if (d->stranger_hosts >= 0)
		return 0;
	r = make_array(HOSTS, STRANGER_HOST_LINES, sizeof(struct stranger_line), &d->stranger_hosts, &lines);
	d->stranger_host = lines;
	if (!r)
		return 0;
	close_hosts(d);
	return error_set(err, r, "the map that counts packets of strangers by subscriber cannot be made: %s",
			 strerror(-r));
}

void stranger_maps_close(struct datapath *d)
{
	close_addresses(d);
	close_hosts(d);
}

static int set_map(const struct bpf_object *o, const char *name, int fd)
{
	struct bpf_map *m = bpf_object__find_map_by_name(o, name);

	return m ? bpf_map__reuse_fd(m, fd) : 0;
}

int stranger_maps_set(const struct datapath *d, const struct bpf_object *o)
{
	int r = d->strangers < 0 ? 0 : set_map(o, COUNTERS, d->strangers);

	if (!r && d->strangers >= 0)
		r = set_map(o, POOLS, d->stranger_pools);
	return r || d->stranger_hosts < 0 ? r : set_map(o, HOSTS, d->stranger_hosts);
}
