/* SPDX-License-Identifier: BSD-2-Clause */
/* Switches from one set of programs to another, and back. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "datapath/bpffs.h"
#include "datapath/datapath_private.h"
#include "datapath/former_sessions.h"
#include "datapath/migration.h"
#include "datapath/pinned.h"

/* Makes a build's programs the current ones. */
static void set_current(struct datapath *d, const struct datapath_build *b)
{
	d->tc_outside = b->tc_outside;
	d->tc_bare = b->tc_bare;
	d->extent_release = b->extent_release;
	d->grant_binding_change = b->grant_binding_change;
	d->agent_count = b->agent_count;
	d->session_held = b->session_held;
	d->settings = b->settings;
}

static int switch_to(struct datapath *d, const struct datapath_build *b)
{
	int r, e;

	stages_stop(d);
	r = build_swap_in(d, b);
	if (r)
		return r;
	set_current(d, b);
	e = stages_start(d, b);
	if (e)
		log_warning("the second stage cannot be put in place, packets are handled in one: %s", strerror(-e));
	return 0;
}

/* The thread writes build, err and r, then done, and touches nothing afterwards. */
struct datapath_loading {
	pthread_t thread;
	const struct datapath *datapath;
	struct settings settings;
	struct datapath_build *build;
	struct error err;
	int r;
	atomic_bool done;
	bool joined;
};

static void *load(void *arg)
{
	struct datapath_loading *l = arg;

	l->r = build_new(l->datapath, &l->settings, &l->build, &l->err);
	atomic_store(&l->done, true);
	return NULL;
}

static void join(struct datapath_loading *l)
{
	if (!l->joined)
		pthread_join(l->thread, NULL);
	l->joined = true;
}

/* Whether the programs set aside for a trace are the wanted ones. */
static bool spare_fits(const struct datapath *d, const struct settings *settings)
{
	return d->spare && !memcmp(&d->spare->settings, settings, sizeof(*settings));
}

int datapath_load_begin(struct datapath *d, const struct settings *settings, struct error *err)
{
	struct datapath_loading *l;
	sigset_t all, before;
	int r = datapath_features_grow(d, settings, err);

	if (r)
		return r;
	l = calloc(1, sizeof(*l));
	if (!l)
		return error_set(err, -ENOMEM, "out of memory");
	l->datapath = d;
	l->settings = *settings;
	if (spare_fits(d, settings)) {
		l->build = d->spare;
		l->joined = true;
		atomic_store(&l->done, true);
		d->loading = l;
		return 0;
	}
	/* The verifier aborts if a signal is pending; signals are handled by the main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&l->thread, NULL, load, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r) {
		free(l);
		return error_set(err, -r, "no thread can be started to load the programs: %s", strerror(r));
	}
	d->loading = l;
	return 0;
}

int datapath_load_ready(struct datapath *d, struct error *err)
{
	struct datapath_loading *l = d->loading;

	if (!atomic_load(&l->done))
		return 1;
	return l->r ? error_set(err, l->r, "%s", l->err.text) : 0;
}

void datapath_load_abort(struct datapath *d)
{
	struct datapath_loading *l = d->loading;

	if (!l)
		return;
	join(l);
	if (l->build && l->build != d->spare) {
		build_unpin(d, l->build->generation);
		build_free(l->build);
	}
	free(take_pointer(d->loading));
}

/* Sessions beyond the slots that an earlier build has in its hash. */
static void bring_over(struct datapath *d)
{
	int r = d->beyond ? former_sessions_bring_over(d, d->beyond) : 0;

	if (r)
		log_warning("sessions beyond the slots may be lost: %s", strerror(-r));
}

static void bring_over_rest(struct datapath *d)
{
	size_t n;

	if (!d->beyond)
		return;
	datapath_grace_period(d);
	n = former_sessions_end(d, d->beyond);
	if (n)
		log_info("%zu sessions beyond the slots were moved out of the hash of an earlier build", n);
	former_sessions_free(take_pointer(d->beyond));
}

int datapath_load_swap(struct datapath *d, struct error *err)
{
	struct datapath_build *b;
	int r;

	join(d->loading);
	b = d->loading->build;
	if (d->former)
		datapath_settle(d);
	/* There is none on a first start. */
	if (!d->build) {
		build_of_pins(d, &d->build);
		if (!d->migration && former_sessions_of_build(d, &d->beyond))
			log_warning("sessions beyond the slots of an earlier build cannot be read");
	}
	if (d->migration)
		migration_before_swap(d, d->migration);
	bring_over(d);
	r = switch_to(d, b);
	if (!r && d->migration)
		migration_after_swap(d, d->migration);
	if (!r)
		bring_over(d);
	if (r) {
		if (d->build)
			switch_to(d, d->build);
		datapath_load_abort(d);
		return error_set(err, r, "the new programs cannot be put in place: %s", strerror(-r));
	}
	free(take_pointer(d->loading));
	if (b == d->spare)
		d->spare = NULL;
	d->former = d->build;
	d->build = b;
	return 0;
}

int datapath_load(struct datapath *d, const struct settings *settings, struct error *err)
{
	int r = datapath_load_begin(d, settings, err);

	if (r)
		return r;
	join(d->loading);
	r = datapath_load_ready(d, err);
	if (r) {
		datapath_load_abort(d);
		return r;
	}
	return datapath_load_swap(d, err);
}

/* Directories vN of other layouts: their state is out of date from now on. */
static int visit_other(const char *name, void *arg)
{
	char path[PATH_MAX];
	unsigned version;

	if (!datapath_is_layout(name, &version) || version == LAYOUT_VERSION)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", (const char *)arg, name);
	log_info("removing the pins of another version, %s", path);
	return bpffs_remove_directory(path);
}

/* The normal programs stay loaded while the tracing programs run. */
static void keep_spare(struct datapath *d)
{
	bool tracing = d->build && d->build->settings.trace;

	if (tracing && d->former && d->former->generation && !d->former->settings.trace) {
		build_free(d->spare);
		d->spare = take_pointer(d->former);
	}
	if (d->spare && !tracing)
		build_free(take_pointer(d->spare));
}

static void drop_other_layouts(const struct datapath *d)
{
	_cleanup_free_ char *pin_path = strdup(d->pin_dir);

	if (!pin_path)
		return;
	*strrchr(pin_path, '/') = '\0';
	directory_visit(pin_path, visit_other, pin_path);
}

void datapath_settle(struct datapath *d)
{
	keep_spare(d);
	if (d->build)
		build_unpin_others(d);
	build_free(take_pointer(d->former));
	bring_over_rest(d);
	if (d->migration)
		migration_settle(d, d->migration);
	else
		drop_other_layouts(d);
}

void datapath_migrated(struct datapath *d)
{
	migration_finish(take_pointer(d->migration));
	drop_other_layouts(d);
}

void datapath_revert(struct datapath *d)
{
	struct datapath_build *failed = d->build;

	if (!d->former)
		return;
	if (switch_to(d, d->former)) {
		log_error("the former programs cannot be restored; the new ones stay");
		return;
	}
	d->build = take_pointer(d->former);
	build_unpin(d, failed->generation);
	build_free(failed);
}
