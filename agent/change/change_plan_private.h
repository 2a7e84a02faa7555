/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private to change/: the plan. plan.c makes it, plan_record.c records it, plan_commit.c carries it out and
 * plan_notices.c reports it.
 */
#ifndef DETNAT_PLAN_PRIVATE_H
#define DETNAT_PLAN_PRIVATE_H

#include "change/change_plan.h"
#include "config/active.h"
#include "config/running_text.h"
#include "recorder/history.h"
#include "tables/mapping_changes.h"
#include "tables/portmap_table.h"

/* The portmaps of a plan. */

/* Portmaps that a change removes and adds. Zero-initialised: none. */
struct portmap_changes {
	struct portmap *del;
	struct portmap *add;
	size_t n_del;
	size_t n_add;
};

/* Compares the portmaps of a plan, of the inside addresses that it looks at, with the datapath's. 0 or -ENOMEM. */
int portmap_changes_find(const struct change_plan *p, const struct portmaps *present, struct portmap_changes *ret);
void portmap_changes_free(struct portmap_changes *c);

/* Carries out one half; the other way round undoes it. */
void portmap_changes_remove(const struct portmap_changes *c, struct portmaps *p);
int portmap_changes_add(const struct portmap_changes *c, struct portmaps *p, struct error *err);

/* Both halves, or with an error neither. */
int portmap_changes_make(const struct portmap_changes *c, struct portmaps *p, struct error *err);
void portmap_changes_undo(const struct portmap_changes *c, struct portmaps *p);

/* How many leases of PCP a change takes away. */
size_t portmap_changes_leases(const struct portmap_changes *c);

/* Removes from a configuration the portmaps that the datapath does not have. */
void portmap_changes_settle(struct config *c, const struct portmaps *present);

struct plan_addition {
	struct mapping_spec spec;
	struct mapping_job *job; /* until the commit; NULL where draining tables are taken into use again */
	bool revives;
	uint32_t left_s; /* for which it would still have drained */
	struct mapping_handover how;
	bool ready;
	bool committed;
};

struct plan_update {
	struct mapping_spec spec;
	int moved; /* 1 + number of the mapping that has got its tenant; 0: none */
	uint8_t tenant_before;
	bool begun;
	bool ready; /* its memory is ready */
	bool prepared;
	bool looked_again;
};

struct plan_deletion {
	struct prefix in;
	struct prefix out;
	struct geometry geo; /* of the table */
	bool open;
	uint8_t tenant;
	uint32_t drain_s; /* 0: its sessions end */
	bool replaced;	  /* by an addition, which makes it drain */
	bool over;	  /* it has drained */
};

/* The addresses of an exception have drained from the mapping around it. */
struct plan_end {
	struct prefix in;
	int number;
};

/* Whether inside prefixes of two tenants may meet: 0 is of any, as of mappings that get a tenant, or lose it. */
static inline bool tenants_meet(uint8_t a, uint8_t b)
{
	return a == b || !a || !b;
}

/* Addresses of a mapping whose translation begins or ends. */
struct plan_binding {
	struct prefix in;
	struct prefix out;
	struct plan_blocks blocks;
	struct address_range of;
	uint8_t tenant;
	bool made;
};

/* Zero-initialised. */
struct plan_binding_list {
	struct plan_binding *at;
	size_t n;
	size_t room;
};

struct change_plan {
	const struct parts *context;
	struct change_options options;
	struct config *wanted;
	struct config_part part; /* of it; without a configuration: all of it is looked at */
	const char *name;	 /* of the file; NULL: it does not come from a file */
	bool only_checks;	 /* it is never carried out */
	uint64_t file_hash;
	struct running_text text; /* of wanted */
	struct settings settings;
	struct mapping_tally tally; /* of wanted */
	struct stages_choice stages;
	bool load;						    /* programs with those settings */
	enum { RECORD_NOT, RECORD_UNDER_WAY, RECORD_ENDED } record; /* in the mapping history */
	int record_r;						    /* the result */
	struct error record_err;
	uint64_t record_us; /* when it was begun */
	enum { RENAMES_UNKNOWN, RENAMES_NONE, RENAMES_SOME } renames;
	bool committed;
	struct plan_addition *add;
	struct plan_deletion *del;
	struct plan_update *update;
	struct portmap_changes portmaps;
	struct plan_end *end;
	struct plan_hold {
		struct prefix in;
		uint8_t tenant;
	} * held; /* inside prefixes that the change holds; see plan_holds() */
	size_t n_held;
	size_t n_add;
	size_t n_del;
	size_t n_update;
	size_t n_end;
	size_t begun, ready;	 /* additions from the first on; those in use again are none of them */
	size_t prepared, looked; /* updates, the same; looked at again */
	bool drains;		 /* something will be draining */
	bool has_timed;
	struct plan_end timed;		  /* drains for options.drain seconds from the commit on */
	struct plan_binding_list drained; /* addresses that drain before the plan */
};

/* The mappings and portmaps that a plan looks at. */
static inline const struct config *plan_part(const struct change_plan *p)
{
	return p->part.config ? p->part.config : p->wanted;
}

/* Whether outside addresses of a mapping begin or cease to belong to its subscribers, or to drain. */
static inline bool plan_begins_or_ends(const struct change_plan *p)
{
	return p->n_add || p->n_del || p->n_end;
}

/* Whether it looks at those of any of these inside addresses. */
bool plan_looks_at(const struct change_plan *p, struct prefix in);

/* Compares the mappings with those of the tables. 0 or -ENOMEM. */
int plan_mappings(struct change_plan *p);

/*
 * Works out what drains, ends or is taken into use again, once additions and deletions are known. -EEXIST with err if
 * an addition has outside addresses that drain, the error of mappings_drains_check() if too many do.
 */
int plan_drains(struct change_plan *p, struct error *err);

/* Ends finished drains, before the routes of their outside addresses go. Cannot fail. */
void plan_end_drains(struct change_plan *p);

/*
 * Finds the prefixes of additions and deletions that overlap others of the plan. Packets from there could leave through
 * a mapping that the addresses have neither before nor after. plan_hold() leaves these addresses without a mapping
 * meanwhile. plan_guard_holds() makes the guard drop their packets, and those of addresses that another mapping gets. 0
 * or -ENOMEM.
 */
int plan_holds(struct change_plan *p);

/*
 * Gives mappings that stay the tenants of the configuration, and back those that they had: where there were none, or
 * are none any more. Between deletions and additions.
 */
void plan_set_tenants(struct change_plan *p);
void plan_restore_tenants(struct change_plan *p);
void plan_hold(const struct change_plan *p);
void plan_guard_holds(const struct change_plan *p);

/*
 * Writes the change of mappings to the history: PLAN_WAITS until it is on disk. A first start waits for a limited time,
 * and continues without the history if its trouble is temporary.
 */
int plan_record(struct change_plan *p, struct error *err);

/* Whether the tables have become what was recorded; why: the first difference. */
bool plan_is_as_recorded(const struct change_plan *p, struct error *why);

/* Whether the plan adds a mapping, also one that replaces itself with other slots. */
bool plan_adds(const struct change_plan *p, const struct config_mapping *m);

/* Reports the fate of mappings to listeners (base/notice.h), while the previous configuration is known. */
void plan_notices(const struct change_plan *p);

/* The inside addresses that a plan takes from mappings and gives to them. */

/*
 * What a committed plan changes, removals first: an exception takes its addresses from the mapping around it, and gives
 * them back. Draining addresses are taken when the drain is over; for a retired mapping, the entry covers all its
 * addresses, those of former exceptions included. The caller owns *ret. Returns the number, or -ENOMEM.
 */
ssize_t plan_bindings(const struct change_plan *p, struct plan_binding **ret);

/* Appends the addresses that drain in the tables. 0 or -ENOMEM. */
int plan_binding_drains(const struct mappings *m, struct plan_binding_list *ret);

int plan_binding_append(struct plan_binding_list *l, const struct plan_binding *b);

/* Appends the addresses of one entry that none of a list of n entries of the same mapping has. 0 or -ENOMEM. */
int plan_binding_append_rest(struct plan_binding_list *l, const struct plan_binding *b,
			     const struct plan_binding *minus, size_t n);

/* Beginnings and ends of drains by a plan, for the mapping history. */

/*
 * Lists them; the caller frees the lists. Ends that follow from a deleted mapping or exception are left out. 0 or
 * -ENOMEM.
 */
int plan_retired(const struct change_plan *p, struct fact_list *ret_end, struct fact_list *ret_begin);

/* Clears the drain of additions that lie in no mapping with sessions. 0 or -ENOMEM. */
int plan_forget_needless(struct change_plan *p);

#endif
