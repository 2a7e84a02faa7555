/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The BPF datapath: pinned maps and programs, created, reused, replaced and removed. Also the settings that programs
 * are built with, the saved running configuration, and upgrades from another layout.
 *
 * Everything is pinned in PIN_PATH/v<LAYOUT_VERSION>. The maps are those of bpf/base/maps.h. The attached XDP programs
 * are tiny and tail-call the main program of their hook through the pinned map `entries`. datapath_load() loads a new
 * set of programs around the same maps and replaces the elements of `entries`, so that neither a restart nor a reload
 * drops packets.
 */
#ifndef DETNAT_DATAPATH_H
#define DETNAT_DATAPATH_H

#include <bpf/libbpf.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include <detnat/fib.h>
#include <detnat/prefix6.h>
#include <detnat/reasons.h>
#include <detnat/stages.h>
#include <detnat/strangers.h>
#include <detnat/tables.h>

#include "base/base.h"
#include "base/error.h"
#include "config/config.h"

/* The programs at tc egress; each set of programs is pinned as NAME_<generation>. */
#define PIN_TC_PROGRAM	 "tc_outside"
#define PIN_BARE_PROGRAM "tc_bare"

/*
 * The programs that stay attached to interfaces and jump to the main programs. Each is a member of struct datapath and
 * pinned as prog_NAME: X(name, entry jumped to, main program behind it)
 */
#define XDP_ENTRY_PROGRAMS(X)                       \
	X(xdp_inside, ENTRY_INSIDE, "in2out_xdp")   \
	X(xdp_outside, ENTRY_OUTSIDE, "out2in_xdp") \
	X(xdp_both, ENTRY_BOTH, "both_xdp")

/* The same at tc ingress, where XDP is not used. */
#define TC_ENTRY_PROGRAMS(X)                                \
	X(tc_from_inside, ENTRY_INSIDE, "in2out_ingress")   \
	X(tc_from_outside, ENTRY_OUTSIDE, "out2in_ingress") \
	X(tc_from_both, ENTRY_BOTH, "both_ingress")

/* The same where the programs at tc ingress send packets themselves, as those of XDP do. */
#define REDIRECT_ENTRY_PROGRAMS(X)                           \
	X(tc_send_inside, ENTRY_INSIDE, "in2out_redirect")   \
	X(tc_send_outside, ENTRY_OUTSIDE, "out2in_redirect") \
	X(tc_send_both, ENTRY_BOTH, "both_redirect")

/* Those of tc ingress, and all. */
#define INGRESS_ENTRY_PROGRAMS(X) TC_ENTRY_PROGRAMS(X) REDIRECT_ENTRY_PROGRAMS(X)
#define ENTRY_PROGRAMS(X)	  XDP_ENTRY_PROGRAMS(X) INGRESS_ENTRY_PROGRAMS(X)

/* The program at tc ingress that hands over to a VRF what XDP has translated: struct vrf_note. Pinned as they are. */
#define PIN_INTO_VRF "tc_into_vrf"

/*
 * The pins by which attach/tcx.c holds a program at a hook: PIN_LINK_<interface>_<side>, and the map of one that stands
 * in for it. PIN_FRESH is appended until it takes the place of a former one.
 */
#define PIN_LINK     "tcx"
#define PIN_STAND_IN "takeover"
#define PIN_FRESH    "_new"

struct datapath {
	char *pin_dir; /* PIN_PATH/v<LAYOUT_VERSION> */
	int lock_fd;   /* flock() on the pin path: one agent at a time */
	bool reused;   /* the maps existed already */
	bool replaced; /* a datapath of another layout was found and is being replaced */
	uint32_t hz;
	uint32_t leases; /* of PCP that the maps of portmaps get room for; 0: of an agent that made none */

	/* Descriptors of the pinned maps. */
	int in_index;
	int out_index;
	int mappings;
	int subscribers; /* ARRAY_OF_MAPS */
	int buckets;	 /* ARRAY_OF_MAPS */
	int extents;	 /* ARRAY, see <detnat/extents.h> */
	int extent_pool; /* ARRAY of one */
	int devices;
	int vlans;
	int route_mtus;
	int untranslated;
	int counters;
	int events;
	int fragments;
	int early_fragments;
	int unsolicited_syns;
	int transmissions;
	int next_hops_used;
	int routed_flows;
	int routed_until;
	int portmaps;	     /* HASH, see <detnat/portmaps.h> */
	int portmap_lines;   /* ARRAY, see <detnat/portmap_lines.h> */
	int portmap_filters; /* HASH */
	int grants;	     /* <detnat/growth.h> */
	int grant_bindings;  /* the same */
	int drains;	     /* LPM_TRIE, see <detnat/drains.h> */
	/* Of IPv6 subscribers, <detnat/prefix6.h>: all -1 until datapath_six_make(). */
	int records6;
	int hosts6; /* ARRAY_OF_MAPS */
	int indices6;
	int prefixes6; /* LPM_TRIE */
	int addresses6;
	int running;
	int entries;	      /* PROG_ARRAY that the attached XDP programs jump through */
	int tc_entries;	      /* the same of those at tc ingress */
	int redirect_entries; /* the same of those that send packets themselves */

	/* For the programs with stages, see <detnat/stages.h>. */
	int ports;
	int stage_control;
	int stage2_entries; /* PROG_ARRAY through which the program of each port jumps */
	int stage2_entry;   /* that program */
	int stage_drops;

	/* The copy of the kernel's routes, see <detnat/fib.h>: not pinned, made anew and empty by each agent. */
	int fib_map;
	int fib_nodes; /* ARRAY_OF_MAPS */
	struct fib *fib;

	/* Counts of packets of strangers, <detnat/strangers.h>: -1 and NULL until datapath_strangers_make(); not
	 * pinned. */
	int strangers;
	int stranger_pools;
	struct stranger_line *stranger;	     /* STRANGER_LINES of them */
	struct stranger_pool *stranger_pool; /* MAX_MAPPINGS of them, by number of the mapping */
	int stranger_hosts;		     /* these two until datapath_stranger_hosts_make() */
	struct stranger_line *stranger_host; /* STRANGER_HOST_LINES of them */

	/* Memory-mapped maps, shared with the BPF programs. */
	struct index_node *in_nodes;
	struct index_node *out_nodes;
	struct mapping_table *table;
	struct mapping *mapping;	   /* MAX_MAPPINGS of them, part of the table */
	struct portmap_line *portmap_line; /* PORTMAP_LINES_TABLE of them */
	struct bucket *extent;		   /* the buckets of all extents */
	size_t extents_size;		   /* octets of them */
	struct extent_pool *pool;
	struct device_table *devices_at;
	struct device *device;	/* MAX_IFINDEX of them, by interface index; part of that table, as the next */
	uint32_t *way;		/* MAX_TENANT_NUMBERS of them */
	struct globals *global; /* part of the table */
	void *running_state;	/* see datapath/running.h */
	size_t running_size;	/* octets of it */
	struct stage_control *stages;
	struct record6 *record6; /* MAX_RECORDS6 of them, by number of the mapping */
	struct indices6 *index6;
	struct address6_octets *address6; /* MAX_IFINDEX of them, by interface index */

	/* Programs, -1 until loaded; links/devices.h attaches them. */
	int xdp_inside;
	int xdp_outside;
	int xdp_both;
	int tc_outside;
	int tc_bare;	    /* the same without an Ethernet header; -1 unless the settings ask for it */
	int tc_from_inside; /* at tc ingress, where there is no XDP */
	int tc_from_outside;
	int tc_from_both;
	int tc_send_inside; /* the same where tc sends packets itself */
	int tc_send_outside;
	int tc_send_both;
	int tc_into_vrf;
	int extent_release;	  /* see struct extent_release */
	int grant_binding_change; /* see struct grant_binding_change */
	int agent_count;	  /* see datapath_count() */
	int session_held;	  /* see struct session_question */
	int clock;		  /* program that returns the tick, see datapath_ticks() */
	int trace_filter;	  /* maps of the tracing build, owned by punt/tracing.c; -1 if there is none */
	int trace_ring;
	int trace_records;
	struct settings settings; /* of the loaded programs */

	int grace; /* private ARRAY_OF_MAPS, see datapath_grace_period() */
	int grace_inner;
	struct datapath_build *build;	  /* the running one; NULL until datapath_load() */
	struct datapath_loading *loading; /* in progress, or NULL */
	struct datapath_build *former;	  /* the one before, until datapath_settle() or datapath_revert() */
	struct datapath_build *spare;	  /* the normal build while the tracing build runs */
	struct migration *migration;	  /* from another layout, until datapath_migrated(); else NULL */
	struct former_sessions *beyond;	  /* of an earlier build of this layout, until datapath_settle(); else NULL */
};

/*
 * Opens the pinned maps under c->pin_path, or creates and pins them; mounts a bpffs at the pin path if there is none.
 * Takes the lock first: -EBUSY if another agent holds it. On failure nothing is left behind.
 *
 * A datapath of another layout is taken over (datapath/migration.h). One that cannot be taken over is replaced if
 * `replace` is set; otherwise the result is -EXDEV.
 */
int datapath_open(const struct config *c, bool replace, struct datapath *ret, struct error *err);

/* Removes the pins of another layout, once the tables have been compared with the copies. */
void datapath_migrated(struct datapath *d);

/*
 * The buckets of all extents that a configuration asks for: half as many as overflow_sessions, which are four slots for
 * each. 0: none.
 */
uint32_t extents_room(const struct config *c);

/* The buckets of all extents; a map without room for any has one, as maps cannot be smaller. */
uint64_t datapath_extent_buckets(const struct datapath *d);

/* Those of extents that subscribers have, or had and are not free yet. */
uint64_t datapath_extents_used(const struct datapath *d);

/* The slots of an extent, as a subscriber's record has it, and their number; NULL: none, or it is no extent. */
struct slot *datapath_extent(const struct datapath *d, uint32_t extent, uint32_t *ret_n);

/*
 * Takes the lock and opens whatever is pinned under a pin path, without creating anything; missing maps are -1 or NULL
 * in *ret. -EBUSY if an agent is running, -ENOENT if nothing is pinned.
 */
int datapath_open_pinned(const char *pin_path, struct datapath *ret, struct error *err);

/* Initialises a datapath that has only its pin path. 0 or -ENOMEM. */
int datapath_of_nothing(const char *pin_path, struct datapath *ret);

/*
 * Reads the running configuration that an agent saved under a pin path (datapath/running.h), also in another layout if
 * that is the running one. Needs no lock. -errno if there is none.
 */
int datapath_peek_running(const char *pin_path, char **ret_json, uint64_t *ret_file_hash);

/* Records beside the pins which configuration file they belong to, for datapath_find(). */
void datapath_note_config(const struct datapath *d, const char *config_path);

/*
 * Finds the pin path of the datapath that was created from a configuration file; the file need not exist. -ENOENT if
 * there is none.
 */
int datapath_find(const char *config_path, char ret_pin_path[static PATH_MAX]);

/* Whether only some of the pins exist; datapath_open() then starts afresh. */
bool datapath_is_incomplete(const char *pin_path);

/*
 * Whether a name under the pin path is a layout's directory, v<number>. Nothing else there is touched, as operators may
 * have chosen a directory in which other programs pin too.
 */
bool datapath_is_layout(const char *name, unsigned *ret_version);

/* In such a directory, the symbolic link of datapath_note_config(), which is read and never followed. */
#define DATAPATH_NOTE "configuration"

/*
 * Pins chunks and type information that an earlier version did not pin: without CAP_SYS_ADMIN an agent can open only
 * what is pinned.
 */
void datapath_pin_missing(const char *pin_dir);

/*
 * Makes the maps that programs with settings.attack count in, unless they are there: before such programs are loaded.
 * They stay until datapath_close(). 0 or -errno with err.
 */
int datapath_strangers_make(struct datapath *d, struct error *err);

/* The same for STRANGERS_BY_SUBSCRIBER. */
int datapath_stranger_hosts_make(struct datapath *d, struct error *err);

/*
 * Makes and pins the maps of mappings whose subscribers are IPv6 prefixes, unless they are there: before such a mapping
 * is added, and before programs with settings.six are loaded. 0 or -errno with err.
 */
int datapath_six_make(struct datapath *d, struct error *err);

/*
 * Forgets all virtual addresses, and claims those of the mappings pinned under a pin path, which sessions go by: before
 * a configuration is read that is to go on with them. False: there are none, and nothing is forgotten.
 */
bool datapath_claim_virtual(const char *pin_path);

/* Whether they are there. */
bool datapath_six_has(const struct datapath *d);

/* Removes them and their pins, once there is neither such a mapping nor a program that uses them. */
void datapath_six_drop(struct datapath *d);

/* Closes descriptors and memory maps; pins stay. */
void datapath_close(struct datapath *d);

/* Logs, at the end of the agent, whether the datapath stays. */
void datapath_log_kept(const struct datapath *d);

/* Like datapath_close(), but also undoes a datapath_open() that created the pins: for a start that fails. */
void datapath_discard(struct datapath *d);

/*
 * Gives the pinned maps of the features of these settings their full size, with the entries that they have, unless they
 * have it: without its feature a map has one entry. Running programs with the feature have it already. 0 or -errno.
 */
int datapath_features_grow(struct datapath *d, const struct settings *settings, struct error *err);

/*
 * Loads a set of programs with these settings, in a thread because the verifier takes its time. Call begin, then ready
 * until it returns 0 (1: not yet; -errno: failed), then swap, which switches each hook to the new set atomically. abort
 * cancels the load at any time before swap.
 *
 * devices_apply() replaces tc_outside on the interfaces; call datapath_settle() or datapath_revert() after it.
 */
int datapath_load_begin(struct datapath *d, const struct settings *settings, struct error *err);
int datapath_load_ready(struct datapath *d, struct error *err);
int datapath_load_swap(struct datapath *d, struct error *err);
void datapath_load_abort(struct datapath *d);

/* The same in one blocking call. */
int datapath_load(struct datapath *d, const struct settings *settings, struct error *err);

/* Drops the programs that ran before the last datapath_load(), and the pins of other layouts. */
void datapath_settle(struct datapath *d);

/* Switches back to the programs that ran before the last datapath_load(), if any. */
void datapath_revert(struct datapath *d);

/*
 * Removes all pins under a pin path, of every layout; links/detach.h removes programs from interfaces. Call it with the
 * lock held, then datapath_close() and bpffs_release().
 */
int datapath_unpin(const char *pin_path, struct error *err);

/* The kernel's clock rate, in jiffies per second. */
uint32_t datapath_hz(void);

/*
 * Writes libbpf's messages to stderr: 1 warnings and information, 2 also debug output. With 0 they are shown only if a
 * load fails.
 */
void datapath_log_libbpf(unsigned verbosity);

/* The datapath's clock: jiffies >> TICK_SHIFT. */
uint32_t datapath_ticks(const struct datapath *d);

/* Once no interface has a hook for which the programs in use have none: takes those of before from it. */
void datapath_end_tc(const struct datapath *d);

/* Lets the programs that send by themselves stand in for those that leave it to the kernel, where there are none. */
void datapath_lend_tc(const struct datapath *d);

/* Makes every core forget cached next hops and destination classes. */
void datapath_raise_epoch(struct datapath *d);

/*
 * Adds a chunk of nodes, all zero, to the copy of the kernel's routes; waits for a grace period. *ret: its FIB_CHUNK
 * nodes, mapped until the process ends. 0 or -errno: -ENOSPC beyond the last chunk.
 */
int datapath_fib_chunk(const struct datapath *d, uint32_t chunk, struct fib_node **ret);

/*
 * The map `ports`, through which the programs with stages redirect: enters an interface; asks whether it is entered;
 * removes it. The kernel removes an interface that ceases to exist. 0 or -errno.
 */
int datapath_add_port(const struct datapath *d, uint32_t ifindex);
bool datapath_has_port(const struct datapath *d, uint32_t ifindex);
void datapath_del_port(const struct datapath *d, uint32_t ifindex);

/* Number of stages that handle packets at present: 2 only if stage 2 is in place. */
unsigned datapath_stages(const struct datapath *d);

/* Waits until every program that was running at the time of the call has ended. */
void datapath_grace_period(const struct datapath *d);

/*
 * Compares the pins with the open objects, and the programs to which the attached programs jump with the loaded ones;
 * adds differences to the findings. Returns the number of pins and programs compared.
 */
struct findings;
unsigned datapath_audit(const struct datapath *d, bool repair, struct findings *findings);

/* Whether a mapping can have this record: its geometry follows from its prefixes, and its buckets are aligned. */
bool mapping_record_valid(const struct mapping *record);

/* Buckets for the bindings of such a mapping. */
uint64_t mapping_record_binding_buckets(const struct mapping *record);

/*
 * Adds n to a counter of the datapath, so that packets that the agent drops or sends are counted with the others. 0 or
 * -errno.
 */
int datapath_count(const struct datapath *d, enum reason reason, uint32_t n);

/* Number of PCP leases for which the maps of portmaps have room; MIN_LEASES if they are not open. */
uint32_t datapath_lease_room(const struct datapath *d);

/* The counters, summed over all cores. 0 or -errno. */
int datapath_counters(const struct datapath *d, struct counters *ret);

/*
 * All programs of a PROG_ARRAY have one expected_attach_type, and so has whatever jumps through it. A component of
 * libxdp's dispatcher, which jumps through `entries`, can have 0 alone; on an interface 0 is as good as BPF_XDP. This
 * sets it for the XDP programs of an object that is about to be loaded; object_load() does it by itself.
 */
void object_set_types(const struct bpf_object *o);

/* Loads an object; on failure, writes all messages of libbpf to stderr. 0 or -errno with `err` set. */
int object_load(struct bpf_object *o, struct error *err);

/* The destinations of `bypass` in the form used by the datapath for lookups. */

/*
 * Fills in settings->bypass and n_bypass: disjoint ranges sorted by address, from at most MAX_BYPASS prefixes, which
 * may overlap, adjoin or repeat. Equal sets of addresses give equal settings.
 */
void bypass_ranges(const struct config *c, struct settings *settings);

#endif
