/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds the pins of another layout and decides whether they can be taken over. */
#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>

#include <detnat/portmaps.h>

#include "base/log.h"
#include "datapath/bpffs.h"
#include "datapath/migration_private.h"
#include "datapath/running.h"
#include "host/paths.h"

void migration_free(struct migration *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n_chunks; i++) {
		if (m->chunk[i].from)
			munmap(m->chunk[i].from, m->chunk[i].from_octets);
		if (m->chunk[i].to)
			munmap(m->chunk[i].to, m->chunk[i].to_octets);
		free(m->chunk[i].seen);
	}
	free(m->chunk);
	if (m->table)
		munmap(m->table, m->table_octets);
	close_fd(&m->mappings);
	close_fd(&m->subscribers);
	close_fd(&m->counters);
	former_sessions_free(m->beyond);
	btf__free(m->from);
	hook_object_close(&m->own);
	free(m);
}

static void free_migration(struct migration **m)
{
	migration_free(*m);
}

struct search {
	const char *pin_path;
	char *pin_dir;
	bool found;
};

/* There is at most one of interest: an agent that is ready leaves only one. */
static int visit_source(const char *name, void *arg)
{
	struct search *s = arg;
	unsigned version;
	size_t size;
	char path[PATH_MAX];
	_cleanup_free_ char *json = NULL;
	uint64_t hash;

	if (!datapath_is_layout(name, &version) || version == LAYOUT_VERSION)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", s->pin_path, name);
	if (migration_unused(path) || migration_is_offer(path))
		return 0;

	_cleanup_close_ int running = migration_pin(path, PIN_RUNNING), mappings = migration_pin(path, "mappings");
	void *memory = migration_mmap(running, &size);

	/* One whose agent never became ready is ignored. How the earliest ones told that is not known here. */
	s->found = mappings >= 0 && (version < LAYOUT_OLDEST || (memory && size >= RUNNING_SIZE &&
								 !running_load_from(memory, size, &json, &hash)));
	if (memory)
		munmap(memory, size);
	if (s->found)
		snprintf(s->pin_dir, PATH_MAX, "%s", path);
	return s->found;
}

int migration_source(const char *pin_path, char *ret_pin_dir)
{
	struct search s = { .pin_path = pin_path, .pin_dir = ret_pin_dir };

	if (bpffs_is(pin_path))
		directory_visit(pin_path, visit_source, &s);
	return s.found ? 0 : -ENOENT;
}

/* Whether what cannot be judged by the types of a map alone can be taken over. */
static int judge(const struct migration *m, struct error *err)
{
	const char *type = NULL;
	struct layout_member member;

	if (!layout_fits(m->from, m->to, "slot"))
		type = "slot";
	else if (layout_find(m->from, "mapping", "geo", &member) ||
		 !(layout_fits(m->from, m->to, "geometry") || migration_geometry_fits(m)))
		type = "mapping";
	return type ? error_set(err, -EXDEV, "its records \"%s\" differ", type) : migration_judge(m, err);
}

static int read_types(struct migration *m, struct error *err)
{
	struct datapath none;
	char path[PATH_MAX];
	int r;

	m->from = layout_read(m->pin_dir, m->mappings);
	if (!m->from)
		return error_set(err, errno_or(EIO), "its type information cannot be read: %s%s", strerror(errno),
				 errno == EPERM ? " (this needs CAP_SYS_ADMIN, once)" : "");
	snprintf(path, sizeof(path), "%s", m->pin_dir);
	*strrchr(path, '/') = '\0';
	r = datapath_of_nothing(path, &none);
	if (!r)
		r = hook_object_open_xdp(&none, &none.settings, 0, &m->own);
	free(none.pin_dir);
	if (r)
		return error_set(err, r, "the BPF objects cannot be opened: %s", strerror(-r));
	m->to = bpf_object__btf(m->own.object);
	return 0;
}

/* Opens the pins in a directory; 0, or -errno with the reason in err. */
static int open_source(const char *pin_dir, struct migration **ret, struct error *err)
{
	__attribute__((cleanup(free_migration))) struct migration *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return error_set(err, -ENOMEM, "out of memory");
	m->mappings = m->subscribers = m->counters = -1;
	m->began_us = monotonic_us();
	snprintf(m->pin_dir, sizeof(m->pin_dir), "%s", pin_dir);
	if (!datapath_is_layout(strrchr(pin_dir, '/') + 1, &m->version))
		return error_set(err, -EINVAL, "%s is not a layout", pin_dir);
	if (m->version < LAYOUT_OLDEST)
		return error_set(err, -ENOTSUP,
				 "it is of a version before 1.0.0, and layouts from %u on are taken over",
				 LAYOUT_OLDEST);
	if (!pins_complete(pin_dir))
		return error_set(err, -ENOENT, "some of its pins are missing");
	m->mappings = migration_pin(pin_dir, "mappings");
	m->subscribers = migration_pin(pin_dir, "subscribers");
	m->counters = migration_pin(pin_dir, "counters");
	m->table = migration_mmap(m->mappings, &m->table_octets);
	if (!m->table || m->subscribers < 0)
		return error_set(err, errno_or(EIO), "its tables cannot be read: %s", strerror(errno));
	r = read_types(m, err);
	if (r)
		return r;
	r = judge(m, err);
	*ret = take_pointer(m);
	return r;
}

struct tally {
	struct migration *m;
	uint64_t sessions;
};

/* After this many missing chunks in a row, no more are expected. */
#define MISSING_MAX 16U

static bool count_chunk(struct migration *m, uint32_t chunk, struct tally *t)
{
	struct layout_member member;
	char path[PATH_MAX];
	_cleanup_close_ int fd =
		outer_chunk(m->subscribers, chunk, chunk_pin(m->pin_dir, CHUNK_SUBSCRIBER, chunk, path));
	struct bpf_map_info info = { 0 };
	uint32_t info_size = sizeof(info);
	size_t size;
	uint8_t *memory = fd < 0 ? NULL : migration_mmap(fd, &size);

	if (!memory)
		return false;
	if (!bpf_obj_get_info_by_fd(fd, &info, &info_size) && m->from &&
	    !layout_find(m->from, "subscriber", "sessions", &member) && member.size == sizeof(uint32_t) &&
	    member.offset + member.size <= info.value_size)
		for (uint32_t i = 0; i < info.max_entries; i++)
			t->sessions += *(volatile uint32_t *)(memory + (size_t)i * info.value_size + member.offset);
	munmap(memory, size);
	return true;
}

/* Leases, which no file has; each has two entries. */
static unsigned count_leases(const struct migration *m)
{
	_cleanup_close_ int map = migration_pin(m->pin_dir, "portmaps");
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);
	uint8_t keys[2][64], value[512], *at = NULL;
	struct layout_member origin;
	unsigned n = 0;

	if (!m->from || layout_find(m->from, "portmap_value", "origin", &origin) || map < 0 ||
	    bpf_obj_get_info_by_fd(map, &info, &size) || info.key_size > sizeof(keys[0]) ||
	    info.value_size > sizeof(value) || origin.size != 1 || origin.offset >= info.value_size)
		return 0;
	for (unsigned i = 0; !bpf_map_get_next_key(map, at, keys[i % 2]); at = keys[i++ % 2])
		n += !bpf_map_lookup_elem(map, keys[i % 2], value) && value[origin.offset] == PORTMAP_PCP;
	return n / 2;
}

/* Mappings are counted in the old table, if it can be read; sessions in the records of subscribers. */
static void say_lost(struct migration *m, const char *why, struct error *err)
{
	_cleanup_free_ struct mapping_table *table = calloc(1, sizeof(*table));
	struct tally t = { .m = m };
	unsigned mappings = 0, missing = 0, leases = count_leases(m);
	char also[64] = "";

	if (table && m->from && m->to)
		migration_copy_mappings(m, table);
	for (unsigned i = 0; table && i < MAX_MAPPINGS; i++)
		mappings += mapping_record_valid(&table->mapping[i]) && table->mapping[i].geo.in_plen;
	/* Chunks are allocated from the lowest number up; on 6.1 each lookup costs a grace period. */
	for (uint32_t chunk = 0; chunk < MAX_SUBSCRIBER_CHUNKS && missing < MISSING_MAX; chunk++)
		missing = count_chunk(m, chunk, &t) ? 0 : missing + 1;
	if (leases)
		snprintf(also, sizeof(also), ", and %u leases of PCP", leases);
	error_set(err, 0,
		  "the running datapath has layout %u, this agent has layout %u: %s. The datapath continues unchanged. "
		  "To replace it, start the agent with --replace; %" PRIu64 " sessions of %u mappings are then lost%s",
		  m->version, LAYOUT_VERSION, why, t.sessions, mappings, also);
}

static int open_or_say(const char *pin_dir, struct migration **ret, struct error *err)
{
	struct error why = { 0 };
	int r = open_source(pin_dir, ret, &why);

	if (r == -EXDEV)
		say_lost(*ret, why.text, err);
	else if (r)
		error_set(
			err, r,
			"the running datapath, %s, has another layout than this agent, %u: %s. The datapath continues "
			"unchanged. To replace it, start the agent with --replace; its sessions will be lost",
			pin_dir, LAYOUT_VERSION, why.text);
	if (r && *ret) {
		migration_free(*ret);
		*ret = NULL;
	}
	return r ? -EXDEV : 0;
}

int migration_check(const char *pin_path, struct error *err)
{
	_cleanup_rights_ struct rights lesser = path_rights(pin_path);
	__attribute__((cleanup(free_migration))) struct migration *m = NULL;
	char pin_dir[PATH_MAX], own[PATH_MAX];

	snprintf(own, sizeof(own), "%s/v%u", pin_path, LAYOUT_VERSION);
	if ((pins_complete(own) && !migration_unused(own)) || migration_source(pin_path, pin_dir))
		return 0;
	return open_or_say(pin_dir, &m, err) ? -EXDEV : 1;
}

int migration_open(const struct datapath *d, struct migration **ret, struct error *err)
{
	char pin_dir[PATH_MAX], pin_path[PATH_MAX];

	*ret = NULL;
	snprintf(pin_path, sizeof(pin_path), "%s", d->pin_dir);
	*strrchr(pin_path, '/') = '\0';
	return migration_source(pin_path, pin_dir) ? 0 : open_or_say(pin_dir, ret, err);
}
