/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pinned maps and programs: made, reused, swapped, removed.
 *
 * Everything lives in PIN_PATH/v<LAYOUT_VERSION>. The maps are those of bpf/maps.h. The attached XDP programs are
 * tiny and tail-call the main program of their hook through the pinned map `entries`; datapath_load() loads a new set
 * of programs around the same maps and replaces the elements of `entries`, so a restart or a reload drops nothing.
 */
#ifndef DETNAT_DATAPATH_H
#define DETNAT_DATAPATH_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include <detnat/reasons.h>
#include <detnat/tables.h>

#include "config/config.h"
#include "base/base.h"

/* The program at tc egress, and its pins, one a set of programs: NAME_<generation>. */
#define PIN_TC_PROGRAM "tc_outside"

struct datapath {
	char *pin_dir; /* PIN_PATH/v<LAYOUT_VERSION> */
	int lock_fd;   /* flock on the pin path: one agent at a time */
	bool reused;   /* the maps were there */
	bool replaced; /* a datapath of another layout that was there is replaced */
	uint32_t hz;

	/* Descriptors of the pinned maps. */
	int in_index;
	int out_index;
	int mappings;
	int subscribers; /* ARRAY_OF_MAPS */
	int buckets;	 /* ARRAY_OF_MAPS */
	int overflow;
	int devices;
	int vlans;
	int route_mtus;
	int counters;
	int events;
	int fragments;
	int early_fragments;
	int unsolicited_syns;
	int transmissions;
	int next_hops_used;
	int running;
	int entries; /* PROG_ARRAY that the attached XDP programs jump through */

	/* Maps seen through mmap, shared with the BPF programs. */
	struct index_node *in_nodes;
	struct index_node *out_nodes;
	struct mapping_table *table;
	struct mapping *mapping; /* MAX_MAPPINGS of them, in the table */
	struct device *device;	 /* MAX_IFINDEX, by interface index */
	struct globals *global;	 /* in the table */
	void *running_state;	 /* see datapath/running.h */

	/* Programs, -1 until loaded. Attached by links/devices.c. */
	int xdp_inside;
	int xdp_outside;
	int xdp_both;
	int tc_outside;
	int overflow_removal; /* see struct overflow_removal */
	int agent_count;      /* see datapath_count() */
	int session_held;     /* see struct session_question */
	int clock;	      /* returns the tick, see datapath_ticks() */
	int trace_filter;     /* maps of the tracing build, -1 while there is none; punt/tracing.c's */
	int trace_ring;
	struct settings settings; /* of the programs loaded */

	int grace; /* private ARRAY_OF_MAPS, see datapath_grace_period() */
	int grace_inner;
	struct datapath_build *build;	  /* that runs; NULL until datapath_load() */
	struct datapath_loading *loading; /* under way, or NULL */
	struct datapath_build *former;	  /* that ran before, until datapath_settle() or datapath_revert() */
	struct datapath_build *spare;	  /* the normal one while the tracing one runs, ready to come back */
	struct migration *migration;	  /* from another layout, until datapath_migrated(); NULL: none */
};

/*
 * Opens the pinned maps under c->pin_path, or makes and pins them; mounts a bpffs at the pin path where there is
 * none. Takes the lock first: -EBUSY where another agent holds it. Nothing is left behind on failure.
 *
 * A datapath of another layout is taken over (datapath/migration.h); one that cannot be is replaced where `replace`
 * says so, else it is -EXDEV.
 */
int datapath_open(const struct config *c, bool replace, struct datapath *ret, struct error *err);

/* The tables of a datapath of another layout have been compared with what was copied: removes its pins. */
void datapath_migrated(struct datapath *d);

/*
 * Takes the lock and opens what is pinned under a pin path, without making anything: what is missing is -1 or NULL in
 * *ret. -EBUSY where an agent runs, -ENOENT where nothing is pinned.
 */
int datapath_open_pinned(const char *pin_path, struct datapath *ret, struct error *err);

/* A datapath of which there is nothing but the pin path; -ENOMEM. */
int datapath_of_nothing(const char *pin_path, struct datapath *ret);

/*
 * Reads what an agent saved as its running configuration under a pin path (datapath/running.h), of another layout where
 * that is what runs, without the lock: -errno where there is none.
 */
int datapath_peek_running(const char *pin_path, char **ret_json, uint64_t *ret_file_hash);

/* Leaves word beside the pins of which file they come, for datapath_find(). */
void datapath_note_config(const struct datapath *d, const char *config_path);

/* The pin path of the datapath that was made from a configuration file, which need not be there. -ENOENT: none. */
int datapath_find(const char *config_path, char ret_pin_path[static PATH_MAX]);

/* Whether some pins are there and others not: the next datapath_open() starts afresh then. */
bool datapath_is_incomplete(const char *pin_path);

/* Closes descriptors and mappings; what is pinned stays. */
void datapath_close(struct datapath *d);

/* The same, and undoes datapath_open() where the pins were made by it: for a start that fails. */
void datapath_discard(struct datapath *d);

/*
 * Loads a set of programs with these settings, in a thread, as the kernel's verifier takes its time: begin, ready until
 * it says 0 (1: not yet, or -errno), then swap, which makes it the set that runs, in one step for each hook. abort
 * gives it up at any time before.
 *
 * The map `overflow` is replaced by one of the size asked for, with its sessions. tc_outside is replaced where it is
 * attached by devices_apply(); thereafter datapath_settle() or datapath_revert() is called.
 */
int datapath_load_begin(struct datapath *d, const struct settings *settings, struct error *err);
int datapath_load_ready(struct datapath *d, struct error *err);
int datapath_load_swap(struct datapath *d, struct error *err);
void datapath_load_abort(struct datapath *d);

/* All of it, while the caller waits. */
int datapath_load(struct datapath *d, const struct settings *settings, struct error *err);

/* Gives up the programs that ran before the last datapath_load(), and pins of other layouts. */
void datapath_settle(struct datapath *d);

/* Makes the programs that ran before the last datapath_load() run again, where there were any. */
void datapath_revert(struct datapath *d);

/*
 * Removes all pins under a pin path, of every layout (detach of interfaces is links/devices.c). Call it with the lock
 * held, then datapath_close() and bpffs_release().
 */
int datapath_unpin(const char *pin_path, struct error *err);

/* Clock rate of the kernel: jiffies a second. */
uint32_t datapath_hz(void);

/*
 * Has libbpf's messages written to stderr: 1 those for operators, 2 those on its inner workings, too. With 0 they are
 * seen only where a load fails.
 */
void datapath_log_libbpf(unsigned verbosity);

/* The datapath's clock: jiffies >> TICK_SHIFT. */
uint32_t datapath_ticks(const struct datapath *d);

/* Makes every core forget cached next hops and classes of destinations. */
void datapath_raise_epoch(struct datapath *d);

/* Waits until no program that started before this call still runs. */
void datapath_grace_period(const struct datapath *d);

/*
 * Compares the pins with what is open, and the programs that the interfaces jump to with those that were loaded; what
 * differs is added to the findings (base/findings.h). Returns how many pins and programs there were to compare.
 */
struct findings;
unsigned datapath_audit(const struct datapath *d, bool repair, struct findings *findings);

/* Whether a mapping can have this record: its geometry follows from its prefixes, and its buckets are aligned. */
bool mapping_record_valid(const struct mapping *record);

/* Adds n to a counter of the datapath, so that what the agent loses or sends is counted with the rest. 0 or -errno. */
int datapath_count(const struct datapath *d, enum reason reason, uint32_t n);

/* Sum of the counters over all cores. 0 or -errno. */
int datapath_counters(const struct datapath *d, struct counters *ret);

#endif
