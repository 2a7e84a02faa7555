/* SPDX-License-Identifier: BSD-2-Clause */
/* The tc programs of a set: at the egress, at the egress of interfaces without an Ethernet header, and at the ingress.
 */
#include <errno.h>
#include <string.h>

#include "datapath/datapath_private.h"

typedef int (*opener)(const struct datapath *d, const struct settings *settings, struct hook_object *ret);

/* Opens an object around the maps of the set, and loads it. 0 or -errno. */
static int load(const struct datapath *d, const struct datapath_build *b, opener open, enum prog_array array,
		struct hook_object *o, struct error *err)
{
	int r = open(d, &b->settings, o);

	if (!r)
		r = object_set_overflow(o->object, b->overflow, 0);
	if (r)
		return error_set(err, r, "the tc programs cannot be opened: %s", strerror(-r));
	build_leave_out_unused(o->object, &b->settings, array);
	return object_load(o->object, err);
}

static int add_tail_calls(const struct datapath *d, struct datapath_build *b, const struct hook_object *o,
			  enum prog_array array, struct error *err)
{
	int r = build_add_tail_calls(d, b, o->object, array);

	return r ? error_set(err, r, "the tail-call programs of tc, %s: %s", prog_array_name(array), strerror(-r)) : 0;
}

static int load_egress(const struct datapath *d, struct datapath_build *b, opener open, enum prog_array array,
		       const char *pin, int *ret_fd, struct error *err)
{
	__attribute__((cleanup(hook_object_close))) struct hook_object o = { 0 };
	int r = load(d, b, open, array, &o, err);

	if (!r)
		r = build_take(o.object, PIN_TC_PROGRAM, ret_fd, err);
	if (!r)
		r = build_pin(d, pin, b->generation, *ret_fd, err);
	return r ? r : add_tail_calls(d, b, &o, array, err);
}

static int load_ingress(const struct datapath *d, struct datapath_build *b, struct error *err)
{
	__attribute__((cleanup(hook_object_close))) struct hook_object o = { 0 };
	int r = load(d, b, hook_object_open_ingress, INGRESS_PROGS, &o, err);

	for (unsigned i = 0; !r && i < N_ENTRIES; i++) {
		r = build_take(o.object, build_ingress_programs[i], &b->ingress[i], err);
		if (!r)
			r = build_pin(d, build_ingress_programs[i], b->generation, b->ingress[i], err);
	}
	return r ? r : add_tail_calls(d, b, &o, INGRESS_PROGS, err);
}

int build_load_tc(const struct datapath *d, struct datapath_build *b, struct error *err)
{
	int r = load_egress(d, b, hook_object_open_tc, TC_PROGS, PIN_TC_PROGRAM, &b->tc_outside, err);

	if (!r && b->settings.tc & TC_BARE)
		r = load_egress(d, b, hook_object_open_bare, BARE_PROGS, PIN_BARE_PROGRAM, &b->tc_bare, err);
	return r || !(b->settings.tc & TC_ALONE) ? r : load_ingress(d, b, err);
}
