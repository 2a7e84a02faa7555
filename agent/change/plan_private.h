/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to change/: the plan, as plan.c makes it, plan_record.c records it, plan_commit.c carries it out
 * and plan_notices.c tells of it. */
#ifndef DETNAT_PLAN_PRIVATE_H
#define DETNAT_PLAN_PRIVATE_H

#include "change/plan.h"
#include "config/config.h"
#include "recorder/history.h"
#include "tables/mapping_changes.h"
#include "tables/portmap_table.h"

/* The part of a plan that is about portmaps. */

/* What a change takes away and adds; zero-initialised: nothing. */
struct portmap_changes {
	struct portmap *del;
	struct portmap *add;
	size_t n_del;
	size_t n_add;
};

/* Compares the portmaps of a configuration with those of the datapath. 0 or -ENOMEM. */
int portmap_changes_find(const struct config *wanted, const struct portmaps *present, struct portmap_changes *ret);
void portmap_changes_free(struct portmap_changes *c);

/* Carries out one half; the other way round undoes it. */
void portmap_changes_remove(const struct portmap_changes *c, struct portmaps *p);
int portmap_changes_add(const struct portmap_changes *c, struct portmaps *p, struct error *err);

/* Both halves, or with an error neither. */
int portmap_changes_make(const struct portmap_changes *c, struct portmaps *p, struct error *err);
void portmap_changes_undo(const struct portmap_changes *c, struct portmaps *p);

/* How many leases of PCP a change takes away. */
size_t portmap_changes_leases(const struct portmap_changes *c);

/* Leaves out of a configuration the portmaps that the datapath does not have. */
void portmap_changes_settle(struct config *c, const struct portmaps *present);

struct plan_addition {
	struct mapping_spec spec;
	struct mapping_job *job; /* until the commit; NULL where the tables drain and are taken into use again */
	bool revives;
	uint32_t left_s; /* that it would have drained */
	struct mapping_handover how;
	bool ready;
	bool committed;
};

struct plan_update {
	struct mapping_spec spec;
	bool begun;
	bool ready; /* the memory */
	bool prepared;
	bool looked_again;
};

struct plan_deletion {
	struct prefix in;
	struct prefix out;
	bool open;
	uint32_t drain_s; /* 0: its sessions end */
	bool replaced;	  /* by an addition, which has it drain */
	bool over;	  /* it has drained */
};

/* The addresses that an exception has have drained from the mapping around it. */
struct plan_end {
	struct prefix in;
	int number;
};

/* Addresses of a mapping that had, or have, its translation. */
struct plan_binding {
	struct prefix in;
	struct prefix out;
	struct address_range of;
	bool made;
};

/* Zero-initialised. */
struct plan_binding_list {
	struct plan_binding *at;
	size_t n;
	size_t room;
};

struct plan {
	const struct parts *context;
	struct change_options options;
	struct config *wanted;
	const char *name; /* of the file; NULL: it does not come from a file */
	bool only_checks; /* it is never carried out */
	uint64_t file_hash;
	char *json; /* of wanted */
	struct settings settings;
	struct stages_choice stages;
	bool load;						    /* programs with those settings */
	enum { RECORD_NOT, RECORD_UNDER_WAY, RECORD_ENDED } record; /* in the mapping history */
	int record_r;						    /* the result */
	struct error record_err;
	uint64_t record_us; /* when it was begun */
	bool committed;
	struct plan_addition *add;
	struct plan_deletion *del;
	struct plan_update *update;
	struct portmap_changes portmaps;
	struct plan_end *end;
	struct prefix *held; /* inside prefixes that the change holds; see plan_holds() */
	size_t n_held;
	size_t n_add;
	size_t n_del;
	size_t n_update;
	size_t n_end;
	bool drains; /* something will be draining */
	bool has_timed;
	struct plan_end timed;		  /* what drains for options.drain seconds from the commit on */
	struct plan_binding_list drained; /* what drains before the plan */
};

/*
 * Works out what drains, ends or is taken into use again, once additions and deletions are known. -EEXIST with err if
 * an addition has outside addresses that drain, as mappings_drain_check() if too much drains.
 */
int plan_drains(struct plan *p, struct error *err);

/* Ends what has drained, before the routes of its outside addresses go. Cannot fail. */
void plan_end_drains(struct plan *p);

/*
 * Finds the prefixes of additions and deletions that overlap others of the plan. Packets from there could leave by a
 * mapping that the addresses have neither before nor after. plan_hold() leaves these addresses without a
 * mapping meanwhile. plan_guard_holds() makes the guard drop their packets, and those of addresses that another
 * mapping gets. 0 or -ENOMEM.
 */
int plan_holds(struct plan *p);
void plan_hold(const struct plan *p);
void plan_guard_holds(const struct plan *p);

/*
 * Writes the change of mappings to the history: PLAN_WAITS until it is on disk. A first start waits for a limited time,
 * and goes on without the history if its trouble can pass.
 */
int plan_record(struct plan *p, struct error *err);

/* Whether the plan adds a mapping, or adds it anew with other slots. */
bool plan_adds(const struct plan *p, const struct config_mapping *m);

/* Tells those who listen what has become of mappings (base/notice.h), while the previous configuration is known. */
void plan_notices(const struct plan *p);

/* Which inside addresses a plan takes from a mapping, and which it gives to one. */

/*
 * What a committed plan changes, what is taken first: an exception takes its addresses from the mapping around it, and
 * gives them back. What drains is taken when that is over; of a mapping that is retired, this says so of all its
 * addresses, those of former exceptions included. *ret is the caller's. Returns the number, or -ENOMEM.
 */
ssize_t plan_bindings(const struct plan *p, struct plan_binding **ret);

/* Appends what drains in the tables. 0 or -ENOMEM. */
int plan_binding_drains(const struct mappings *m, struct plan_binding_list *ret);

int plan_binding_append(struct plan_binding_list *l, const struct plan_binding *b);

/* Appends the addresses of one that others of the same mapping, a list of n, do not have. 0 or -ENOMEM. */
int plan_binding_append_rest(struct plan_binding_list *l, const struct plan_binding *b,
			     const struct plan_binding *minus, size_t n);

/* What begins and ends to drain by a plan, for the mapping history. */

/*
 * Lists them; the caller frees the lists. What ends as its mapping or the exception in it is deleted is left out. 0 or
 * -ENOMEM.
 */
int plan_retired(const struct plan *p, struct history_drain_change *ret);

/* Takes the drain from additions around which there is no mapping that has sessions. 0 or -ENOMEM. */
int plan_forget_needless(struct plan *p);

#endif
