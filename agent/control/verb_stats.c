// SPDX-License-Identifier: BSD-2-Clause
/* stats and status. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <detnat/version.h>

#include "base/timestamp.h"
#include "base/trouble.h"
#include "control/answer.h"
#include "control/handlers.h"
#include "diagnosis/standing.h"
#include "diagnosis/unanswered.h"
#include "fib/route_copy.h"
#include "guard/guard.h"
#include "identity/identity.h"
#include "links/devices.h"
#include "pcp/pcp.h"
#include "recorder/queue.h"
#include "tables/portmap_table.h"

int verb_stats(struct request *r, cJSON **ret_result, struct error *err)
{
	struct counters counters;
	int ret;

	guard_count(r->context->guard, r->context->datapath);
	ret = datapath_counters(r->context->datapath, &counters);
	cJSON *json, *object;

	if (ret)
		return error_set(err, ret, "the counters cannot be read: %s", strerror(-ret));
	json = cJSON_CreateObject();
	object = cJSON_AddObjectToObject(json, "counters");
	if (!object) {
		cJSON_Delete(json);
		return -ENOMEM;
	}
#define X(name, text) json_add_u64(object, #name, counters.name);
	REASONS(X)
	SENT_KINDS(X)
	INCIDENTS(X)
#undef X
	object = cJSON_AddObjectToObject(json, "octets");
#define X(name, text) json_add_u64(object, #name, counters.name);
	VOLUMES(X)
#undef X
	*ret_result = json;
	return 0;
}

static void add_started(cJSON *json, time_t uptime)
{
	char text[TIME_TEXT];

	cJSON_AddStringToObject(json, "started", time_format(time(NULL) - uptime, text));
}

static void add_history(cJSON *json, const struct history_queue *q)
{
	cJSON *object = cJSON_AddObjectToObject(json, "history");
	char hash[HASH_TEXT];

	json_add_u64(object, "line", history_queue_end(q, hash));
	cJSON_AddStringToObject(object, "hash", hash);
}

static void add_guard(cJSON *json, const struct parts *a)
{
	const char *problem = guard_problem(a->guard);
	cJSON *object = cJSON_AddObjectToObject(json, "guard");
	struct counters counters = { 0 };

	guard_count(a->guard, a->datapath);
	datapath_counters(a->datapath, &counters);
	cJSON_AddBoolToObject(object, "active", !problem);
	json_add_text(object, "reason", problem);
	json_add_u64(object, "dropped", counters.drop_guard_out + counters.drop_guard_in);
}

/* The datapath's copy of the routes: whether it is in force, the reason if not, and what is left to the kernel. */
static void add_routes(cJSON *json, const struct parts *a)
{
	cJSON *object = cJSON_AddObjectToObject(json, "routes"), *list, *kernel;
	struct route_copy_summary s;

	route_copy_summary(devices_routes(a->devices), &s);
	cJSON_AddBoolToObject(object, "in_force", s.in_force);
	list = cJSON_AddArrayToObject(object, "held_by");
	for (unsigned why = 0; why < N_ROUTE_COPY_HOLDS; why++)
		if (s.held & 1U << why)
			cJSON_AddItemToArray(list, cJSON_CreateString(route_copy_hold_name(why)));
	json_add_u64(object, "routes", s.routes);
	json_add_u64(object, "next_hops", s.next_hops);
	json_add_u64(object, "neighbours", s.neighbours);
	json_add_u64(object, "memory_bytes", s.memory);
	kernel = cJSON_AddObjectToObject(object, "left_to_kernel");
	for (unsigned why = FIB_KEPT_NOT + 1; why < N_FIB_KEPT; why++)
		json_add_u64(kernel, route_copy_kept_name(why), s.kept[why]);
	json_add_u64(kernel, "unsure", s.unsure);
	json_add_u64(kernel, "no_room", s.full);
}

/* Overall, and by interface. */
static void add_forwarding(cJSON *json, const struct parts *a)
{
	const struct config *c = a->active->config;
	cJSON *list;

	answer_add_forwarding(a, json, NULL);
	list = cJSON_AddArrayToObject(json, "interfaces");
	for (size_t i = 0; i < c->n_interfaces; i++) {
		cJSON *object = cJSON_CreateObject();

		cJSON_AddStringToObject(object, "name", c->interfaces[i].name);
		answer_add_forwarding(a, object, c->interfaces[i].name);
		cJSON_AddItemToArray(list, object);
	}
}

/* The stages in force, and the reason. */
static void add_stages(cJSON *json, const struct parts *a)
{
	const struct stages_choice *choice = &a->active->stages;
	unsigned stages = datapath_stages(a->datapath);
	const char *reason = choice->reason;

	if (stages != choice->stages && a->datapath->settings.trace)
		reason = "a trace runs in one stage";
	else if (stages != choice->stages)
		reason = "the second one is not in place, see the log";
	json_add_u64(json, "stages", stages);
	cJSON_AddStringToObject(json, "stages_reason", reason);
}

/* null if PCP is off. */
static void add_pcp(cJSON *json, const struct parts *a)
{
	struct pcp_figures f;
	uint64_t dropped = 0;
	cJSON *object;

	pcp_figures(a->pcp, &f);
	if (!f.enabled) {
		cJSON_AddNullToObject(json, "pcp");
		return;
	}
	for (unsigned why = 0; why < N_PCP_DROPS; why++)
		dropped += f.drops[why];
	object = cJSON_AddObjectToObject(json, "pcp");
	json_add_u64(object, "listening", f.listening);
	json_add_u64(object, "leases", f.leases);
	json_add_u64(object, "limit", f.limit);
	json_add_u64(object, "assured", f.assured);
	json_add_u64(object, "no_room", f.no_room);
	json_add_u64(object, "epoch", f.epoch);
	json_add_u64(object, "dropped", dropped);
}

/* null if no mapping grows. */
static void add_grants(cJSON *json, const struct parts *a)
{
	struct grant_figures f = { 0 };
	bool grows = false;
	cJSON *object;

	if (a->grants)
		grants_count(a->grants, &f);
	for (size_t i = 0; i < a->active->config->n_mappings; i++)
		grows |= a->active->config->mappings[i].growth.given;
	if (!grows && !f.grants) {
		cJSON_AddNullToObject(json, "grants");
		return;
	}
	object = cJSON_AddObjectToObject(json, "grants");
	json_add_u64(object, "blocks", f.grants);
	json_add_u64(object, "ports", f.ports);
	json_add_u64(object, "resting", f.rests);
	json_add_u64(object, "addresses_full", f.addresses_full);
}

static void add_leases(cJSON *json, struct identity *x)
{
	struct identity_figures f;
	char text[TIME_TEXT];
	cJSON *object;

	if (!identity_figures(x, &f) || !f.sources) {
		cJSON_AddNullToObject(json, "leases");
		return;
	}
	object = cJSON_AddObjectToObject(json, "leases");
	json_add_u64(object, "sources", f.sources);
	json_add_u64(object, "lines", f.lines);
	json_add_u64(object, "waiting", f.waiting);
	json_add_u64(object, "lost", f.lost);
	json_add_u64(object, "forward_waiting", f.forward_waiting);
	if (f.last == TIME_NONE)
		cJSON_AddNullToObject(object, "last");
	else
		cJSON_AddStringToObject(object, "last", time_format(f.last, text));
}

/* When the reload that waits for its confirmation is taken back; null: none waits. */
static void add_unconfirmed(cJSON *json, const struct active_config *a)
{
	char text[TIME_TEXT];

	json_add_text(json, "unconfirmed_until", a->unconfirmed_due ? time_format(a->unconfirmed_until, text) : NULL);
}

static void add_troubles(cJSON *json)
{
	cJSON *list = cJSON_AddArrayToObject(json, "troubles");

	for (unsigned what = 0; what < N_TROUBLES; what++) {
		const struct trouble_state *s = trouble_get(what);
		cJSON *object = s ? cJSON_CreateObject() : NULL;
		char since[TIME_TEXT];

		if (!object)
			continue;
		cJSON_AddStringToObject(object, "what", trouble_word(what));
		cJSON_AddStringToObject(object, "since", time_format(s->since, since));
		cJSON_AddStringToObject(object, "text", s->text);
		cJSON_AddItemToArray(list, object);
	}
}

/* Refusals of sessions since the last look, which subscribers notice: X(counter, what, what to do). */
#define REFUSALS(X)                                                                                                \
	X(drop_quota, "at their quota", "detnatctl top --by quota shows them, sessions_per_user raises it")        \
	X(drop_quota_protocol, "at a limit of theirs", "detnatctl top shows them, limits of the mapping raise it") \
	X(drop_rate, "that open too many at once", "detnatctl top shows them, limits of the mapping raise it")     \
	X(drop_ports_exhausted, "without a free port",                                                             \
	  "detnatctl top shows them; more outside addresses, or growth, give them more ports")                     \
	X(drop_overflow_full, "without room beyond their slots", "raise overflow_sessions, or session_slots")

/* So many packets went out before it is worth a warning that none came back. */
#define UNANSWERED 20U

static void add_refusal(cJSON *list, const char *counter, uint64_t n, const char *what, const char *advice)
{
	char text[256];

	if (!n)
		return;
	snprintf(text, sizeof(text), "DROPPED: %" PRIu64 " packet%s of subscribers %s since the last look; %s", n,
		 n == 1 ? "" : "s", what, advice);
	standing_add(list, counter, text);
}

static void add_refusals(const struct parts *a, cJSON *list)
{
	static struct counters before;
	static bool looked;
	struct counters now;

	if (datapath_counters(a->datapath, &now))
		return;
	if (looked && now.out2in_translated && now.in2out_translated - before.in2out_translated >= UNANSWERED &&
	    now.out2in_translated == before.out2in_translated)
		standing_add(
			list, "unanswered",
			"packets went out, and none came back since the last look: does the upstream router have a "
			"route to the pools via this gateway, or ask for their addresses by ARP?");
#define X(counter, what, advice) add_refusal(list, #counter, looked ? now.counter - before.counter : 0, what, advice);
	REFUSALS(X)
#undef X
	before = now;
	looked = true;
}

static void add_standing(void *list, const char *check, enum doctor_level level, const char *text)
{
	standing_add(list, check, text);
}

/* What stands against the machine, and what became of packets since it was last looked at. */
static void add_warnings(cJSON *json, const struct parts *a)
{
	static cJSON *refusals;
	bool anew;
	const cJSON *standing = standing_warnings(a, &anew);
	cJSON *list = cJSON_Duplicate(standing, true), *one;

	if (anew) {
		cJSON_Delete(refusals);
		refusals = cJSON_CreateArray();
		add_refusals(a, refusals);
	}
	cJSON_ArrayForEach (one, refusals) {
		cJSON_AddItemToArray(list, cJSON_Duplicate(one, true));
	}
	unanswered_say(a, add_standing, list);
	cJSON_AddItemToObject(json, "warnings", list);
}

static cJSON *answer_status(struct request *r, const struct session_count *count)
{
	const struct parts *a = r->context;
	cJSON *json = cJSON_CreateObject();
	struct timespec now;
	time_t uptime;

	clock_gettime(CLOCK_MONOTONIC, &now);
	uptime = now.tv_sec - a->started.tv_sec - (now.tv_nsec < a->started.tv_nsec);
	cJSON_AddStringToObject(json, "version", DETNAT_VERSION);
	json_add_u64(json, "uptime", (uint64_t)uptime);
	if (a->devices)
		add_forwarding(json, a);
	add_stages(json, a);
	json_add_u64(json, "mappings", a->active->config->n_mappings);
	if (a->portmaps)
		json_add_u64(json, "portmaps",
			     portmaps_count(a->portmaps, PORTMAP_STATIC) + portmaps_count(a->portmaps, PORTMAP_PCP));
	add_grants(json, a);
	json_add_u64(json, "sessions", count->total);
	add_started(json, uptime);
	json_add_u64(json, "memory_bytes", mappings_table_memory(a->mappings));
	if (a->history)
		add_history(json, a->history);
	add_guard(json, a);
	if (a->devices)
		add_routes(json, a);
	if (a->pcp)
		add_pcp(json, a);
	if (a->replication)
		json_add_replication(json, a->replication);
	if (a->identity)
		add_leases(json, a->identity);
	cJSON_AddBoolToObject(json, "tracing", a->datapath->settings.trace);
	add_unconfirmed(json, a->active);
	if (a->devices)
		add_warnings(json, a);
	add_troubles(json);
	return json;
}

int verb_status(struct request *r, cJSON **ret_result, struct error *err)
{
	return request_count(r, answer_status, err);
}
