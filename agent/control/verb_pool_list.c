// SPDX-License-Identifier: BSD-2-Clause
/* pool list: outside addresses, each or in ranges. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attacks/attacks.h"
#include "base/json_scan.h"
#include "control/handlers.h"
#include "sessions/pool_states.h"
#include "tables/grant_table.h"

/* A pool with more addresses is shown in ranges. */
#define EACH_ADDRESS 256U

struct pool_listing {
	struct pool_states *states;
	const struct parts *parts;
	bool each;		   /* no ranges */
	struct pool_address first; /* of the present line; pool NULL: none */
	uint64_t n;		   /* addresses on it */
	struct evbuffer *output;
	const struct grants *grants;
	const struct attacks *attacks;
	uint64_t rate; /* packets of strangers a second to the addresses of the present line */
	bool counted;
	bool attacked; /* the present line is one address, which is attacked */
};

static void listing_free(void *state)
{
	struct pool_listing *l = state;

	pool_states_free(l->states);
	free(l);
}

static bool same_mapping(const struct pool *a, const struct pool *b)
{
	return prefix_equal(a->in, b->in) && a->of.base == b->of.base;
}

/* Whether an address continues the present line; one that is attacked has its own. */
static bool joins(const struct pool_listing *l, const struct pool_address *next, bool attacked)
{
	bool in_ranges = next->pool->number < 0 || prefix_count(next->pool->out) > EACH_ADDRESS;

	return l->first.pool && in_ranges && !l->each && !attacked && !l->attacked && l->first.state == next->state &&
	       same_mapping(l->first.pool, next->pool) && l->first.addr + l->n == next->addr;
}

/* Granted blocks of a single address, if it has any, or could have. */
static void add_granted(cJSON *json, const struct pool_listing *l)
{
	const struct grants *g = l->grants;
	uint32_t n = 0;

	if (!g || l->n != 1)
		return;
	for (const struct grant *i = grants_on(g, l->first.addr, NULL); i; i = grants_on(g, l->first.addr, i))
		n += i->state == GRANT_OPEN || i->state == GRANT_CLOSED;
	if (n || grants_none_left(g, l->first.addr))
		json_add_u64(json, "granted_blocks", n);
	if (grants_none_left(g, l->first.addr))
		cJSON_AddBoolToObject(json, "no_block_left", true);
}

static int write_line(struct pool_listing *l)
{
	const struct pool_address *a = &l->first;
	_cleanup_json_ cJSON *json = cJSON_CreateObject();
	_cleanup_free_ char *text = NULL;
	const char *tenant;

	if (!a->pool)
		return 0;
	tenant = mappings_tenant_name(l->parts->mappings, a->pool->tenant);
	json_add_addr(json, "addr", a->addr);
	json_add_addr(json, "last", (uint32_t)(a->addr + l->n - 1));
	json_add_u64(json, "addresses", l->n);
	cJSON_AddStringToObject(json, "state", pool_state_texts[a->state]);
	json_add_u64(json, "subscribers", a->subscribers);
	json_add_u64(json, "sessions", a->sessions);
	if (l->counted) {
		json_add_u64(json, "packets_per_second", l->rate);
		cJSON_AddBoolToObject(json, "attacked", l->attacked);
	}
	add_granted(json, l);
	json_add_name(json, "mapping", a->pool->name);
	if (*tenant)
		cJSON_AddStringToObject(json, "tenant", tenant);
	json_add_prefix(json, "in", a->pool->in);
	json_add_prefix(json, "out", a->pool->of);
	text = json ? cJSON_PrintUnformatted(json) : NULL;
	l->first.pool = NULL;
	return text && evbuffer_add_printf(l->output, "%s\n", text) >= 0 ? 0 : -ENOMEM;
}

static int list_address(struct pool_listing *l, const struct pool_address *next)
{
	bool attacked = false, counted;
	uint64_t rate = 0;

	counted = next->pool->number >= 0 && attacks_rate(l->attacks, next->pool->number, next->addr, &rate, &attacked);
	if (joins(l, next, attacked)) {
		l->n++;
		l->rate += rate;
		l->first.subscribers += next->subscribers;
		l->first.sessions += next->sessions;
		return 0;
	}
	if (write_line(l))
		return -ENOMEM;
	l->first = *next;
	l->n = 1;
	l->rate = rate;
	l->counted = counted;
	l->attacked = attacked;
	return 0;
}

/* 1: more to come, when the client has read some of it. */
static int list_step(struct request *r, cJSON **ret_result, struct error *err)
{
	struct pool_listing *l = r->state;
	const uint64_t until = monotonic_us() + REQUEST_SLICE_US;
	struct pool_address next;
	int ret = 0;

	while (!ret && pool_states_next(l->states, &next)) {
		ret = list_address(l, &next);
		if (!ret && (monotonic_us() >= until || evbuffer_get_length(l->output) >= REQUEST_OUTPUT_HIGH))
			return 1;
	}
	if (!ret)
		ret = write_line(l);
	return ret ? error_set(err, ret, "the listing broke off: out of memory") : 0;
}

int verb_pool_list(struct request *r, cJSON **ret_result, struct error *err)
{
	const struct arg_value *within = request_arg(r, "prefix");
	struct pool_listing *l = calloc(1, sizeof(*l));
	int ret = l ? pool_states_new(r->context->mappings, r->context->active->config,
				      within->given ? &within->prefix : NULL, &l->states)
		    : -ENOMEM;
	char text[ADDR_TEXT];

	if (ret) {
		free(l);
		return ret == -ENOENT
			       ? error_set(err, ret, "%s contains no pool address; `detnatctl pool list` shows them",
					   prefix_text(within->prefix, text))
			       : error_set(err, ret, "the agent is out of memory");
	}
	l->parts = r->context;
	l->each = within->given;
	l->grants = r->context->grants;
	l->attacks = r->context->attacks;
	l->output = request_stream(r);
	request_run(r, list_step, l, listing_free);
	return 0;
}
