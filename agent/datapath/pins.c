/* SPDX-License-Identifier: BSD-2-Clause */
/* The pins that outlive the agent: maps, and the programs attached to interfaces. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <detnat/extents.h>
#include <detnat/portmap_lines.h>

#include "base/base.h"
#include "base/btf_layout.h"
#include "datapath/chunk_maps.h"
#include "datapath/datapath_private.h"
#include "datapath/migration_private.h"
#include "datapath/pinned.h"
#include "datapath/running.h"
#include "detnat_entry.skel.h"
#include "detnat_tc.skel.h"
#include "detnat_xdp.skel.h"

/* Memory-mapped maps: X(member with the descriptor, member with the pointer, octets) */
#define MMAPS(X)                                                                         \
	X(in_index, in_nodes, sizeof(struct index_node) * INDEX_NODES)                   \
	X(out_index, out_nodes, sizeof(struct index_node) * INDEX_NODES)                 \
	X(mappings, table, sizeof(struct mapping_table))                                 \
	X(devices, devices_at, sizeof(struct device_table))                              \
	X(stage_control, stages, sizeof(struct stage_control))                           \
	X(portmap_lines, portmap_line, sizeof(struct portmap_line[PORTMAP_LINES_TABLE])) \
	X(extents, extent, d->extents_size)                                              \
	X(extent_pool, pool, sizeof(struct extent_pool))                                 \
	X(running, running_state, d->running_size)

static const char *const pin_names[] = {
#define X(member, name) name,
	PINS(X)
#undef X
};

bool datapath_is_layout(const char *name, unsigned *ret_version)
{
	int end = 0;

	return sscanf(name, "v%u%n", ret_version, &end) == 1 && !name[end];
}

bool pins_complete(const char *pin_dir)
{
	for (size_t i = 0; i < ARRAY_SIZE(pin_names); i++) {
		char path[PATH_MAX];

		/* Created if missing: earlier versions had none. */
		if (!strcmp(pin_names[i], "vlans"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", pin_dir, pin_names[i]);
		if (access(path, F_OK))
			return false;
	}
	return true;
}

void pins_open(struct datapath *d)
{
	char path[PATH_MAX];

#define X(member, name)                                              \
	if (d->member < 0) {                                         \
		d->member = bpf_obj_get(pin_path_of(d, name, path)); \
		if (d->member < 0)                                   \
			d->member = -1;                              \
	}
	PINS(X)
	PASSING_PINS(X)
	SIX_PINS(X)
#undef X
}

/* Pins a new map, unless one has that name. entries: of so many octets, with keys of four. 0 or -errno. */
static int make_map(const struct datapath *d, const char *pin, const char *name, enum bpf_map_type type,
		    uint32_t octets, uint32_t entries, const struct bpf_map_create_opts *opts)
{
	char path[PATH_MAX];

	if (!access(pin_path_of(d, pin, path), F_OK))
		return 0;

	_cleanup_close_ int fd = bpf_map_create(type, name, sizeof(uint32_t), octets, entries, opts);

	return fd < 0 ? fd : bpf_obj_pin(fd, path);
}

static int make_running(const struct datapath *d)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);

	return make_map(d, PIN_RUNNING, "running", BPF_MAP_TYPE_ARRAY, RUNNING_PLACE_SIZE, RUNNING_PLACES, &opts);
}

int pins_mark_in_use(const struct datapath *d)
{
	return make_map(d, PIN_HASH, "in_use", BPF_MAP_TYPE_ARRAY, 4, 1, NULL);
}

static int make_ports(const struct datapath *d)
{
	return make_map(d, "ports", "ports", BPF_MAP_TYPE_DEVMAP_HASH, sizeof(struct bpf_devmap_val), STAGE_PORTS,
			NULL);
}

/* extents: its buckets, the room that depends on the configuration. */
static void set_room(const struct datapath *d, struct bpf_object *o, uint32_t extents)
{
	object_set_extents(o, extents);
	object_set_features(d, o);
}

static int load_sized(const struct datapath *d, struct bpf_object *o, uint32_t extents, struct error *err)
{
	set_room(d, o, extents);
	return object_load(o, err);
}

/* Loads an object for its pinned maps, with no programs but the clock. */
static int make_maps(const struct datapath *d, struct bpf_object *o, uint32_t extents, struct error *err)
{
	struct bpf_program *program;
	struct bpf_map *m;

	bpf_object__for_each_program(program, o)
		bpf_program__set_autoload(program, !strcmp(bpf_program__name(program), "clock_ticks"));
	bpf_object__for_each_map(m, o) if (!bpf_map__is_internal(m) && !bpf_map__pin_path(m))
		bpf_map__set_autocreate(m, false);
	return load_sized(d, o, extents, err);
}

static int pin_entry(const struct datapath *d, struct bpf_program *program, struct error *err)
{
	char name[64], path[PATH_MAX];
	int r;

	snprintf(name, sizeof(name), "prog_%s", bpf_program__name(program));
	if (!access(pin_path_of(d, name, path), F_OK))
		return 0;
	r = bpf_obj_pin(bpf_program__fd(program), path);
	return r ? error_set(err, r, "%s: cannot be pinned: %s", path, strerror(-r)) : 0;
}

static void destroy_entry(struct detnat_entry **skeleton)
{
	detnat_entry__destroy(*skeleton);
}

static void destroy_xdp(struct detnat_xdp **skeleton)
{
	detnat_xdp__destroy(*skeleton);
}

static void destroy_tc(struct detnat_tc **skeleton)
{
	detnat_tc__destroy(*skeleton);
}

/* Loads an object of programs that outlive the agent, and pins those that are not pinned yet. */
static int make_entries(const struct datapath *d, struct bpf_object *o, uint32_t extents, struct error *err)
{
	struct bpf_program *program;
	int r = load_sized(d, o, extents, err);

	if (r)
		return r;
	bpf_object__for_each_program(program, o)
	{
		r = pin_entry(d, program, err);
		if (r)
			break;
	}
	return r;
}

/* The result of making what has that name in the directory of pins, with err. */
static int said(const struct datapath *d, const char *name, int r, struct error *err)
{
	return r ? error_set(err, r, "%s/%s: cannot be created: %s", d->pin_dir, name, strerror(-r)) : 0;
}

int pins_make(struct datapath *d, const struct config *c, struct error *err)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .pin_root_path = d->pin_dir);
	__attribute__((cleanup(destroy_entry))) struct detnat_entry *entry = detnat_entry__open_opts(&opts);
	__attribute__((cleanup(destroy_xdp))) struct detnat_xdp *xdp = detnat_xdp__open_opts(&opts);
	__attribute__((cleanup(destroy_tc))) struct detnat_tc *tc = detnat_tc__open_opts(&opts);
	uint32_t extents = pins_extents_room(d, c);
	int r = 0;

	if (!entry || !xdp || !tc)
		return error_set(err, -errno, "the BPF objects cannot be opened: %s", strerror(errno));
	if (mkdir(d->pin_dir, 0700) && errno != EEXIST)
		return error_set(err, -errno, "%s: %s", d->pin_dir, strerror(errno));
	d->leases = portmap_maps_fit(d, config_pcp_leases(c));
	set_room(d, xdp->obj, extents);
	r = pins_replace_outgrown(d, xdp->obj, err);
	if (!r)
		r = make_maps(d, xdp->obj, extents, err);
	if (!r) {
		d->clock = fcntl(bpf_program__fd(xdp->progs.clock_ticks), F_DUPFD_CLOEXEC, 3);
		r = d->clock < 0 ? error_set(err, -errno, "the clock: %s", strerror(errno))
				 : make_maps(d, tc->obj, extents, err);
	}
	if (!r)
		r = make_entries(d, entry->obj, extents, err);
	if (!r)
		r = said(d, PIN_HASH, pins_mark_in_use(d), err);
	if (!r)
		r = said(d, "ports", make_ports(d), err);
	if (!r)
		r = said(d, "types", layout_save(d->pin_dir, bpf_object__btf(xdp->obj)), err);
	return r ? r : said(d, PIN_RUNNING, make_running(d), err);
}

size_t running_map_size(int map)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(map, &info, &size) ? 0 : (size_t)info.value_size * info.max_entries;
}

int pins_mmap(struct datapath *d, struct error *err)
{
	if (d->running >= 0 && !d->running_state)
		d->running_size = running_map_size(d->running);
	if (d->extents >= 0 && !d->extent)
		d->extents_size = sizeof(struct bucket) * map_room(d->extents);
#define X(fd, member, size)                                                                               \
	if (d->fd >= 0 && !d->member) {                                                                   \
		void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, 0);            \
                                                                                                          \
		if (memory == MAP_FAILED)                                                                 \
			return error_set(err, -errno, "the map " #fd " cannot be mapped into memory: %s", \
					 strerror(errno));                                                \
		d->member = memory;                                                                       \
	}
	MMAPS(X)
#undef X
	if (d->table) {
		d->mapping = d->table->mapping;
		d->global = &d->table->globals;
	}
	if (d->devices_at) {
		d->device = d->devices_at->device;
		d->way = d->devices_at->way;
	}
	return pins_mmap_six(d, err);
}

void pins_close(struct datapath *d)
{
	pins_close_six(d);
#define X(fd, member, size)              \
	if (d->member) {                 \
		munmap(d->member, size); \
		d->member = NULL;        \
	}
	MMAPS(X)
#undef X
	d->mapping = NULL;
	d->global = NULL;
	d->device = NULL;
	d->way = NULL;
#define X(member, name)           \
	if (d->member >= 0)       \
		close(d->member); \
	d->member = -1;
	PINS(X)
	PASSING_PINS(X)
#undef X
}

/* After this many missing chunks in a row, no more are expected. */
#define MISSING_MAX 16U

/* Pins the chunks of a table that have no pins yet. */
static void pin_chunks(const struct datapath *d, const char *table, const char *chunks)
{
	char path[PATH_MAX];
	unsigned missing = 0;
	_cleanup_close_ int outer = bpf_obj_get(pin_path_of(d, table, path));

	for (uint32_t i = 0; outer >= 0 && missing < MISSING_MAX; i++) {
		const char *pin = chunk_pin(d->pin_dir, chunks, i, path);
		_cleanup_close_ int fd = outer_chunk(outer, i, pin);

		missing = fd < 0 ? missing + 1 : 0;
		if (fd >= 0 && access(pin, F_OK))
			bpf_obj_pin(fd, pin);
	}
}

void datapath_pin_missing(const char *pin_dir)
{
	const struct datapath only = { .pin_dir = (char *)pin_dir }, *d = &only;
	char path[PATH_MAX];
	struct btf *types;
	_cleanup_close_ int mappings = bpf_obj_get(pin_path_of(d, "mappings", path));

	types = mappings < 0 ? NULL : layout_read(d->pin_dir, mappings);
	if (types) {
		layout_save(d->pin_dir, types);
		btf__free(types);
	}
	pin_chunks(d, "subscribers", CHUNK_SUBSCRIBER);
	pin_chunks(d, "buckets", CHUNK_BUCKET);
	pin_chunks(d, "hosts6", CHUNK_HOST6);
}
