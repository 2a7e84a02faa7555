/* SPDX-License-Identifier: BSD-2-Clause */
/* Copies a datapath of another layout, and carries over later changes. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/log.h"
#include "datapath/bpffs.h"
#include "datapath/migration_private.h"
#include "datapath/pinned.h"
#include "datapath/running.h"

static int pin_mark(const struct datapath *d)
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, PIN_MOVING, 4, 4, 1, NULL);

	return fd < 0 ? fd : bpf_obj_pin(fd, pin_path_of(d, PIN_MOVING, path));
}

/* Pins a map of the old layout in d's directory too. A missing or different map is created later. */
static int share(const struct datapath *d, const struct migration *m, const struct migration_shared *s)
{
	char from[PATH_MAX + 32], to[PATH_MAX];
	int r;

	snprintf(from, sizeof(from), "%s/%s", m->pin_dir, s->pin);

	_cleanup_close_ int fd = bpf_obj_get(from);
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	if (fd < 0 || !migration_shares(m, s))
		return 0;
	r = bpf_obj_get_info_by_fd(fd, &info, &size);
	if (!r && !strcmp(s->pin, "entries") && info.max_entries != N_ENTRIES)
		return 0;
	return r ? r : bpf_obj_pin(fd, pin_path_of(d, s->pin, to));
}

int migration_begin(const struct datapath *d, struct migration **ret, struct error *err)
{
	struct migration *m;
	int r = migration_open(d, &m, err);

	*ret = NULL;
	if (r || !m)
		return r;
	if (mkdir(d->pin_dir, 0700) && errno != EEXIST)
		r = -errno;
	if (!r)
		r = pin_mark(d);
	for (const struct migration_shared *s = migration_shared; !r && s->pin; s++)
		r = share(d, m, s);
	if (r) {
		migration_free(m);
		return error_set(err, r, "%s: cannot be pinned: %s", d->pin_dir, strerror(-r));
	}
	*ret = m;
	return 0;
}

/* Pins the chunks of a range of records that both layouts share. */
static int pin_chunks(const struct datapath *d, const struct migration *m, int outer, const char *name, uint64_t first,
		      uint64_t count, unsigned shift)
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

static int pin_shared_chunks(const struct datapath *d, const struct migration *m)
{
	bool subscribers = map_id(m->subscribers) == map_id(d->subscribers);
	int r = 0;

	for (unsigned i = 0; !r && i < MAX_MAPPINGS; i++) {
		const struct mapping *record = &d->mapping[i];
		uint64_t n;

		if (!mapping_record_valid(record) || !record->geo.in_plen || record->geo.out_plen == PLEN_NONE)
			continue;
		n = record->geo.last_subscriber + 1ULL;
		if (record->first_bucket != NO_BUCKETS)
			r = pin_chunks(d, m, d->buckets, CHUNK_BUCKET, record->first_bucket, n << record->bucket_shift,
				       BUCKET_CHUNK_SHIFT);
		if (!r && record->bindings.protocols)
			r = pin_chunks(d, m, d->buckets, CHUNK_BUCKET, record->bindings.first,
				       mapping_record_binding_buckets(record), BUCKET_CHUNK_SHIFT);
		if (!r && subscribers)
			r = pin_chunks(d, m, d->subscribers, CHUNK_SUBSCRIBER, record->first_subscriber, n,
				       SUBSCRIBER_CHUNK_SHIFT);
	}
	return r;
}

/* The old counters of each core, matched by name; *ret_sum is their sum. The caller frees the result. */
static struct counters *read_counters(const struct migration *m, struct counters *ret_sum)
{
	int cores = libbpf_num_possible_cpus();
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info), zero = 0, step;
	struct counters *values;

	*ret_sum = (struct counters){ 0 };
	if (cores < 1 || m->counters < 0 || bpf_obj_get_info_by_fd(m->counters, &info, &size))
		return NULL;
	step = (info.value_size + 7) & ~7U;
	values = calloc((size_t)cores, sizeof(*values));

	_cleanup_free_ uint8_t *old = calloc((size_t)cores, step);

	if (!values || !old || bpf_map_lookup_elem(m->counters, &zero, old)) {
		free(values);
		return NULL;
	}
	for (int i = 0; i < cores; i++) {
		layout_copy(m->from, m->to, "counters", old + (size_t)i * step, &values[i]);
		for (unsigned k = 0; k < N_REASONS; k++)
			((uint64_t *)ret_sum)[k] += ((uint64_t *)&values[i])[k];
	}
	return values;
}

static void copy_counters(const struct datapath *d, struct migration *m)
{
	_cleanup_free_ struct counters *values = read_counters(m, &m->counted);
	uint32_t zero = 0;

	if (values)
		bpf_map_update_elem(d->counters, &zero, values, BPF_ANY);
}

static void bring_over_counters(const struct datapath *d, struct migration *m)
{
	struct counters now;
	_cleanup_free_ struct counters *values = read_counters(m, &now);

	for (unsigned k = 0; values && k < N_REASONS; k++) {
		uint64_t more = ((uint64_t *)&now)[k] - ((uint64_t *)&m->counted)[k];

		if (more && more <= UINT32_MAX)
			datapath_count(d, (enum reason)k, (uint32_t)more);
	}
	m->counted = now;
}

/* Done last: it marks the copy as complete. */
static int copy_running(struct datapath *d, const struct migration *m, struct error *err)
{
	char path[PATH_MAX + 32];
	_cleanup_free_ char *json = NULL;
	uint64_t hash;
	size_t size;
	void *memory;
	int r;

	snprintf(path, sizeof(path), "%s/" PIN_RUNNING, m->pin_dir);

	_cleanup_close_ int fd = bpf_obj_get(path);

	memory = migration_mmap(fd, &size);
	if (!memory)
		return error_set(err, errno_or(EIO), "%s: cannot be read", path);
	r = running_load_from(memory, size, &json, &hash);
	munmap(memory, size);
	if (r)
		return error_set(err, r, "%s: %s", path, strerror(-r));
	r = running_reserve(d, strlen(json), err);
	return r ? r : running_save_to(d->running_state, d->running_size, json, hash, err);
}

int migration_copy(struct datapath *d, struct migration *m, struct error *err)
{
	int r = migration_copy_mappings(m, d->table);

	/* Rate limits start afresh, those of subscribers too. */
	d->table->limits = (struct shared_limits){ 0 };
	if (!r)
		r = migration_index_copy(d, m);
	if (!r)
		r = pin_shared_chunks(d, m);
	if (!r)
		r = map_id(m->subscribers) == map_id(d->subscribers) ? migration_subscribers_count(d, m)
								     : migration_subscribers_copy(d, m);
	if (!r)
		r = migration_overflow_copy(d, m);
	if (r)
		return error_set(err, r, "%s: cannot be taken over: %s", m->pin_dir, strerror(-r));
	copy_counters(d, m);
	if (!d->global->epoch)
		datapath_raise_epoch(d);
	return copy_running(d, m, err);
}

int migration_resume(const struct datapath *d, struct migration **ret)
{
	char path[PATH_MAX + 32];
	struct migration *m;
	int r = migration_open(d, &m, NULL);

	*ret = NULL;
	if (r || !m)
		return 0;
	snprintf(path, sizeof(path), "%s/buckets", m->pin_dir);

	_cleanup_close_ int buckets = bpf_obj_get(path);

	/* Separate tables: that datapath was replaced, not taken over. */
	if (map_id(buckets) != map_id(d->buckets)) {
		migration_free(m);
		return 0;
	}
	m->resumed = true;
	if (map_id(m->subscribers) != map_id(d->subscribers))
		r = migration_subscribers_map(d, m);
	if (r) {
		migration_free(m);
		return r;
	}
	free(read_counters(m, &m->counted));
	*ret = m;
	return 0;
}

bool migration_is_resumed(const struct migration *m)
{
	return m->resumed;
}

/* Carries over data that the old programs still change. */
static void bring_over(const struct datapath *d, struct migration *m)
{
	int r = migration_overflow_bring_over(d, m);

	if (r)
		log_warning("overflow sessions that are being opened may be lost: %s", strerror(-r));
	migration_subscribers_bring_over(m);
}

void migration_before_swap(const struct datapath *d, struct migration *m)
{
	char path[PATH_MAX];

	bring_over(d, m);
	unlink(pin_path_of(d, PIN_MOVING, path));
}

void migration_after_swap(const struct datapath *d, struct migration *m)
{
	bring_over(d, m);
}

void migration_settle(const struct datapath *d, struct migration *m)
{
	datapath_grace_period(d);
	bring_over(d, m);
	bring_over_counters(d, m);
	migration_subscribers_move_rest(m);
}

void migration_finish(struct migration *m)
{
	uint64_t us = monotonic_us() - m->began_us;
	int r = bpffs_remove_directory(m->pin_dir);

	if (r)
		log_warning("%s: cannot be removed: %s", m->pin_dir, strerror(-r));
	if (m->resumed)
		log_info("the datapath of layout %u was taken over, and its counts were compared with the slots, after "
			 "an interrupted start",
			 m->version);
	else
		log_info("the datapath of layout %u was taken over as layout %u in %" PRIu64
			 ".%03u s: %u mappings, %" PRIu64 " sessions (%" PRIu64 " of them in the overflow), %" PRIu64
			 " opened meanwhile",
			 m->version, LAYOUT_VERSION, us / 1000000, (unsigned)(us / 1000 % 1000), m->n_mappings,
			 m->n_sessions, m->n_overflow, m->n_later);
	migration_free(m);
}
