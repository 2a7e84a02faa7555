/* SPDX-License-Identifier: BSD-2-Clause */
/* Builds one set of programs: main programs and tail-call programs, loaded around the pinned maps. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "datapath/bpffs.h"
#include "datapath/datapath_private.h"
#include "datapath/pinned.h"

#define STAGE_LISTS "stage_lists"

static const char *const main_programs[N_ENTRIES] = {
#define X(name, entry, program) [entry] = program,
	XDP_ENTRY_PROGRAMS(X)
#undef X
};

const char *const build_ingress_programs[N_ENTRIES] = {
#define X(name, entry, program) [entry] = program,
	TC_ENTRY_PROGRAMS(X)
#undef X
};

const char *const build_redirect_programs[N_ENTRIES] = {
#define X(name, entry, program) [entry] = program,
	REDIRECT_ENTRY_PROGRAMS(X)
#undef X
};

/*
 * Main programs for packets from inside, and from outside, by the criterion that selects them. One of each is loaded.
 */
#define IN2OUT	       "in2out_xdp"
#define IN2OUT_EACH    "in2out_each_xdp"
#define IN2OUT_CACHED  "in2out_cached_xdp"
#define IN2OUT_STAGED  "in2out_staged_xdp"
#define IN2OUT_OPEN    "in2out_open_xdp"
#define IN2OUT_TENANTS "in2out_tenants_xdp"
#define IN2OUT_SIX     "in2out_six_xdp"
#define OUT2IN	       "out2in_xdp"
#define OUT2IN_CACHED  "out2in_cached_xdp"
#define OUT2IN_STAGED  "out2in_staged_xdp"
#define OUT2IN_OPEN    "out2in_open_xdp"
#define OUT2IN_TENANTS "out2in_tenants_xdp"
#define OUT2IN_SIX     "out2in_six_xdp"

/* The pins of each set of programs, called NAME_<generation>. */
static const char *const generation_pins[] = { PIN_XDP_PROGS,	   PIN_TC_PROGS,     PIN_BARE_PROGS, PIN_INGRESS_PROGS,
					       PIN_REDIRECT_PROGS, PIN_STAGE2_PROGS, PIN_SIX_PROGS,  PIN_SIX_TC_PROGS,
					       PIN_TC_PROGRAM,	   PIN_BARE_PROGRAM,
#define X(name, entry, program) program,
					       ENTRY_PROGRAMS(X)
#undef X
};

void build_free(struct datapath_build *b)
{
	if (!b)
		return;
	for (unsigned i = 0; i < N_ENTRIES; i++) {
		close_fd(&b->main[i]);
		close_fd(&b->ingress[i]);
		close_fd(&b->redirect[i]);
	}
	close_fd(&b->tc_outside);
	close_fd(&b->tc_bare);
	close_fd(&b->extent_release);
	close_fd(&b->grant_binding_change);
	close_fd(&b->agent_count);
	close_fd(&b->session_held);
	close_fd(&b->session_held_six);
	close_fd(&b->stage2);
	close_fd(&b->stage_lists);
	for (unsigned i = 0; i < N_PROG_ARRAYS; i++) {
		close_fd(&b->arrays[i]);
		for (unsigned k = 0; k < N_PROGS; k++)
			close_fd(&b->progs[i].fd[k]);
	}
	free(b);
}

static void free_build(struct datapath_build **b)
{
	build_free(*b);
}

static struct datapath_build *build_alloc(void)
{
	struct datapath_build *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	for (unsigned i = 0; i < N_ENTRIES; i++)
		b->main[i] = b->ingress[i] = b->redirect[i] = -1;
	for (unsigned i = 0; i < N_PROG_ARRAYS; i++) {
		b->arrays[i] = -1;
		for (unsigned k = 0; k < N_PROGS; k++)
			b->progs[i].fd[k] = -1;
	}
	b->tc_outside = b->tc_bare = b->grant_binding_change = b->agent_count = b->session_held = b->extent_release =
		-1;
	b->stage2 = b->stage_lists = b->session_held_six = -1;
	return b;
}

static const char *in2out_program(const struct settings *s)
{
	if (s->policy_routing)
		return IN2OUT_CACHED;
	if (settings_have_stages(s))
		return IN2OUT_STAGED;
	if (s->tenants)
		return IN2OUT_TENANTS;
	if (s->source_check == SOURCES_STRICT_EACH)
		return IN2OUT_EACH;
	if (s->open_mappings)
		return IN2OUT_OPEN;
	return s->six ? IN2OUT_SIX : IN2OUT;
}

static const char *out2in_program(const struct settings *s)
{
	if (s->policy_routing)
		return OUT2IN_CACHED;
	if (settings_have_stages(s) && !s->outside_strict)
		return OUT2IN_STAGED;
	if (s->tenants)
		return OUT2IN_TENANTS;
	if (s->six)
		return OUT2IN_SIX;
	return s->open_mappings ? OUT2IN_OPEN : OUT2IN;
}

static const char *main_program(const struct settings *s, enum entry entry)
{
	return entry == ENTRY_INSIDE	? in2out_program(s)
	       : entry == ENTRY_OUTSIDE ? out2in_program(s)
					: main_programs[entry];
}

static void leave_out_others(struct bpf_object *o, const struct settings *s)
{
	static const char *const all[] = { IN2OUT,	   IN2OUT_EACH, IN2OUT_CACHED, IN2OUT_STAGED, IN2OUT_OPEN,
					   IN2OUT_TENANTS, OUT2IN,	OUT2IN_CACHED, OUT2IN_STAGED, OUT2IN_OPEN,
					   OUT2IN_TENANTS, IN2OUT_SIX,	OUT2IN_SIX };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (strcmp(all[i], in2out_program(s)) && strcmp(all[i], out2in_program(s)))
			build_leave_out(o, all[i]);
}

/* Keeps the map of stage 1 for stage 2. */
static int keep_stage_lists(struct datapath_build *b, const struct bpf_object *stage1)
{
	b->stage_lists = build_duplicate(bpf_object__find_map_fd_by_name(stage1, STAGE_LISTS));
	return b->stage_lists < 0 ? b->stage_lists : 0;
}

int build_share_stages(const struct datapath_build *b, const struct bpf_object *stage2)
{
	return bpf_map__reuse_fd(bpf_object__find_map_by_name(stage2, STAGE_LISTS), b->stage_lists);
}

static int load_xdp(const struct datapath *d, struct datapath_build *b, struct error *err)
{
	__attribute__((cleanup(hook_object_close))) struct hook_object xdp = { 0 };
	int r = hook_object_open_xdp(d, &b->settings, b->generation, &xdp);

	if (r)
		return error_set(err, r, "the XDP programs cannot be opened: %s", strerror(-r));
	leave_out_others(xdp.object, &b->settings);
	build_leave_out_unused(xdp.object, &b->settings, XDP_PROGS);
	r = object_load(xdp.object, err);
	for (unsigned i = 0; !r && i < N_ENTRIES; i++)
		r = build_take(xdp.object, main_program(&b->settings, i), &b->main[i], err);
	for (unsigned i = 0; !r && i < N_ENTRIES; i++)
		r = build_pin(d, main_programs[i], b->generation, b->main[i], err);
	if (!r)
		r = build_take(xdp.object, "extent_release", &b->extent_release, err);
	if (!r)
		r = build_take(xdp.object, "grant_binding_change", &b->grant_binding_change, err);
	if (!r)
		r = build_take(xdp.object, "agent_count", &b->agent_count, err);
	if (!r)
		r = build_take(xdp.object, "session_held", &b->session_held, err);
	if (!r) {
		r = build_add_tail_calls(d, b, xdp.object, XDP_PROGS);
		if (r)
			error_set(err, r, "the tail-call programs of XDP: %s", strerror(-r));
	}
	if (!r && settings_have_stages(&b->settings)) {
		r = keep_stage_lists(b, xdp.object);
		if (r)
			error_set(err, r, "the map of both stages: %s", strerror(-r));
	}
	return r;
}

static int load_stage2(const struct datapath *d, struct datapath_build *b, struct error *err)
{
	__attribute__((cleanup(hook_object_close))) struct hook_object o = { 0 };
	int r;

	if (!settings_have_stages(&b->settings))
		return 0;
	r = hook_object_open_stage2(d, &b->settings, &o);
	if (!r)
		r = build_share_stages(b, o.object);
	if (r)
		return error_set(err, r, "the programs of stage 2 cannot be opened: %s", strerror(-r));
	r = object_load(o.object, err);
	if (!r)
		r = build_take(o.object, "stage2", &b->stage2, err);
	if (!r) {
		r = build_add_tail_calls(d, b, o.object, STAGE2_PROGS);
		if (r)
			error_set(err, r, "the tail-call programs of stage 2: %s", strerror(-r));
	}
	return r;
}

/* The generation in the name of a pin of a set of programs, or 0. */
static unsigned pin_generation(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(generation_pins); i++) {
		long number = pinned_number(name, generation_pins[i]);

		if (number > 0)
			return (unsigned)number;
	}
	return 0;
}

static int visit_generation(const char *name, void *arg)
{
	unsigned *highest = arg, generation = pin_generation(name);

	if (generation > *highest)
		*highest = generation;
	return 0;
}

int build_new(const struct datapath *d, const struct settings *settings, struct datapath_build **ret, struct error *err)
{
	__attribute__((cleanup(free_build))) struct datapath_build *b = build_alloc();
	unsigned highest = 0;
	int r;

	if (!b)
		return error_set(err, -ENOMEM, "out of memory");
	directory_visit(d->pin_dir, visit_generation, &highest);
	b->generation = highest + 1;
	b->settings = *settings;
	r = load_xdp(d, b, err);
	if (!r)
		r = load_stage2(d, b, err);
	if (!r)
		r = build_load_six(d, b, XDP_PROGS, err);
	if (!r)
		r = build_load_tc(d, b, err);
	if (r) {
		build_unpin(d, b->generation);
		return r;
	}
	*ret = take_pointer(b);
	return 0;
}

int build_of_pins(const struct datapath *d, struct datapath_build **ret)
{
	__attribute__((cleanup(free_build))) struct datapath_build *b = build_alloc();

	if (!b)
		return -ENOMEM;
	for (uint32_t i = 0; i < N_ENTRIES; i++) {
		uint32_t id;
		int r = bpf_map_lookup_elem(d->entries, &i, &id);

		if (r)
			return r;
		b->main[i] = pinned_program(d->pin_dir, main_programs[i], id);
		if (b->main[i] < 0)
			return b->main[i];
		if (!bpf_map_lookup_elem(d->tc_entries, &i, &id))
			b->ingress[i] = pinned_program(d->pin_dir, build_ingress_programs[i], id);
		if (!bpf_map_lookup_elem(d->redirect_entries, &i, &id))
			b->redirect[i] = pinned_program(d->pin_dir, build_redirect_programs[i], id);
	}
	*ret = take_pointer(b);
	return 0;
}

/* -1: the hook has no programs. Those of before stay for interfaces that still have it, see datapath_end_tc(). */
static int swap_in_tc(int entries, uint32_t i, int program)
{
	return program < 0 ? 0 : bpf_map_update_elem(entries, &i, &program, BPF_ANY);
}

int build_swap_in(const struct datapath *d, const struct datapath_build *b)
{
	for (uint32_t i = 0; i < N_ENTRIES; i++) {
		int r = bpf_map_update_elem(d->entries, &i, &b->main[i], BPF_ANY);

		if (!r)
			r = swap_in_tc(d->tc_entries, i, b->ingress[i]);
		if (!r)
			r = swap_in_tc(d->redirect_entries, i, b->redirect[i]);
		if (r)
			return r;
	}
	return 0;
}

void datapath_end_tc(const struct datapath *d)
{
	for (uint32_t i = 0; d->build && i < N_ENTRIES; i++) {
		if (d->build->ingress[i] < 0)
			bpf_map_delete_elem(d->tc_entries, &i);
		if (d->build->redirect[i] < 0)
			bpf_map_delete_elem(d->redirect_entries, &i);
	}
}

void datapath_lend_tc(const struct datapath *d)
{
	for (uint32_t i = 0; i < N_ENTRIES; i++) {
		_cleanup_close_ int fd = -1;
		uint32_t id;

		if (!bpf_map_lookup_elem(d->tc_entries, &i, &id) || bpf_map_lookup_elem(d->redirect_entries, &i, &id))
			continue;
		fd = pinned_program(d->pin_dir, build_redirect_programs[i], id);
		if (fd >= 0)
			bpf_map_update_elem(d->tc_entries, &i, &fd, BPF_ANY);
	}
}

static void drop_pin(const struct datapath *d, const char *name)
{
	char path[PATH_MAX];

	unlink(pin_path_of(d, name, path));
}

struct dropping {
	const struct datapath *d;
	unsigned generation;
};

static int visit_drop(const char *name, void *arg)
{
	const struct dropping *drop = arg;
	unsigned generation = pin_generation(name);

	if (generation && generation == drop->generation)
		drop_pin(drop->d, name);
	return 0;
}

void build_unpin(const struct datapath *d, unsigned generation)
{
	directory_visit(d->pin_dir, visit_drop, &(struct dropping){ d, generation });
}

static bool is_of(const struct datapath_build *b, unsigned generation)
{
	return b && b->generation == generation;
}

static int visit_drop_other(const char *name, void *arg)
{
	const struct datapath *d = arg;
	unsigned generation = pin_generation(name);

	if (generation && !is_of(d->build, generation) && !is_of(d->spare, generation))
		drop_pin(d, name);
	return 0;
}

void build_unpin_others(const struct datapath *d)
{
	directory_visit(d->pin_dir, visit_drop_other, (void *)d);
}
