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
static int share(const struct datapath *d, const struct migration *m, const struct migration_row *row)
{
	char to[PATH_MAX];
	_cleanup_close_ int fd = migration_shares(m, row) ? migration_pin(m->pin_dir, row->pin) : -1;

	return fd < 0 ? 0 : bpf_obj_pin(fd, pin_path_of(d, row->pin, to));
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
	for (const struct migration_row *row = migration_rows; !r && row->pin; row++)
		r = share(d, m, row);
	if (r) {
		migration_free(m);
		return error_set(err, r, "%s: cannot be pinned: %s", d->pin_dir, strerror(-r));
	}
	*ret = m;
	return 0;
}

int migration_copy(struct datapath *d, struct migration *m, struct error *err)
{
	for (const struct migration_row *row = migration_rows; row->pin; row++) {
		int r = row->copy ? row->copy(d, m, row) : 0;

		if (r)
			return error_set(err, r, "%s/%s: cannot be taken over: %s", m->pin_dir, row->pin, strerror(-r));
	}
	if (!d->global->epoch)
		datapath_raise_epoch(d);
	return 0;
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
	r = migration_beyond_open(m);
	if (!r && map_id(m->subscribers) != map_id(d->subscribers))
		r = migration_subscribers_map(d, m);
	if (r) {
		migration_free(m);
		return r;
	}
	migration_counts_resume(d, m);
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
	int r;

	/* The records first: they count the sessions that are placed then. */
	migration_subscribers_bring_over(m);
	migration_datagrams_bring_over(d, m);
	r = m->beyond ? former_sessions_bring_over(d, m->beyond) : 0;
	if (r)
		log_warning("sessions beyond the slots that are being opened may be lost: %s", strerror(-r));
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
	if (m->beyond)
		m->n_beyond = former_sessions_end(d, m->beyond);
	migration_counters_bring_over(d, m);
	migration_subscribers_move_rest(m);
	former_sessions_free(take_pointer(m->beyond));
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
			 ".%03u s: %u mappings, %" PRIu64 " sessions (%" PRIu64 " of them beyond the slots), %" PRIu64
			 " opened meanwhile",
			 m->version, LAYOUT_VERSION, us / 1000000, (unsigned)(us / 1000 % 1000), m->n_mappings,
			 m->n_sessions, m->n_beyond, m->n_later);
	migration_free(m);
}
