/* SPDX-License-Identifier: BSD-2-Clause */
/* peer list, peer resync. */
#include <errno.h>
#include <netinet/in.h>

#include "control/answer.h"
#include "control/handlers.h"

/* Limit of mappings in one answer that are not exchanged with a peer. */
#define DIFFERENCES 100U

static const char *const reasons[] = {
	[COPYING_DIFFERS] = "differs",
	[COPYING_LACKING_HERE] = "is missing here",
	[COPYING_LACKING_THERE] = "is missing there",
};

static void add_differences(cJSON *json, const struct replication *x, unsigned n)
{
	cJSON *list = cJSON_AddArrayToObject(json, "not_exchanged");
	enum copying_difference why;
	struct prefix in, out;

	for (unsigned k = 0; k < DIFFERENCES && replication_difference(x, n, k, &in, &out, &why); k++) {
		cJSON *object = cJSON_CreateObject();

		json_add_prefix(object, "in", in);
		json_add_prefix(object, "out", out);
		cJSON_AddStringToObject(object, "reason", reasons[why]);
		cJSON_AddItemToArray(list, object);
	}
}

static cJSON *rule_difference(const struct copying_rule_difference *d)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "what", d->portmap ? "portmap" : "mapping");
	if (d->portmap) {
		cJSON_AddStringToObject(object, "proto", d->proto == IPPROTO_TCP ? "tcp" : "udp");
		json_add_endpoint(object, "in", d->in_at);
		json_add_endpoint(object, "out", d->out_at);
	} else {
		json_add_prefix(object, "in", d->in);
		json_add_prefix(object, "out", d->out);
	}
	if (*d->tenant)
		cJSON_AddStringToObject(object, "tenant", d->tenant);
	cJSON_AddStringToObject(object, "reason", reasons[d->why]);
	json_add_text(object, "text", *d->text ? d->text : NULL);
	cJSON_AddBoolToObject(object, "matters", d->matters);
	return object;
}

static void add_rule_differences(cJSON *json, const struct copying_differences *all)
{
	cJSON *list = cJSON_AddArrayToObject(json, "differences");

	for (uint32_t i = 0; i < all->n; i++)
		cJSON_AddItemToArray(list, rule_difference(&all->item[i]));
	json_add_u64(json, "differ", all->n_matter);
	json_add_u64(json, "differ_noted", all->n_noted);
}

static cJSON *peer_json(const struct replication *x, unsigned n)
{
	cJSON *json = cJSON_CreateObject();
	struct peer_figures f;
	char digest[17];

	replication_peer(x, n, &f);
	snprintf(digest, sizeof(digest), "%016llx", (unsigned long long)replication_digest(x));
	json_add_endpoint(json, "peer", f.peer);
	cJSON_AddStringToObject(json, "state", peer_state_name(f.state));
	json_add_text(json, "reason", *f.reason ? f.reason : NULL);
	json_add_u64(json, "sessions_sent", f.sent);
	json_add_u64(json, "sessions_received", f.received);
	json_add_u64(json, "sessions_refused", f.refused);
	json_add_u64(json, "copies", f.held);
	json_add_lag(json, &f);
	json_add_u64(json, "unsent", f.unsent);
	json_add_u64(json, "whole_copies", f.copies);
	json_add_u64(json, "overruns", f.overruns);
	cJSON_AddStringToObject(json, "mapping_digest", digest);
	json_add_u64(json, "lacking_grants", f.lacks.grants);
	json_add_u64(json, "lacking_sessions", f.lacks.sessions);
	json_add_u64(json, "contested_sessions", f.lacks.contested);
	cJSON_AddBoolToObject(json, "spoken_for", f.spoken_for);
	if (f.has_clock)
		cJSON_AddNumberToObject(json, "clock_ahead_seconds", (double)f.clock_ahead_ms / 1000);
	else
		cJSON_AddNullToObject(json, "clock_ahead_seconds");
	add_differences(json, x, n);
	add_rule_differences(json, replication_differences(x, n));
	return json;
}

int verb_peer_list(struct request *r, cJSON **ret_result, struct error *err)
{
	const struct replication *x = r->context->replication;
	cJSON *list = cJSON_CreateArray();

	for (unsigned n = 0; list && x && n < replication_peers(x); n++)
		cJSON_AddItemToArray(list, peer_json(x, n));
	*ret_result = list;
	return list ? 0 : -ENOMEM;
}

int verb_peer_resync(struct request *r, cJSON **ret_result, struct error *err)
{
	struct endpoint peer = request_arg(r, "peer")->endpoint;
	char addr[ADDR_TEXT];
	int ret = r->context->replication ? replication_resync(r->context->replication, peer) : -ENOENT;

	addr_format(peer.addr, addr);
	if (ret == -ENOTCONN)
		return error_set(err, ret, "%s:%u is down; all sessions are copied anyway once it is back", addr,
				 peer.port);
	if (ret)
		return error_set(err, ret, "%s:%u is not a peer; `detnatctl peer list` lists them", addr, peer.port);
	*ret_result = cJSON_CreateObject();
	return *ret_result ? 0 : -ENOMEM;
}
