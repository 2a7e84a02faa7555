// SPDX-License-Identifier: BSD-2-Clause
#include "diagnosis/checking.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/findings.h"
#include "guard/guard.h"
#include "links/devices.h"
#include "peers/replication.h"
#include "recorder/queue.h"
#include "tables/grant_table.h"
#include "tables/mapping_drains.h"
#include "tables/mappings.h"
#include "tables/portmap_table.h"

/*
 * The part of `check` that compares with peers: rules that differ, and copies that a peer lacks. It reads only what
 * peers have sent anyway, so it takes no time if all is well, and some seconds if not.
 */

/* Zero-initialised. */
struct check_peers {
	unsigned looks;
	unsigned lacks[REPLICATION_MAX_PEERS]; /* looks at which a peer lacked copies */
	uint64_t next_us;
};

/* Looks needed before a difference counts, as sessions come and go, at this distance. */
#define LOOKS	 3U
#define PAUSE_US 1100000U

static const char *where(const struct peer_figures *f, char text[static 64])
{
	char span[SPAN_TEXT];

	snprintf(text, 64, "peer %s",
		 span_format((struct port_span){ f->peer.addr, f->peer.port, f->peer.port }, span));
	return text;
}

static void add_differences(const struct replication *x, unsigned n, const struct peer_figures *f,
			    struct findings *findings)
{
	const struct copying_differences *all = replication_differences(x, n);
	char at[64], text[COPYING_DIFFERENCE_LINE];

	for (uint32_t i = 0; i < all->n; i++) {
		if (!all->item[i].matters)
			continue;
		replication_difference_text(&all->item[i], text);
		findings_add(findings, FINDING_PEER, false, where(f, at), "%s", text);
	}
}

/*
 * Whether a mapping is not exchanged with a peer, for example one that drains only here: the peer has no copies of its
 * sessions.
 */
static bool leaves_out(const struct replication *x, unsigned n)
{
	enum copying_difference why;
	struct prefix in, out;

	return replication_difference(x, n, 0, &in, &out, &why);
}

/* Sessions of addresses that drain here: a peer where the drain is over has no copies of them. */
static uint64_t draining(const struct mappings *m)
{
	const struct mapping_drain *d;
	uint64_t sum = 0;

	for (size_t n = mappings_drains(m, &d); n--; d++)
		if (__builtin_add_overflow(sum, d->sessions, &sum))
			return UINT64_MAX;
	return sum;
}

/*
 * Whether a peer lacks copies of sessions that this gateway has announced, except those that drain and a few that are
 * under way or find no room. A difference of less than a twentieth means nothing.
 */
static bool lacks_copies(const struct replication *x, unsigned n, const struct peer_figures *f,
			 const struct mappings *m)
{
	uint64_t there = f->copies_there, told = f->told_then, most = told > there ? told : there;
	uint64_t differ = most - (told < there ? told : there), few = 16 + most / 20;

	return f->has_copies_there && !f->differ && differ > few && differ - few > draining(m) && !leaves_out(x, n);
}

static void add_lack(const struct peer_figures *f, struct findings *findings)
{
	char at[64];

	findings_add(findings, FINDING_PEER, false, where(f, at),
		     "it has copies of %llu sessions, but %llu were announced: `peer list` and the log there have the "
		     "reason",
		     (unsigned long long)f->copies_there, (unsigned long long)f->told_then);
}

/* 0: done; 1: call it again after some time. *ret_compared: peers that are up. x may be NULL. */
static int check_peers(struct check_peers *p, const struct replication *x, const struct mappings *m,
		       struct findings *findings, unsigned *ret_compared)
{
	bool again = false;

	if (monotonic_us() < p->next_us)
		return 1;
	*ret_compared = 0;
	for (unsigned n = 0; x && n < replication_peers(x); n++) {
		struct peer_figures f;

		replication_peer(x, n, &f);
		if (f.state != PEER_SYNCHRONISED && f.state != PEER_DIFFERS)
			continue;
		++*ret_compared;
		if (!p->looks && f.differs_long)
			add_differences(x, n, &f, findings);
		p->lacks[n] += lacks_copies(x, n, &f, m);
		again |= p->lacks[n] == p->looks + 1;
		if (p->lacks[n] == LOOKS)
			add_lack(&f, findings);
	}
	p->next_us = monotonic_us() + PAUSE_US;
	return ++p->looks < LOOKS && again;
}

/* Maximum number of repeated checks while interfaces and routes change, and the pause before each. */
#define AUDITS_MAX     50U
#define AUDIT_PAUSE_US 20000U

/* Checks outside the tables, in this order. */
enum audit_step { AUDIT_GUARD, AUDIT_INTERFACES, AUDIT_HISTORY, AUDIT_PORTMAPS, AUDIT_PINS, AUDIT_PEERS };

struct checking {
	const struct parts *parts;
	bool repair;
	struct error history; /* disagreement of the mapping history with the tables */
	struct findings findings;
	struct table_check *tables;
	bool tables_done;
	enum audit_step next;
	unsigned audits;
	uint64_t next_us;
	struct checking_figures figures; /* except those of the tables */
	struct check_peers with_peers;
};

int checking_new(const struct parts *parts, bool repair, struct checking **ret)
{
	struct checking *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->parts = parts;
	c->repair = repair;
	if (table_check_new(parts->mappings, repair, &c->findings, &c->tables)) {
		free(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

void checking_free(struct checking *c)
{
	table_check_free(c->tables);
	findings_free(&c->findings);
	free(c);
}

/* Returns 1 if something is changing and the check must be repeated, 0, or -errno. */
static int audit_one(struct checking *c)
{
	const struct parts *a = c->parts;

	switch (c->next) {
	case AUDIT_GUARD:
		return guard_audit(a->guard, c->repair, &c->findings, &c->figures.guard);
	case AUDIT_INTERFACES:
		return devices_audit(a->devices, c->repair, &c->findings, &c->figures.interfaces, &c->figures.routes);
	case AUDIT_HISTORY:
		return history_queue_holds(a->history, &c->history) ? 0 : 1;
	case AUDIT_PORTMAPS:
		c->figures.portmaps = portmaps_audit(a->portmaps, c->repair, &c->findings);
		c->figures.grants = grants_audit(a->grants, c->repair, &c->findings);
		return 0;
	case AUDIT_PINS:
		c->figures.pins = datapath_audit(a->datapath, c->repair, &c->findings);
		return 0;
	default:
		return check_peers(&c->with_peers, a->replication, a->mappings, &c->findings, &c->figures.peers);
	}
}

/* No change of mappings that the history was waiting for is left. */
static void add_history(struct checking *c)
{
	if (c->repair)
		history_queue_reconcile(c->parts->history);
	findings_add(&c->findings, FINDING_HISTORY, c->repair && history_queue_holds(c->parts->history, NULL),
		     "history", "%s", c->history.text);
}

/* 1: call it again, 0: done, -errno. */
static int audit(struct checking *c)
{
	if (monotonic_us() < c->next_us)
		return 1;
	while (c->next <= AUDIT_PEERS) {
		int ret = audit_one(c);

		if (ret < 0)
			return ret;
		if (ret && (c->next == AUDIT_PEERS || ++c->audits < AUDITS_MAX)) {
			c->next_us = monotonic_us() + AUDIT_PAUSE_US;
			return 1;
		}
		if (ret && c->next == AUDIT_HISTORY)
			add_history(c);
		c->next++;
	}
	return 0;
}

int checking_step(struct checking *c, unsigned budget_us, struct error *err)
{
	int r;

	if (!c->tables_done) {
		r = table_check_step(c->tables, budget_us);
		if (r < 0)
			return error_set(err, r, "the tables cannot be checked: %s", strerror(-r));
		c->tables_done = r == TABLE_CHECK_DONE;
		return 1;
	}
	r = audit(c);
	if (r < 0)
		return error_set(err, r, "interfaces, routes or the guard cannot be read: %s", strerror(-r));
	return r;
}

const struct findings *checking_findings(const struct checking *c)
{
	return &c->findings;
}

struct checking_figures checking_figures(const struct checking *c)
{
	struct checking_figures f = c->figures;

	f.tables = table_check_figures(c->tables);
	return f;
}
