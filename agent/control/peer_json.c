/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/peer_json.h"

void json_add_lag(cJSON *json, const struct peer_figures *f)
{
	uint64_t hundredths = f->lag_ms / 10;

	if (f->has_lag)
		cJSON_AddNumberToObject(json, "lag_seconds", (double)hundredths / 100);
	else
		cJSON_AddNullToObject(json, "lag_seconds");
}

void json_add_replication(cJSON *json, const struct replication *x)
{
	unsigned n[N_PEER_STATES] = { 0 };
	struct peer_figures longest = { 0 };
	cJSON *object;

	if (!replication_enabled(x)) {
		cJSON_AddNullToObject(json, "replication");
		return;
	}
	object = cJSON_AddObjectToObject(json, "replication");
	for (unsigned i = 0; i < replication_peers(x); i++) {
		struct peer_figures f;

		replication_peer(x, i, &f);
		n[f.state]++;
		if (f.has_lag && f.lag_ms >= longest.lag_ms)
			longest = f;
	}
	json_add_u64(object, "peers", replication_peers(x));
	for (unsigned state = 0; state < N_PEER_STATES; state++)
		json_add_u64(object, peer_state_name(state), n[state]);
	json_add_lag(object, &longest);
	json_add_u64(object, "memory_bytes", replication_memory(x));
}

void json_add_owners(cJSON *json, const struct replication *x, uint32_t in_addr)
{
	struct copying_subscriber s;
	cJSON *object, *list;

	if (replication_subscriber(x, in_addr, &s))
		return;
	object = cJSON_AddObjectToObject(json, "replication");
	json_add_u64(object, "own", s.own);
	list = cJSON_AddArrayToObject(object, "copies");
	for (unsigned i = 0; i < replication_peers(x); i++) {
		struct peer_figures f;
		cJSON *one;

		replication_peer(x, i, &f);
		if (f.number > COPYING_PEERS || !s.copies[f.number])
			continue;
		one = cJSON_CreateObject();
		json_add_endpoint(one, "peer", f.peer);
		json_add_u64(one, "sessions", s.copies[f.number]);
		cJSON_AddItemToArray(list, one);
	}
}
