// SPDX-License-Identifier: BSD-2-Clause
/* pool drain and restore, user move: subscribers get other outside addresses for a while. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/timestamp.h"
#include "config/pools.h"
#include "control/answer.h"
#include "control/handlers.h"
#include "tables/mapping_drains.h"

/* Seconds for which sessions may continue if neither the request nor the mapping sets a time. */
#define USUAL_DRAIN 3600U

/* The result of an edit, for the answer. */
struct moved {
	struct pool_edit edit;
	uint32_t out;
	uint32_t portmaps;	 /* moved or deleted */
	char tenant[LABEL_TEXT]; /* of the subscriber that is moved */
};

#define PORTMAPS_ADVICE                                                                      \
	"--portmaps move gives them the same ports of the new addresses, --portmaps delete " \
	"ends them"

/*
 * Addresses of mappings in the tables, whether the configuration has them or not. One that drains from the very
 * subscribers in question would be taken into use again.
 */
static enum pool_use use_of_tables(struct prefix out, const char *tenant, struct prefix in, void *arg)
{
	const struct request *r = arg;
	const struct parts *a = r->context;
	const struct mappings *m = a->mappings;
	enum pool_use use = POOL_FREE;

	for (int number = 0; number < (int)MAX_MAPPINGS && use != POOL_WHOLE; number++) {
		const struct mapping *record = mappings_get(m, number);
		const struct geometry *g = record ? &record->geo : NULL;

		if (!g || !prefixes_overlap(geometry_out(g), out))
			continue;
		if (prefix_count(out) == g->last_out + 1ULL && prefix_equal(in, geometry_in(g)) &&
		    !strcmp(mappings_tenant_name(m, record->tenant), tenant) && mappings_is_retired(m, number))
			continue;
		use = prefix_within(out, geometry_out(g)) ? POOL_WHOLE : POOL_IN_PART;
	}
	/* Addresses that have just drained are not free either. */
	if (use == POOL_FREE) {
		const struct geometry plain = { 0 };
		const struct config_rest *rest = config_find_rest(a->active->config, tenant, in, out, &plain);

		if (rest)
			use = prefix_within(out, rest->out) ? POOL_WHOLE : POOL_IN_PART;
	}
	return use;
}

static struct pool_users users_of(struct request *r)
{
	return (struct pool_users){ use_of_tables, r };
}

/* Sets how long sessions drain, from the request or the mapping; known: the mapping's. */
static void set_drain(struct request *r, uint32_t known)
{
	const struct arg_value *drain = request_arg(r, "drain");

	r->options = (struct change_options){
		.drain_given = true,
		.drain = drain->given ? drain->number
			 : known      ? known
				      : USUAL_DRAIN,
	};
}

static int begin(struct request *r, uint32_t known_drain, change_edit edit, request_answer answer, struct error *err)
{
	r->state = calloc(1, sizeof(struct moved));
	r->state_free = free;
	if (!r->state)
		return error_set(err, -ENOMEM, "out of memory");
	set_drain(r, known_drain);
	return request_change(r, edit, answer, err);
}

/* Adapts portmaps as the request says. */
static int take_portmaps(struct request *r, struct config *c, struct error *err)
{
	struct moved *moved = r->state;

	return pool_portmaps(c, request_arg(r, "portmaps")->number, PORTMAPS_ADVICE, &moved->portmaps, err);
}

static cJSON *answer_pool(struct request *r)
{
	const struct moved *moved = r->state;
	cJSON *json = cJSON_CreateObject();

	json_add_prefix(json, "out", request_arg(r, "out")->prefix);
	json_add_u64(json, "addresses", moved->edit.addresses);
	json_add_u64(json, "subscribers", moved->edit.subscribers);
	json_add_u64(json, "mappings", moved->edit.mappings);
	json_add_u64(json, "drain", r->options.drain);
	json_add_u64(json, "portmaps", moved->portmaps);
	return json;
}

static cJSON *answer_drained(struct request *r)
{
	const struct config_mapping *m = pool_find(r->context->active->config, request_arg(r, "out")->prefix);
	const struct arg_value *to = request_arg(r, "to");
	cJSON *json = answer_pool(r);

	if (m)
		answer_add_warnings(r->context, json, m->in, to->given ? to->prefix : PREFIX_NONE);
	return json;
}

static int edit_drain(struct config *c, void *arg, struct error *err)
{
	struct request *r = arg;
	struct moved *moved = r->state;
	const struct arg_value *to = request_arg(r, "to");
	const struct pool_users users = users_of(r);
	int ret = pool_drain(c, request_arg(r, "out")->prefix, to->given ? &to->prefix : NULL, r->options.drain, &users,
			     &moved->edit, err);

	return ret ? ret : take_portmaps(r, c, err);
}

int verb_pool_drain(struct request *r, cJSON **ret_result, struct error *err)
{
	const struct config_mapping *m = pool_find(r->context->active->config, request_arg(r, "out")->prefix);

	return begin(r, m ? m->drain : 0, edit_drain, answer_drained, err);
}

static int edit_restore(struct config *c, void *arg, struct error *err)
{
	struct request *r = arg;
	struct moved *moved = r->state;
	int ret = pool_restore(c, request_arg(r, "out")->prefix, &moved->edit, err);

	return ret ? ret : take_portmaps(r, c, err);
}

int verb_pool_restore(struct request *r, cJSON **ret_result, struct error *err)
{
	uint32_t drain = pool_restore_drain(r->context->active->config, request_arg(r, "out")->prefix);

	return begin(r, drain, edit_restore, answer_pool, err);
}

static int edit_move(struct config *c, void *arg, struct error *err)
{
	struct request *r = arg;
	struct moved *moved = r->state;
	const struct arg_value *until = request_arg(r, "until"), *name = request_arg(r, "name");
	const struct pool_users users = users_of(r);
	struct user_move move = {
		.addr = request_arg(r, "addr")->addr,
		.out = request_arg(r, "out")->prefix,
		.drain = r->options.drain,
		.until = until->given ? until->time : 0,
		.name = name->given ? name->text : NULL,
	};
	char text[TIME_TEXT];
	int ret;

	if (until->given && until->time <= time(NULL))
		return error_set(err, -EINVAL, "--until: %s is past", time_format(until->time, text));
	ret = request_config_holder(r, c, move.addr, &move.tenant, err);
	if (ret)
		return ret;
	snprintf(moved->tenant, sizeof(moved->tenant), "%s", move.tenant);
	move.tenant = moved->tenant;
	ret = user_move(c, &move, &users, &moved->out, err);
	return ret ? ret
		   : pool_portmaps(c, PORTMAPS_IN_THE_WAY,
				   "`detnatctl portmap del` with a name, or a protocol and port, ends each",
				   &moved->portmaps, err);
}

static cJSON *answer_moved(struct request *r)
{
	const struct moved *moved = r->state;
	const struct config_mapping *m = config_find_inside_of(r->context->active->config, moved->tenant,
							       (struct prefix){ request_arg(r, "addr")->addr, 32 });
	cJSON *json = cJSON_CreateObject();
	char text[TIME_TEXT];

	json_add_inside(json, request_arg(r, "addr")->addr);
	if (*moved->tenant)
		cJSON_AddStringToObject(json, "tenant", moved->tenant);
	json_add_addr(json, "out_addr", moved->out);
	json_add_text(json, "mapping", m ? m->name : NULL);
	json_add_text(json, "until", m && m->until ? time_format(m->until, text) : NULL);
	json_add_u64(json, "drain", r->options.drain);
	answer_add_warnings(r->context, json, (struct prefix){ request_arg(r, "addr")->addr, 32 },
			    (struct prefix){ moved->out, 32 });
	return json;
}

int verb_user_move(struct request *r, cJSON **ret_result, struct error *err)
{
	const struct config *c = r->context->active->config;
	const struct config_mapping *m = NULL;
	const char *tenant;
	struct error why;

	/* The edit refuses the others. */
	if (!request_config_holder(r, c, request_arg(r, "addr")->addr, &tenant, &why))
		m = config_mapping_of_tenant(c, tenant, request_arg(r, "addr")->addr);
	return begin(r, m ? m->drain : 0, edit_move, answer_moved, err);
}
