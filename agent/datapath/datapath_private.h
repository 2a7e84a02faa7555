/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files of the datapath. */
#ifndef DETNAT_DATAPATH_PRIVATE_H
#define DETNAT_DATAPATH_PRIVATE_H

#include <bpf/libbpf.h>
#include <limits.h>

#include <detnat/programs.h>

#include "datapath/datapath.h"

#define PIN_RUNNING "running"
#define PIN_EXTENTS "extents"
/* The hash in which versions before had the sessions beyond the slots, and what it had beside it. */
#define PIN_HASH       "overflow"
#define PIN_HASH_LISTS "overflow_lists"

/* The arrays of tail-call programs; each set has its own, pinned as NAME_<generation>. */
#define PIN_XDP_PROGS	   "xdp_leaves"
#define PIN_TC_PROGS	   "tc_leaves"
#define PIN_BARE_PROGS	   "bare_leaves"
#define PIN_INGRESS_PROGS  "ingress_leaves"
#define PIN_REDIRECT_PROGS "redirect_leaves"
#define PIN_STAGE2_PROGS   "stage2_leaves"
#define PIN_SIX_PROGS	   "six_leaves"
#define PIN_SIX_TC_PROGS   "six_tc_leaves"

/* Members of struct datapath that are pinned: X(member, name of the pin). */
#define PINS(X)                            \
	X(in_index, "in_index")            \
	X(out_index, "out_index")          \
	X(mappings, "mappings")            \
	X(subscribers, "subscribers")      \
	X(buckets, "buckets")              \
	X(devices, "devices")              \
	X(vlans, "vlans")                  \
	X(counters, "counters")            \
	X(events, "events")                \
	X(running, PIN_RUNNING)            \
	X(entries, "entries")              \
	X(xdp_inside, "prog_xdp_inside")   \
	X(xdp_outside, "prog_xdp_outside") \
	X(xdp_both, "prog_xdp_both")

/* The same for the maps of IPv6 subscribers, which exist where there are such. */
#define SIX_PINS(X)               \
	X(records6, "records6")   \
	X(hosts6, "hosts6")       \
	X(indices6, "indices6")   \
	X(prefixes6, "prefixes6") \
	X(addresses6, "addresses6")

/* The same for pins without lasting state, which are created afresh if missing. */
#define PASSING_PINS(X)                            \
	X(fragments, "fragments")                  \
	X(early_fragments, "early_fragments")      \
	X(unsolicited_syns, "unsolicited_syns")    \
	X(transmissions, "transmissions")          \
	X(next_hops_used, "next_hops_used")        \
	X(routed_flows, "routed_flows")            \
	X(routed_until, "routed_until")            \
	X(portmaps, "portmaps")                    \
	X(portmap_lines, "portmap_lines")          \
	X(extents, PIN_EXTENTS)                    \
	X(extent_pool, "extent_pool")              \
	X(portmap_filters, "portmap_filters")      \
	X(grants, "grants")                        \
	X(grant_bindings, "grant_bindings")        \
	X(drains, "drains")                        \
	X(route_mtus, "route_mtus")                \
	X(untranslated, "untranslated")            \
	X(ports, "ports")                          \
	X(stage_control, "stage_control")          \
	X(stage2_entries, "stage2_entries")        \
	X(stage2_entry, "prog_stage2_entry")       \
	X(stage_drops, "stage_drops")              \
	X(tc_entries, "tc_entries")                \
	X(tc_from_inside, "prog_tc_from_inside")   \
	X(tc_from_outside, "prog_tc_from_outside") \
	X(tc_from_both, "prog_tc_from_both")       \
	X(redirect_entries, "redirect_entries")    \
	X(tc_send_inside, "prog_tc_send_inside")   \
	X(tc_send_outside, "prog_tc_send_outside") \
	X(tc_send_both, "prog_tc_send_both")       \
	X(tc_into_vrf, "prog_" PIN_INTO_VRF)

/* Arrays of tail-call programs, one per object. */
enum prog_array {
	XDP_PROGS,
	TC_PROGS,
	BARE_PROGS,
	INGRESS_PROGS,
	REDIRECT_PROGS,
	STAGE2_PROGS,
	SIX_PROGS,
	SIX_TC_PROGS,
	N_PROG_ARRAYS
};

/* The programs in an array, -1 for none. */
struct prog_fds {
	int fd[N_PROGS];
};

/* A set of programs around the pinned maps. Descriptors, -1 for none. */
struct datapath_build {
	int main[N_ENTRIES];	 /* by enum entry */
	int ingress[N_ENTRIES];	 /* the same at tc ingress; -1 unless the settings ask for them */
	int redirect[N_ENTRIES]; /* the same where tc sends packets itself; likewise */
	int tc_outside;
	int tc_bare; /* the same for interfaces without an Ethernet header; -1 unless the settings ask for it */
	int extent_release;
	int grant_binding_change;
	int agent_count;
	int session_held;
	int session_held_six;
	int stage2;	 /* -1 in one stage */
	int stage_lists; /* the map that both stages share; -1 in one */
	int arrays[N_PROG_ARRAYS];
	struct prog_fds progs[N_PROG_ARRAYS]; /* contents of the arrays */
	unsigned generation;		      /* in the names of its pins; 0: an earlier agent's */
	struct settings settings;
};

/* Sets every descriptor to -1 and every pointer to NULL. */
void datapath_init(struct datapath *d);

/*
 * Gives the pinned maps of portmaps room for that many leases, unless the present ones do not fit. Returns the number
 * for which there is room. Running programs keep their maps until others replace them.
 */
uint32_t portmap_maps_fit(const struct datapath *d, uint32_t leases);

/* Entries of each of them. A portmap is two entries of the first, its filters one. */
uint32_t portmap_entries(uint32_t leases);
uint32_t portmap_filter_entries(uint32_t leases);

/* Entries of a map of a feature before there are programs with it: see datapath_features_grow(). */
#define FEATURE_UNUSED 1U

/* Gives these maps of an object the size of those that are pinned, or that size. */
void object_set_features(const struct datapath *d, const struct bpf_object *o);

/* The size of the pinned map, or that of which a start with this configuration makes it. */
uint32_t pins_extents_room(const struct datapath *d, const struct config *c);

/* Makes pinned maps without lasting state anew that are not as in the object, whose sizes are set. */
int pins_replace_outgrown(const struct datapath *d, const struct bpf_object *o, struct error *err);

/* Sets the size of the map of extents in an object, if it has one; 0: as small as maps can be. */
void object_set_extents(struct bpf_object *o, uint32_t buckets);

/* An object that is open but not loaded, with its settings and the datapath's maps in place. Zero-initialised: none. */
struct hook_object {
	struct bpf_object *object;
	void *skeleton;
	void (*destroy)(void *skeleton);
};

/* 0 or -errno. generation: of the build, for the programs with stages. */
int hook_object_open_xdp(const struct datapath *d, const struct settings *settings, unsigned generation,
			 struct hook_object *ret);
int hook_object_open_six(const struct datapath *d, const struct settings *settings, struct hook_object *ret);
int hook_object_open_six_tc(const struct datapath *d, const struct settings *settings, struct hook_object *ret);
int hook_object_open_stage2(const struct datapath *d, const struct settings *settings, struct hook_object *ret);
int hook_object_open_tc(const struct datapath *d, const struct settings *settings, struct hook_object *ret);
int hook_object_open_bare(const struct datapath *d, const struct settings *settings, struct hook_object *ret);
int hook_object_open_ingress(const struct datapath *d, const struct settings *settings, struct hook_object *ret);
int hook_object_open_redirect(const struct datapath *d, const struct settings *settings, struct hook_object *ret);
void hook_object_close(struct hook_object *o);

/* Whether the directory has every pin that an agent needs. */
bool pins_complete(const char *pin_dir);

/* Opens what is pinned in d->pin_dir; missing pins stay -1. */
void pins_open(struct datapath *d);

/* Creates and pins missing maps, including `running`, and the entry programs; loads d->clock. */
int pins_make(struct datapath *d, const struct config *c, struct error *err);

/* Octets of the map `running`, which stays as large as an earlier agent has made it. */
size_t running_map_size(int map);

/*
 * Pins a mark in place of the hash that versions before had: without a pin of that name 1.0.0 takes the directory for
 * an unfinished one, and would start a datapath of its own beside it. 0 or -errno.
 */
int pins_mark_in_use(const struct datapath *d);

/* Maps the open maps into memory; the other, those of IPv6 subscribers alone. */
int pins_mmap(struct datapath *d, struct error *err);
int pins_mmap_six(struct datapath *d, struct error *err);

/* Closes and unmaps everything that the two above opened; the other, what is of IPv6 subscribers alone. */
void pins_close(struct datapath *d);
void pins_close_six(struct datapath *d);

/* Creates d's maps of routes, empty, and maps `fib` into memory; the other undoes that. */
int fib_maps_make(struct datapath *d, struct error *err);
void fib_maps_close(struct datapath *d);

/* Undoes datapath_strangers_make(). */
void stranger_maps_close(struct datapath *d);

/* Makes an object use the maps for packets of strangers, if it has and the datapath has them. 0 or -errno. */
int stranger_maps_set(const struct datapath *d, const struct bpf_object *o);

/* Path of a pin; returns text. */
const char *pin_path_of(const struct datapath *d, const char *name, char text[static PATH_MAX]);

/* Loads programs around d's maps, ready for build_swap_in(). */
int build_new(const struct datapath *d, const struct settings *settings, struct datapath_build **ret,
	      struct error *err);

/* The part of that for tc, after XDP's. */
int build_load_tc(const struct datapath *d, struct datapath_build *b, struct error *err);

/* By enum entry. */
extern const char *const build_ingress_programs[N_ENTRIES];
extern const char *const build_redirect_programs[N_ENTRIES];

/* A descriptor of the same object, for the caller to close; or -errno. */
int build_duplicate(int fd);

/* Makes a program, if there is one of that name, not load with its object. */
void build_leave_out(struct bpf_object *o, const char *name);

/* The same for the tail-call programs of an array that nothing calls with these settings. */
void build_leave_out_unused(struct bpf_object *o, const struct settings *s, enum prog_array array);

/* A descriptor of a program of an object; pins a program as NAME_<generation>, so that the next agent can restore it.
 */
int build_take(const struct bpf_object *o, const char *name, int *ret_fd, struct error *err);
int build_pin(const struct datapath *d, const char *name, unsigned generation, int fd, struct error *err);

/*
 * Loads the programs for IPv6 subscribers, if there are such, of a hook that routes and sends packets itself, and has
 * them and the main programs' call each other.
 */
int build_load_six(const struct datapath *d, struct datapath_build *b, enum prog_array main, struct error *err);

/* Adds all tail-call programs of an object, prog_NAME_SUFFIX, to their array, which is pinned as ARRAY_GENERATION. */
int build_add_tail_calls(const struct datapath *d, struct datapath_build *b, const struct bpf_object *o,
			 enum prog_array array);

/*
 * The programs to which `entries` leads, as an earlier agent left them. They have one stage: two need a copy of the
 * routes, and theirs is no longer updated.
 */
int build_of_pins(const struct datapath *d, struct datapath_build **ret);

/* Gives an object of stage 2 the map of the build's stage 1. 0 or -errno. */
int build_share_stages(const struct datapath_build *b, const struct bpf_object *stage2);

/* Makes the hooks jump to the programs of a build. */
int build_swap_in(const struct datapath *d, const struct datapath_build *b);

void build_free(struct datapath_build *b);

/* Whether programs with these settings have two stages; a trace runs in one. */
bool settings_have_stages(const struct settings *s);

/*
 * Before and after the switch to the programs of a build: see struct stage_control. The second waits for a grace period
 * if there are or were stages. 0 or -errno.
 */
void stages_stop(const struct datapath *d);
int stages_start(const struct datapath *d, const struct datapath_build *b);

/* Names of a tail-call program and of an array; the array's pins are called NAME_<generation>. */
const char *prog_name(enum prog prog);
const char *prog_array_name(enum prog_array array);

/* Removes the pins of one generation, or of all generations except those of d's builds. */
void build_unpin(const struct datapath *d, unsigned generation);
void build_unpin_others(const struct datapath *d);

/* The mapping whose outside range contains an address, or NULL; also one that drains. */
const struct mapping *mapping_at_outside(const struct datapath *d, uint32_t out_addr);

#endif
