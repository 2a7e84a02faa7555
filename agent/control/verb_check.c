/* SPDX-License-Identifier: BSD-2-Clause */
/* check: tables, programs, pins, routes, guard, history and peers against the rules, in slices. */
#include <errno.h>
#include <string.h>

#include "control/check_peers.h"
#include "control/handlers.h"
#include "guard/guard.h"
#include "recorder/queue.h"
#include "links/devices.h"
#include "sessions/check.h"
#include "tables/portmap_table.h"

/* How often to repeat a check while interfaces and routes change, and the pause before each. */
#define AUDITS_MAX     50U
#define AUDIT_PAUSE_US 20000U

/* Checks of what is not in the tables, in this order. */
enum audit_step { AUDIT_GUARD, AUDIT_INTERFACES, AUDIT_HISTORY, AUDIT_PORTMAPS, AUDIT_PINS, AUDIT_PEERS };

struct checking {
	bool repair;
	struct error history; /* what the mapping history and the tables do not agree about */
	struct findings findings;
	struct table_check *tables;
	bool tables_done;
	enum audit_step next;
	unsigned audits;
	uint64_t next_us;
	size_t interfaces;
	size_t routes;
	size_t guard; /* things in its table */
	unsigned pins;
	size_t portmaps;
	struct check_peers with_peers;
	unsigned peers;
};

static void checking_free(void *state)
{
	struct checking *c = state;

	table_check_free(c->tables);
	findings_free(&c->findings);
	free(c);
}

static cJSON *figures(const struct checking *c)
{
	const struct check_figures *f = table_check_figures(c->tables);
	cJSON *json = cJSON_CreateObject();
	bool ok = json && json_add_u64(json, "mappings", f->mappings) &&
		  json_add_u64(json, "subscribers", f->subscribers) && json_add_u64(json, "slots", f->slots) &&
		  json_add_u64(json, "sessions", f->sessions) &&
		  json_add_u64(json, "overflow_sessions", f->overflow_sessions) &&
		  json_add_u64(json, "bindings", f->bindings) && json_add_u64(json, "interfaces", c->interfaces) &&
		  json_add_u64(json, "routes", c->routes) && json_add_u64(json, "pins", c->pins) &&
		  json_add_u64(json, "portmaps", c->portmaps) && json_add_u64(json, "guard", c->guard) &&
		  json_add_u64(json, "peers", c->peers) && json_add_u64(json, "looked_again", f->looked_again) &&
		  json_add_u64(json, "unsettled", f->unsettled) && json_add_u64(json, "findings", c->findings.total) &&
		  json_add_u64(json, "repaired", c->findings.repaired);

	if (ok)
		return json;
	cJSON_Delete(json);
	return NULL;
}

static cJSON *finding_json(const struct finding *f)
{
	cJSON *json = cJSON_CreateObject();

	if (json && cJSON_AddStringToObject(json, "what", finding_kind_name(f->kind)) &&
	    cJSON_AddStringToObject(json, "where", f->where) && cJSON_AddStringToObject(json, "text", f->text) &&
	    cJSON_AddBoolToObject(json, "repaired", f->repaired))
		return json;
	cJSON_Delete(json);
	return NULL;
}

static cJSON *answer(const struct checking *c)
{
	cJSON *json = cJSON_CreateObject(), *list = json ? cJSON_AddArrayToObject(json, "findings") : NULL;
	cJSON *checked = figures(c);
	bool ok = list && checked && !c->findings.failed;

	if (checked && (!json || !cJSON_AddItemToObject(json, "checked", checked)))
		cJSON_Delete(checked);
	for (size_t i = 0; ok && i < c->findings.n; i++) {
		cJSON *item = finding_json(&c->findings.finding[i]);

		ok = item && cJSON_AddItemToArray(list, item);
	}
	if (ok)
		return json;
	cJSON_Delete(json);
	return NULL;
}

/* Returns 1 if something is changing and the check must be repeated, 0, or -errno. */
static int audit_one(const struct control_context *a, struct checking *c)
{
	switch (c->next) {
	case AUDIT_GUARD:
		return guard_audit(a->guard, c->repair, &c->findings, &c->guard);
	case AUDIT_INTERFACES:
		return devices_audit(a->devices, c->repair, &c->findings, &c->interfaces, &c->routes);
	case AUDIT_HISTORY:
		return history_queue_holds(a->history, &c->history) ? 0 : 1;
	case AUDIT_PORTMAPS:
		c->portmaps = portmaps_audit(a->portmaps, c->repair, &c->findings);
		return 0;
	case AUDIT_PINS:
		c->pins = datapath_audit(a->datapath, c->repair, &c->findings);
		return 0;
	default:
		return check_peers(&c->with_peers, a->replication, a->mappings, &c->findings, &c->peers);
	}
}

/* The change of mappings that the history waits for, if there is one, is over. */
static void add_history(const struct control_context *a, struct checking *c)
{
	if (c->repair)
		history_queue_reconcile(a->history);
	findings_add(&c->findings, FINDING_HISTORY, c->repair && history_queue_holds(a->history, NULL), "history", "%s",
		     c->history.text);
}

/* 1 to be asked again, 0 done, -errno. */
static int audit(struct request *r, struct checking *c)
{
	if (monotonic_us() < c->next_us)
		return 1;
	while (c->next <= AUDIT_PEERS) {
		int ret = audit_one(r->context, c);

		if (ret < 0)
			return ret;
		if (ret && (c->next == AUDIT_PEERS || ++c->audits < AUDITS_MAX)) {
			c->next_us = monotonic_us() + AUDIT_PAUSE_US;
			return 1;
		}
		if (ret && c->next == AUDIT_HISTORY)
			add_history(r->context, c);
		c->next++;
	}
	return 0;
}

static int check_step(struct request *r, cJSON **ret_result, struct error *err)
{
	struct checking *c = r->state;
	int ret;

	if (!c->tables_done) {
		ret = table_check_step(c->tables, REQUEST_COUNT_US / 2);
		if (ret < 0)
			return error_set(err, ret, "the tables cannot be gone through: %s", strerror(-ret));
		c->tables_done = ret == TABLE_CHECK_DONE;
		return 1;
	}
	ret = audit(r, c);
	if (ret)
		return ret < 0 ? error_set(err, ret, "interfaces, routes or the guard cannot be read: %s",
					   strerror(-ret))
			       : 1;
	*ret_result = answer(c);
	return *ret_result ? 0 : error_set(err, -ENOMEM, "the agent is out of memory");
}

int verb_check(struct request *r, cJSON **ret_result, struct error *err)
{
	const struct arg_value *repair = request_arg(r, "repair");
	struct checking *c = calloc(1, sizeof(*c));

	if (!c)
		return error_set(err, -ENOMEM, "the agent is out of memory");
	c->repair = repair->given && repair->number;
	if (table_check_new(r->context->mappings, c->repair, &c->findings, &c->tables)) {
		free(c);
		return error_set(err, -ENOMEM, "the agent is out of memory");
	}
	request_run(r, check_step, c, checking_free);
	return 0;
}
