/* SPDX-License-Identifier: BSD-2-Clause */
/* The objects of the hooks, in two builds each, the normal one and the tracing one, and those of two stages. */
#include <errno.h>
#include <string.h>

#include "datapath/datapath_private.h"
#include "datapath/pinned.h"
#include "detnat_ingress.skel.h"
#include "detnat_ingress_trace.skel.h"
#include "detnat_redirect.skel.h"
#include "detnat_redirect_trace.skel.h"
#include "detnat_six.skel.h"
#include "detnat_six_tc.skel.h"
#include "detnat_six_trace.skel.h"
#include "detnat_stage2.skel.h"
#include "detnat_tc.skel.h"
#include "detnat_tc_trace.skel.h"
#include "detnat_xdp.skel.h"
#include "detnat_xdp_staged.skel.h"
#include "detnat_xdp_trace.skel.h"

/* Makes an object use the agent's copy of the routes. Without one, it gets an empty copy of its own. */
static int set_fib_maps(const struct datapath *d, const struct bpf_object *o, struct bpf_map *fib)
{
	int r;

	if (d->fib_map < 0)
		return 0;
	r = bpf_map__reuse_fd(fib, d->fib_map);
	return r ? r : bpf_map__reuse_fd(bpf_object__find_map_by_name(o, "fib_nodes"), d->fib_nodes);
}

/* The maps that each agent makes anew. */
static int set_own_maps(const struct datapath *d, const struct bpf_object *o, struct bpf_map *fib)
{
	int r = set_fib_maps(d, o, fib);

	return r ? r : stranger_maps_set(d, o);
}

/* Defines open_NAME(), which opens the skeleton NAME; skeletons differ only in type. */
#define OPENER(name)                                                                                             \
	static void destroy_##name(void *skeleton)                                                               \
	{                                                                                                        \
		name##__destroy(skeleton);                                                                       \
	}                                                                                                        \
                                                                                                                 \
	static int open_##name(const struct datapath *d, const struct settings *settings, struct hook_object *o) \
	{                                                                                                        \
		LIBBPF_OPTS(bpf_object_open_opts, opts, .pin_root_path = d->pin_dir);                            \
		struct name *skeleton = name##__open_opts(&opts);                                                \
                                                                                                                 \
		if (!skeleton)                                                                                   \
			return -errno;                                                                           \
		memcpy((void *)&skeleton->rodata->settings, settings, sizeof(*settings));                        \
		*o = (struct hook_object){ skeleton->obj, skeleton, destroy_##name };                            \
		object_set_extents(skeleton->obj, map_room(d->extents));                                         \
		object_set_features(d, skeleton->obj);                                                           \
		return set_own_maps(d, skeleton->obj, skeleton->maps.bss);                                       \
	}

OPENER(detnat_xdp)
OPENER(detnat_xdp_staged)
OPENER(detnat_stage2)
OPENER(detnat_six)
OPENER(detnat_six_tc)
OPENER(detnat_tc)
OPENER(detnat_ingress)
OPENER(detnat_redirect)
OPENER(detnat_xdp_trace)
OPENER(detnat_tc_trace)
OPENER(detnat_ingress_trace)
OPENER(detnat_redirect_trace)
OPENER(detnat_six_trace)

void hook_object_close(struct hook_object *o)
{
	if (o->skeleton)
		o->destroy(o->skeleton);
	*o = (struct hook_object){ 0 };
}

/* All tracing objects write to one ring, through one filter. */
static int set_trace_maps(const struct datapath *d, const struct settings *settings, struct hook_object *o)
{
	int r;

	if (!settings->trace)
		return 0;
	r = bpf_map__reuse_fd(bpf_object__find_map_by_name(o->object, "trace_filter"), d->trace_filter);
	r = r ? r : bpf_map__reuse_fd(bpf_object__find_map_by_name(o->object, "trace_records"), d->trace_records);
	return r ? r : bpf_map__reuse_fd(bpf_object__find_map_by_name(o->object, "trace_ring"), d->trace_ring);
}

static int open_one_stage(const struct datapath *d, const struct settings *settings, struct hook_object *ret)
{
	return settings->trace ? open_detnat_xdp_trace(d, settings, ret) : open_detnat_xdp(d, settings, ret);
}

static int open_stage1(const struct datapath *d, const struct settings *settings, unsigned generation,
		       struct hook_object *ret)
{
	int r = open_detnat_xdp_staged(d, settings, ret);

	if (r)
		return r;
	*(uint32_t *)&((struct detnat_xdp_staged *)ret->skeleton)->rodata->stage_generation = generation;
	return bpf_map__reuse_fd(bpf_object__find_map_by_name(ret->object, "ports"), d->ports);
}

int hook_object_open_xdp(const struct datapath *d, const struct settings *settings, unsigned generation,
			 struct hook_object *ret)
{
	int r = settings_have_stages(settings) ? open_stage1(d, settings, generation, ret)
					       : open_one_stage(d, settings, ret);

	return r ? r : set_trace_maps(d, settings, ret);
}

int hook_object_open_stage2(const struct datapath *d, const struct settings *settings, struct hook_object *ret)
{
	return open_detnat_stage2(d, settings, ret);
}

int hook_object_open_six(const struct datapath *d, const struct settings *settings, struct hook_object *ret)
{
	int r = settings->trace ? open_detnat_six_trace(d, settings, ret) : open_detnat_six(d, settings, ret);

	return r ? r : set_trace_maps(d, settings, ret);
}

int hook_object_open_six_tc(const struct datapath *d, const struct settings *settings, struct hook_object *ret)
{
	return open_detnat_six_tc(d, settings, ret);
}

int hook_object_open_tc(const struct datapath *d, const struct settings *settings, struct hook_object *ret)
{
	int r = settings->trace ? open_detnat_tc_trace(d, settings, ret) : open_detnat_tc(d, settings, ret);

	return r ? r : set_trace_maps(d, settings, ret);
}

int hook_object_open_bare(const struct datapath *d, const struct settings *settings, struct hook_object *ret)
{
	int r = hook_object_open_tc(d, settings, ret);
	void *skeleton = ret->skeleton;

	if (r)
		return r;
	if (settings->trace)
		*(uint32_t *)&((struct detnat_tc_trace *)skeleton)->rodata->l3_offset = 0;
	else
		*(uint32_t *)&((struct detnat_tc *)skeleton)->rodata->l3_offset = 0;
	return 0;
}

int hook_object_open_ingress(const struct datapath *d, const struct settings *settings, struct hook_object *ret)
{
	int r = settings->trace ? open_detnat_ingress_trace(d, settings, ret) : open_detnat_ingress(d, settings, ret);

	return r ? r : set_trace_maps(d, settings, ret);
}

int hook_object_open_redirect(const struct datapath *d, const struct settings *settings, struct hook_object *ret)
{
	int r = settings->trace ? open_detnat_redirect_trace(d, settings, ret) : open_detnat_redirect(d, settings, ret);

	return r ? r : set_trace_maps(d, settings, ret);
}
