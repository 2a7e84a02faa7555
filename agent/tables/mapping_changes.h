/* SPDX-License-Identifier: BSD-2-Clause */
/* Adds, changes, retires and deletes mappings, and returns their memory. */
#ifndef DETNAT_MAPPING_CHANGES_H
#define DETNAT_MAPPING_CHANGES_H

#include <detnat/prefix6.h>

#include "tables/mappings.h"

struct mapping_job;

/* A requested mapping, with defaults applied. */
struct mapping_spec {
	struct prefix in;
	struct prefix out;
	struct geometry geo; /* without ports_per_host: that of the prefixes alone */
	uint32_t sessions_per_user;
	uint32_t session_slots;
	uint8_t tenant; /* 0: there are none */
	bool open;	/* inbound is open: no sessions, no slots */
	uint32_t timeout_ticks[N_TIMEOUTS];
	struct binding_layout bindings; /* mapping, filtering, inbound; the rest is 0 */
	struct growth_layout growth;
	struct limit_layout limit; /* the range is 0 */
	/*
	 * Of subscribers that are IPv6 prefixes, whose `in` is virtual: all but first_host. Else 0.
	 */
	struct record6 six;
};

/* Whether its subscribers are IPv6 prefixes. */
static inline bool mapping_spec_is_ipv6(const struct mapping_spec *spec)
{
	return spec->six.subscriber_plen;
}

/* The arithmetic of a mapping that is translated. 0, or -EINVAL with nothing written. */
int mapping_spec_geometry(const struct mapping_spec *spec, struct geometry *ret);

/* How a mapping takes over addresses of another one. */
struct mapping_handover {
	bool replaces;	    /* a mapping of the same inside prefix, which is retired */
	struct prefix from; /* the outside prefix of that one */
	uint32_t drain_s;   /* time to drain; 0: sessions in an enclosing mapping end */
};

/*
 * Adds a mapping: begin, then step until it returns 0 (1: a thread is working, ask again in some milliseconds), then
 * commit, which makes the mapping visible to the datapath. abort frees a job at any time before commit. -ENOMEM, with
 * figures in err, if memory is short. Begin all additions before the first step, so that their chunks are made
 * together.
 *
 * Only commit checks for overlaps with other mappings (-EEXIST; the caller keeps the job), so that a mapping can be
 * prepared while the one it replaces still serves. Commit waits for a grace period (about 10 ms) if the only free
 * numbers are those of mappings just deleted. Deleting all, then committing all, costs a single grace period.
 */
int mappings_add_begin(struct mappings *m, const struct mapping_spec *spec, struct mapping_job **ret,
		       struct error *err);
int mappings_add_step(struct mapping_job *job, struct error *err);
int mappings_add_commit_with(struct mapping_job *job, const struct mapping_handover *how);
void mappings_add_abort(struct mapping_job *job);

/* Begins a change of several steps, which mappings_release() ends: what the datapath is told as a whole waits. */
void mappings_begin(struct mappings *m);

/*
 * Call it before several overlapping mappings are added, retired or deleted: from now on the addresses of one of their
 * prefixes have no mapping, except for those of mappings within it, until the prefix is added, or mappings_release().
 * Otherwise packets would leave through a mapping that they have neither before nor after.
 */
void mappings_hold(struct mappings *m, uint8_t tenant, struct prefix in);
void mappings_release(struct mappings *m);

/*
 * Retires a mapping. -ENOENT if there is none; else as mappings_drain_check(), with nothing changed. Sessions continue
 * for drain_s seconds at most; when mapping_drain_over(), the caller deletes the mapping like any other.
 */
int mappings_retire(struct mappings *m, struct prefix in, struct prefix out, uint32_t drain_s);

/* Takes a retired mapping into use again; how may be NULL. Errors as for mappings_add_commit_with(). */
int mappings_revive(struct mappings *m, struct prefix in, struct prefix out, const struct mapping_handover *how);

/*
 * Deletes a mapping, found as by mappings_find_of(), from the datapath and queues its memory for
 * mappings_reclaim_step(). -ENOENT if there is none.
 */
int mappings_del_of(struct mappings *m, uint8_t tenant, struct prefix in, struct prefix out);

/*
 * Returns the memory of deleted mappings and aborted additions, a few milliseconds at a time. After each deletion or
 * abort, call it from the event loop until it is done.
 */
enum reclaim {
	RECLAIM_DONE,
	RECLAIM_MORE,  /* call again at once */
	RECLAIM_WAITS, /* waiting for a thread or a grace period: call again in some milliseconds */
};
enum reclaim mappings_reclaim_step(struct mappings *m);

/* Calls left(arg) whenever there is something new to reclaim; NULL: no call. */
void mappings_on_leave(struct mappings *m, void (*left)(void *arg), void *arg);

/*
 * Changes the quota, the limits, the timeouts and the bindings of a mapping in place. Begin, then step until it returns
 * 0 (1: a thread is working), prepare until it returns 0 (1: call again), and once more if other work came between;
 * then update, which makes the change and does the rest. Abort gives up a change before that; it keeps the memory for
 * the next one of the mapping. -ENOMEM, with figures in err, if memory is short.
 */
int mappings_update_begin(struct mappings *m, const struct mapping_spec *spec, struct error *err);
int mappings_update_step(struct mappings *m, const struct mapping_spec *spec, struct error *err);
int mappings_update_prepare(struct mappings *m, const struct mapping_spec *spec, struct error *err);
int mappings_update(struct mappings *m, const struct mapping_spec *spec);
void mappings_update_abort(struct mappings *m, const struct mapping_spec *spec);

/*
 * Makes a mapping another tenant's, with its sessions. The other tenant must not have any of its inside addresses; if
 * mappings lie within each other, all of them must follow before mappings are added or deleted.
 */
void mappings_set_tenant(struct mappings *m, int number, uint8_t tenant);

/*
 * Whether the datapath finds mappings for inside addresses that several tenants have, as it does unless told otherwise.
 * Programs without tenants must not find them.
 */
void mappings_show_shared(struct mappings *m, bool shown);

/* Changes how a mapping's blocks grow, also one that drains. */
void mappings_set_growth(struct mappings *m, int number, struct growth_layout layout);

#endif
