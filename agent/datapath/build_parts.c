/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of a set of programs: their names, and how to take them from their objects. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/address_ranges.h"
#include "datapath/datapath.h"
#include "datapath/datapath_private.h"

static const char *const array_pins[N_PROG_ARRAYS] = {
	[XDP_PROGS] = PIN_XDP_PROGS,	       [TC_PROGS] = PIN_TC_PROGS,
	[BARE_PROGS] = PIN_BARE_PROGS,	       [INGRESS_PROGS] = PIN_INGRESS_PROGS,
	[REDIRECT_PROGS] = PIN_REDIRECT_PROGS, [STAGE2_PROGS] = PIN_STAGE2_PROGS,
	[SIX_PROGS] = PIN_SIX_PROGS,	       [SIX_TC_PROGS] = PIN_SIX_TC_PROGS,
};
static const char *const prog_suffixes[N_PROG_ARRAYS] = {
	[XDP_PROGS] = "xdp",	       [TC_PROGS] = "tc",	  [BARE_PROGS] = "tc", [INGRESS_PROGS] = "ingress",
	[REDIRECT_PROGS] = "redirect", [STAGE2_PROGS] = "stage2", [SIX_PROGS] = "six", [SIX_TC_PROGS] = "six_tc",
};

/* Their maps: the two sets for the egress are of one object. */
static const char *const array_maps[N_PROG_ARRAYS] = {
	[XDP_PROGS] = PIN_XDP_PROGS,	       [TC_PROGS] = PIN_TC_PROGS,
	[BARE_PROGS] = PIN_TC_PROGS,	       [INGRESS_PROGS] = PIN_INGRESS_PROGS,
	[REDIRECT_PROGS] = PIN_REDIRECT_PROGS, [STAGE2_PROGS] = PIN_STAGE2_PROGS,
	[SIX_PROGS] = PIN_SIX_PROGS,	       [SIX_TC_PROGS] = PIN_SIX_TC_PROGS,
};

/* Room for the name of a tail-call program. */
#define PROGRAM_NAME 64

static const char *const prog_names[N_PROGS] = {
#define X(name) [PROG_##name] = #name,
	PROGS(X)
#undef X
};

const char *prog_name(enum prog prog)
{
	return prog_names[prog];
}

const char *prog_array_name(enum prog_array array)
{
	return array_pins[array];
}

int build_duplicate(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return copy < 0 ? -errno : copy;
}

void build_leave_out(struct bpf_object *o, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(o, name);

	if (program)
		bpf_program__set_autoload(program, false);
}

/* The name of an array's program, in *ret. */
static const char *program_name(enum prog_array array, uint32_t number, char ret[static PROGRAM_NAME])
{
	snprintf(ret, PROGRAM_NAME, "prog_%s_%s", prog_names[number], prog_suffixes[array]);
	return ret;
}

void build_leave_out_unused(struct bpf_object *o, const struct settings *s, enum prog_array array)
{
	const struct {
		enum prog prog;
		bool used;
	} all[] = {
		{ PROG_inbound, s->filtering },
		{ PROG_hairpin_inbound, s->filtering },
		{ PROG_routed_inbound, s->filtering },
		{ PROG_portmap_in, s->portmaps },
		{ PROG_guard, s->guard },
		{ PROG_extent, s->extent_buckets },
		{ PROG_turned, s->six },
		{ PROG_turned_error, s->six },
		{ PROG_turned_inbound, s->six && s->filtering },
		{ PROG_icmp_turned, s->six },
		{ PROG_fragment_turned, s->six },
		{ PROG_tcp_reset, s->unsolicited_tcp == UNSOLICITED_ANSWER },
	};
	char name[PROGRAM_NAME];

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (!all[i].used)
			build_leave_out(o, program_name(array, all[i].prog, name));
}

/* Adds an object's tail-call program of that number, if it has one and it is loaded, to an array. */
static int add_tail_call(struct datapath_build *b, const struct bpf_object *o, enum prog_array array, uint32_t number)
{
	const struct bpf_program *prog;
	char name[PROGRAM_NAME];
	int fd;

	prog = bpf_object__find_program_by_name(o, program_name(array, number, name));
	if (!prog || !bpf_program__autoload(prog))
		return 0;
	fd = build_duplicate(bpf_program__fd(prog));
	if (fd < 0)
		return fd;
	b->progs[array].fd[number] = fd;
	return bpf_map_update_elem(b->arrays[array], &number, &fd, BPF_ANY);
}

/* Adds all tail-call programs of an object, prog_NAME_SUFFIX, to their array, which is pinned as ARRAY_GENERATION. */
int build_add_tail_calls(const struct datapath *d, struct datapath_build *b, const struct bpf_object *o,
			 enum prog_array array)
{
	char name[64], path[PATH_MAX];
	int fd = build_duplicate(bpf_object__find_map_fd_by_name(o, array_maps[array])), r = 0;

	if (fd < 0)
		return fd;
	b->arrays[array] = fd;
	for (uint32_t i = 0; !r && i < N_PROGS; i++)
		r = add_tail_call(b, o, array, i);
	if (r)
		return r;
	/* The kernel empties a PROG_ARRAY with its last descriptor or pin, even while programs jump through it. */
	snprintf(name, sizeof(name), "%s_%u", array_pins[array], b->generation);
	return bpf_obj_pin(fd, pin_path_of(d, name, path));
}

/* Pins a program as NAME_<generation>, so that the next agent can restore it. */
int build_pin(const struct datapath *d, const char *name, unsigned generation, int fd, struct error *err)
{
	char pin[64], path[PATH_MAX];
	int r;

	snprintf(pin, sizeof(pin), "%s_%u", name, generation);
	r = bpf_obj_pin(fd, pin_path_of(d, pin, path));
	return r ? error_set(err, r, "%s: cannot be pinned: %s", path, strerror(-r)) : 0;
}

int build_take(const struct bpf_object *o, const char *name, int *ret_fd, struct error *err)
{
	const struct bpf_program *program = bpf_object__find_program_by_name(o, name);
	int fd = program ? build_duplicate(bpf_program__fd(program)) : -ENOENT;

	if (fd < 0)
		return error_set(err, fd, "the program %s: %s", name, strerror(-fd));
	*ret_fd = fd;
	return 0;
}

/*
 * Enters programs of one array in another that calls them. Both families' programs have the same numbers, but for those
 * that lead from one to the other. 0 or -errno.
 */
static int lend(const struct datapath_build *b, enum prog_array from, enum prog_array to, const enum prog *list,
		size_t n)
{
	int r = 0;

	for (size_t i = 0; !r && i < n; i++) {
		uint32_t number = list[i];

		if (b->progs[from].fd[number] >= 0)
			r = bpf_map_update_elem(b->arrays[to], &number, &b->progs[from].fd[number], BPF_ANY);
	}
	return r;
}

int build_load_six(const struct datapath *d, struct datapath_build *b, enum prog_array main, struct error *err)
{
	static const enum prog lent[] = { PROG_six_out, PROG_six_in, PROG_six_turned, PROG_six_turned_error };
	/* The halves of a hairpin that are an IPv4 subscriber's. */
	static const enum prog borrowed[] = { PROG_turned, PROG_turned_error };
	__attribute__((cleanup(hook_object_close))) struct hook_object o = { 0 };
	enum prog_array six = main == XDP_PROGS ? SIX_PROGS : SIX_TC_PROGS;
	int r;

	if (!b->settings.six)
		return 0;
	r = main == XDP_PROGS ? hook_object_open_six(d, &b->settings, &o)
			      : hook_object_open_six_tc(d, &b->settings, &o);
	if (r)
		return error_set(err, r, "the programs for IPv6 subscribers cannot be opened: %s", strerror(-r));
	build_leave_out_unused(o.object, &b->settings, six);
	r = object_load(o.object, err);
	if (r)
		return r;
	if (main == XDP_PROGS)
		r = build_take(o.object, "session_held_six", &b->session_held_six, err);
	if (r)
		return r;
	r = build_add_tail_calls(d, b, o.object, six);
	if (!r)
		r = lend(b, six, main, lent, ARRAY_SIZE(lent));
	if (!r)
		r = lend(b, main, six, borrowed, ARRAY_SIZE(borrowed));
	return r ? error_set(err, r, "the tail-call programs for IPv6 subscribers: %s", strerror(-r)) : 0;
}

/* The tc programs of a set: at the egress, at the egress of interfaces without an Ethernet header, and at the ingress.
 */

typedef int (*opener)(const struct datapath *d, const struct settings *settings, struct hook_object *ret);

/* The main programs of tc that sends by itself where there are IPv6 subscribers; the third is the same. */
static const char *const redirect_six_programs[] = { "in2out_six_redirect", "out2in_six_redirect" };

/* Main program of an object for an entry, of which one is loaded. name: of its pin. */
static const char *ingress_program(const struct datapath_build *b, enum prog_array array, unsigned entry,
				   const char *name)
{
	return array == REDIRECT_PROGS && b->settings.six && entry < ARRAY_SIZE(redirect_six_programs)
		       ? redirect_six_programs[entry]
		       : name;
}

/* Of both sets of those, one is loaded. */
static void leave_out_mains(const struct datapath_build *b, struct bpf_object *o)
{
	for (unsigned i = 0; i < ARRAY_SIZE(redirect_six_programs); i++)
		build_leave_out(o, b->settings.six ? build_redirect_programs[i] : redirect_six_programs[i]);
}

/* Opens an object around the maps of the set, and loads it. 0 or -errno. */
static int load(const struct datapath *d, const struct datapath_build *b, opener open, enum prog_array array,
		struct hook_object *o, struct error *err)
{
	int r = open(d, &b->settings, o);

	if (!r && array == REDIRECT_PROGS)
		leave_out_mains(b, o->object);
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

/* programs: the names of its main programs, taken to `main`. */
static int load_ingress(const struct datapath *d, struct datapath_build *b, opener open, enum prog_array array,
			const char *const *programs, int *main, struct error *err)
{
	__attribute__((cleanup(hook_object_close))) struct hook_object o = { 0 };
	int r = load(d, b, open, array, &o, err);

	for (unsigned i = 0; !r && i < N_ENTRIES; i++) {
		r = build_take(o.object, ingress_program(b, array, i, programs[i]), &main[i], err);
		if (!r)
			r = build_pin(d, programs[i], b->generation, main[i], err);
	}
	return r ? r : add_tail_calls(d, b, &o, array, err);
}

int build_load_tc(const struct datapath *d, struct datapath_build *b, struct error *err)
{
	int r = load_egress(d, b, hook_object_open_tc, TC_PROGS, PIN_TC_PROGRAM, &b->tc_outside, err);

	if (!r && b->settings.tc & TC_BARE)
		r = load_egress(d, b, hook_object_open_bare, BARE_PROGS, PIN_BARE_PROGRAM, &b->tc_bare, err);
	if (!r && b->settings.tc & TC_ALONE)
		r = load_ingress(d, b, hook_object_open_ingress, INGRESS_PROGS, build_ingress_programs, b->ingress,
				 err);
	if (!r && b->settings.tc & TC_REDIRECTS)
		r = load_ingress(d, b, hook_object_open_redirect, REDIRECT_PROGS, build_redirect_programs, b->redirect,
				 err);
	if (!r && b->settings.tc & TC_REDIRECTS)
		r = build_load_six(d, b, REDIRECT_PROGS, err);
	return r;
}

/* Unused ranges come last, and contain nothing. */
static void fill_up(struct address_range *range, uint32_t n, uint32_t max)
{
	for (uint32_t i = n; i < max; i++)
		range[i] = (struct address_range){ .first = UINT32_MAX };
}

void bypass_ranges(const struct config *c, struct settings *settings)
{
	struct address_range *range = settings->bypass;
	uint32_t n = 0;

	for (size_t i = 0; i < c->n_bypass && n < MAX_BYPASS; i++)
		range[n++] = address_range_of(c->bypass[i]);
	settings->n_bypass = (uint32_t)address_ranges_merge(range, n);
	fill_up(range, settings->n_bypass, MAX_BYPASS);
}
