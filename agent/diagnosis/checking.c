// SPDX-License-Identifier: BSD-2-Clause
#include "diagnosis/checking.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "diagnosis/check_peers.h"
#include "guard/guard.h"
#include "links/devices.h"
#include "recorder/queue.h"
#include "tables/portmap_table.h"

/* How often to repeat a check while interfaces and routes change, and the pause before each. */
#define AUDITS_MAX     50U
#define AUDIT_PAUSE_US 20000U

/* Checks of what is not in the tables, in this order. */
enum audit_step { AUDIT_GUARD, AUDIT_INTERFACES, AUDIT_HISTORY, AUDIT_PORTMAPS, AUDIT_PINS, AUDIT_PEERS };

struct checking {
	const struct parts *parts;
	bool repair;
	struct error history; /* how the mapping history and the tables disagree */
	struct findings findings;
	struct table_check *tables;
	bool tables_done;
	enum audit_step next;
	unsigned audits;
	uint64_t next_us;
	struct checking_figures figures; /* but for those of the tables */
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
		return 0;
	case AUDIT_PINS:
		c->figures.pins = datapath_audit(a->datapath, c->repair, &c->findings);
		return 0;
	default:
		return check_peers(&c->with_peers, a->replication, a->mappings, &c->findings, &c->figures.peers);
	}
}

/* The change of mappings that the history waits for, if there is one, is over. */
static void add_history(struct checking *c)
{
	if (c->repair)
		history_queue_reconcile(c->parts->history);
	findings_add(&c->findings, FINDING_HISTORY, c->repair && history_queue_holds(c->parts->history, NULL),
		     "history", "%s", c->history.text);
}

/* 1 to be asked again, 0 done, -errno. */
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
			return error_set(err, r, "the tables cannot be gone through: %s", strerror(-r));
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
