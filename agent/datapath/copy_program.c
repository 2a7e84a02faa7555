/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/copy_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "datapath/datapath.h"
#include "datapath/pinned.h"
#include "detnat_agent.skel.h"

/* A packet holds a lock at most this long; a quota or a swept slot may block for as long. */
#define TRIES 100U

void copy_program_unload(struct copy_program *p)
{
	if (p->requests)
		munmap(p->requests, sizeof(*p->requests));
	detnat_agent__destroy(p->skeleton);
	*p = (struct copy_program){ 0 };
}

/* Gives the program the open maps that the datapath's programs share; omits maps that it does not use. */
static int set_maps(struct bpf_object *o, const struct datapath *d)
{
	const struct {
		const char *name;
		int fd;
	} shared[] = {
		{ "mappings", d->mappings },
		{ "out_index", d->out_index },
		{ "subscribers", d->subscribers },
		{ "buckets", d->buckets },
		{ "extents", d->extents },
		{ "extent_pool", d->extent_pool },
		{ "portmaps", d->portmaps },
		{ "events", d->events },
		{ "counters", d->counters },
		{ "grants", d->grants },
		{ "grant_bindings", d->grant_bindings },
	};
	static const char *const own[] = { "copies", "copy_scans", "openings", "binding_searches", "extent_moves" };
	struct bpf_map *map;

	bpf_object__for_each_map(map, o)
	{
		/* A copy, as bpf_map__reuse_fd() replaces the name. */
		const char *name = strdupa(bpf_map__name(map));
		bool needed = strstr(name, ".rodata");
		int r = bpf_map__set_pin_path(map, NULL);

		for (size_t i = 0; i < ARRAY_SIZE(shared); i++) {
			if (strcmp(name, shared[i].name))
				continue;
			needed = true;
			/* Tests lack the maps for reporting events, and the program does without. */
			if (shared[i].fd >= 0)
				r = bpf_map__reuse_fd(map, shared[i].fd);
		}
		for (size_t i = 0; i < ARRAY_SIZE(own); i++)
			needed |= !strcmp(name, own[i]);
		if (!r && !needed)
			r = bpf_map__set_autocreate(map, false);
		if (r)
			return r;
	}
	return 0;
}

static int load_object(struct copy_program *p)
{
	struct error err = { 0 };
	int r;

	if (p->refused)
		return bpf_object__load(p->skeleton->obj);
	r = object_load(p->skeleton->obj, &err);
	p->refused = r;
	if (r)
		log_error("%s", err.text);
	return r;
}

static int load(struct copy_program *p, const struct datapath *d)
{
	struct settings *settings;
	int r;

	p->skeleton = detnat_agent__open();
	if (!p->skeleton)
		return -errno;
	settings = (struct settings *)&p->skeleton->rodata->settings;
	settings->hz = d->hz;
	/* One program serves all configurations: no packet passes it. */
	settings->portmaps = settings->bindings = settings->filtering = settings->growth = settings->limits = 1;
	/* Sessions displaced by copies are reported like those displaced by packets. */
	settings->session_events = d->settings.session_events;
	settings->extent_buckets = d->settings.extent_buckets;
	bpf_program__set_autoload(p->skeleton->progs.pcp_sender, false);
	r = set_maps(p->skeleton->obj, d);
	if (!r)
		r = load_object(p);
	if (r)
		return r;
	p->requests = mmap(NULL, sizeof(*p->requests), PROT_READ | PROT_WRITE, MAP_SHARED,
			   bpf_map__fd(p->skeleton->maps.copies), 0);
	if (p->requests == MAP_FAILED) {
		p->requests = NULL;
		return -errno;
	}
	p->portmaps = map_id(d->portmaps);
	p->grants = map_id(d->grants);
	p->grant_bindings = map_id(d->grant_bindings);
	p->session_events = d->settings.session_events;
	p->extents = d->settings.extent_buckets;
	return 0;
}

/* Whether none of the maps that can be replaced has been. */
static bool has_maps_of(const struct copy_program *p, const struct datapath *d)
{
	return p->portmaps == map_id(d->portmaps) && p->grants == map_id(d->grants) &&
	       p->grant_bindings == map_id(d->grant_bindings);
}

int copy_program_load(struct copy_program *p, const struct datapath *d)
{
	struct copy_program next = { .refused = p->refused };
	int r;

	if (p->skeleton && has_maps_of(p, d) && p->session_events == d->settings.session_events &&
	    p->extents == d->settings.extent_buckets)
		return 0;
	r = load(&next, d);
	if (r) {
		p->refused = next.refused;
		copy_program_unload(&next);
		return r;
	}
	copy_program_unload(p);
	*p = next;
	return 0;
}

static bool any_busy(const struct session_copies *all)
{
	for (uint32_t i = 0; i < all->n; i++)
		if (all->copy[i].result == COPY_BUSY)
			return true;
	return false;
}

int copy_program_run(struct copy_program *p)
{
	LIBBPF_OPTS(bpf_test_run_opts, run);
	int fd = bpf_program__fd(p->skeleton->progs.session_copies);

	for (uint32_t i = 0; i < p->requests->n; i++)
		p->requests->copy[i].result = COPY_BUSY;
	for (unsigned tries = 0; tries < TRIES; tries++) {
		int r = bpf_prog_test_run_opts(fd, &run);

		if (r)
			return r;
		if (!any_busy(p->requests))
			return 0;
	}
	return 0;
}
