// SPDX-License-Identifier: BSD-2-Clause
/* session list and close, user show. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/clock.h"
#include "base/virtual6.h"
#include "control/answer.h"
#include "control/handlers.h"
#include "control/request.h"
#include "sessions/bound_ports.h"
#include "sessions/sessions.h"

/* Octets gathered before they go to the client's output. */
#define LISTING_BUFFER (16U << 10)

/* ,"tenant":"…" */
#define TENANT_TEXT (LABEL_TEXT + 16)

struct listing {
	struct session_walk *walk;
	struct evbuffer *output;
	struct session_filter filter;
	const struct request *request;
	uint8_t tenant; /* of whose subscribers; 0: of all */
	uint64_t counted;
	bool count; /* only count them */
	size_t used;
	char buffer[LISTING_BUFFER];
};

static int flush(struct listing *l)
{
	int r = l->used ? evbuffer_add(l->output, l->buffer, l->used) : 0;

	l->used = 0;
	return r;
}

/* Adds the tenant at the end of a session's text, before the brace and the newline. */
static size_t add_tenant(char *end, const char *name)
{
	return *name ? (size_t)sprintf(end - 2, ",\"tenant\":\"%s\"}\n", name) - 2 : 0;
}

static int list_one(const struct session *s, void *arg)
{
	struct listing *l = arg;
	const struct config *c = l->request->context->active->config;

	if (!session_fits(&l->filter, s) || (l->tenant && l->tenant != s->tenant))
		return 0;
	l->counted++;
	if (l->count)
		return 0;
	l->used += session_text(s, &l->buffer[l->used]);
	l->used += add_tenant(&l->buffer[l->used], tenant_name(c, s->tenant));
	if (sizeof(l->buffer) - l->used >= SESSION_TEXT + TENANT_TEXT)
		return 0;
	if (flush(l))
		return -ENOMEM;
	/* 1: more to come, when the client has read some of it. */
	return evbuffer_get_length(l->output) >= REQUEST_OUTPUT_HIGH;
}

/* The configuration may be replaced between two steps. */
static int walk(struct request *r, unsigned budget_us)
{
	struct listing *l = r->state;

	l->filter.timeouts = r->context->active->config->timeouts;
	return session_walk_step(l->walk, budget_us, list_one, l);
}

static int list_step(struct request *r, cJSON **ret_result, struct error *err)
{
	struct listing *l = r->state;
	int ret = walk(r, REQUEST_SLICE_US);

	if (flush(l))
		ret = -ENOMEM;
	return ret < 0 ? error_set(err, ret, "the listing broke off: %s", strerror(-ret)) : ret;
}

static int count_step(struct request *r, cJSON **ret_result, struct error *err)
{
	struct listing *l = r->state;
	int ret = walk(r, REQUEST_COUNT_US);

	if (ret)
		return ret < 0 ? error_set(err, ret, "the sessions cannot be counted: %s", strerror(-ret)) : ret;
	*ret_result = cJSON_CreateObject();
	json_add_u64(*ret_result, "count", l->counted);
	return *ret_result ? 0 : -ENOMEM;
}

static void list_free(void *state)
{
	struct listing *l = state;

	session_walk_free(l->walk);
	free(l);
}

/* 0 or -errno, -ENOENT if the requested address is in no mapping. */
static int start_walk(const struct request *r, uint8_t tenant, struct session_walk **ret)
{
	const struct arg_value *addr = request_arg(r, "addr");
	struct mappings *m = r->context->mappings;

	return addr->given ? session_walk_new_subscriber(m, inside_place(tenant, addr->addr), ret)
			   : session_walk_new(m, ret);
}

static int refuse_list(const struct request *r, int ret, struct error *err)
{
	if (ret == -ENOENT)
		return refuse_inside(request_arg(r, "addr")->addr, ret, err);
	return error_set(err, ret, "the sessions cannot be listed: %s", strerror(-ret));
}

int verb_session_list(struct request *r, cJSON **ret_result, struct error *err)
{
	struct session_walk *walk;
	struct listing *l;
	uint8_t tenant;
	int ret = request_addr_tenant(r, &tenant, err);

	if (ret)
		return ret;
	ret = start_walk(r, tenant, &walk);
	if (ret)
		return refuse_list(r, ret, err);
	l = malloc(sizeof(*l));
	if (!l) {
		session_walk_free(walk);
		return refuse_list(r, -ENOMEM, err);
	}
	l->walk = walk;
	l->request = r;
	l->tenant = tenant;
	l->filter = (struct session_filter){
		.ext = request_arg(r, "ext"),
		.out = request_arg(r, "out"),
		.state = request_arg(r, "state"),
		.host = arg_host(request_arg(r, "addr")),
		.older = request_arg(r, "older")->number,
		.proto = (uint8_t)request_arg(r, "proto")->number,
		.all = request_arg(r, "all")->number,
	};
	l->count = request_arg(r, "count")->number;
	l->counted = 0;
	l->used = 0;
	request_run(r, l->count ? count_step : list_step, l, list_free);
	if (!l->count)
		l->output = request_stream(r);
	return 0;
}

int verb_session_close(struct request *r, cJSON **ret_result, struct error *err)
{
	struct mappings *m = r->context->mappings;
	const struct arg_value *named = request_arg(r, "endpoint");
	struct endpoint endpoint = named->endpoint, ext = request_arg(r, "ext")->endpoint;
	uint8_t proto = (uint8_t)request_arg(r, "proto")->number;
	const struct grant *grant = grants_owner(r->context->grants, endpoint.addr, endpoint.port);
	char text[INSIDE_TEXT], ext_text[INSIDE_TEXT];
	uint8_t tenant;
	int n = request_find_tenant(r, endpoint.addr, &tenant, err);

	if (n)
		return n;
	if (request_arg(r, "direction")->number == DEVICE_INSIDE && named->six_plen)
		n = sessions_close_host(m, &named->six, endpoint, ext, proto);
	else if (request_arg(r, "direction")->number == DEVICE_INSIDE)
		n = sessions_close_in(m, tenant, endpoint, ext, proto);
	else if (grant)
		n = sessions_close_granted(m, grant->in_addr, endpoint, ext, proto);
	else
		n = sessions_close_out(m, endpoint, ext, proto);
	if (n < 0 && n != -ENOENT)
		return error_set(err, n, "the session cannot be closed: %s", strerror(-n));
	if (n <= 0)
		return error_set(err, -ENOENT, "no session of %s%s%s:%u with %s:%u", named->six_plen ? "[" : "",
				 named->six_plen ? address6_text(&named->six, text) : addr_format(endpoint.addr, text),
				 named->six_plen ? "]" : "", endpoint.port, addr_format(ext.addr, ext_text), ext.port);
	*ret_result = cJSON_CreateObject();
	json_add_u64(*ret_result, "closed", (uint64_t)n);
	return *ret_result ? 0 : -ENOMEM;
}

struct user {
	uint8_t tenant;
	struct port_sessions *ports;
};

static bool add_ports_in_use(cJSON *json, const struct port_sessions *ports)
{
	cJSON *by_protocol = cJSON_AddObjectToObject(json, "ports_in_use");

	return by_protocol && json_add_u64(by_protocol, "tcp", port_sessions_ports(ports, IPPROTO_TCP)) &&
	       json_add_u64(by_protocol, "udp", port_sessions_ports(ports, IPPROTO_UDP)) &&
	       json_add_u64(by_protocol, "icmp", port_sessions_ports(ports, IPPROTO_ICMP));
}

static cJSON *user_json(const struct request *r, const struct mapping *mapping, uint32_t addr, const struct user *u)
{
	struct subscriber_figures figures = { 0 };
	struct port_block block = mapping_block(&mapping->geo, addr);
	cJSON *json = cJSON_CreateObject();

	subscriber_figures_read(r->context->mappings, inside_place(u->tenant, addr), &figures);
	json_add_inside(json, addr);
	json_add_addr(json, "out_addr", block.out_addr);
	json_add_u64(json, "port_lo", block.port_lo);
	json_add_u64(json, "port_hi", block.port_hi);
	json_add_u64(json, "sessions", figures.sessions);
	json_add_u64(json, "quota", figures.quota);
	json_add_u64(json, "quota_exceeded", figures.quota_exceeded);
	add_ports_in_use(json, u->ports);
	if (mapping->bindings.mapping)
		json_add_u64(json, "bindings", bindings_count(r->context->mappings, inside_place(u->tenant, addr)));
	json_add_grants(json, r->context->grants, mapping, inside_place(u->tenant, addr));
	json_add_limits(json, r->context->mappings, mappings_find_inside(r->context->mappings, u->tenant, addr), addr);
	if (mapping_is_ipv6(mapping))
		json_add_hosts(json, r->context->mappings, addr);
	json_add_mapping_name(json, "mapping", r->context->active->config, mapping);
	return json;
}

static int refuse_user(const struct request *r, uint8_t tenant, int ret, struct error *err)
{
	char text[INSIDE_TEXT];

	inside_text(request_arg(r, "addr")->addr, text);
	if (ret == -ENOENT && mappings_find_inside(r->context->mappings, tenant, request_arg(r, "addr")->addr) >= 0)
		return error_set(err, ret, "%s has no sessions, because of its mapping: see `detnatctl mapping list`",
				 text);
	if (ret == -ENOENT)
		return error_set(err, ret,
				 "%s is not an inside address of any mapping; `detnatctl mapping list` shows them",
				 text);
	return error_set(err, ret, "%s: %s", text, strerror(-ret));
}

static int user_step(struct request *r, cJSON **ret_result, struct error *err)
{
	const struct mappings *m = r->context->mappings;
	const struct mapping *mapping;
	struct user *u = r->state;
	uint32_t addr = request_arg(r, "addr")->addr;
	char text[INSIDE_TEXT];
	int ret, number;

	ret = port_sessions_gather(u->ports, 0, inside_place(u->tenant, addr), monotonic_us() + REQUEST_COUNT_US);
	if (ret > 0)
		return ret;
	if (ret)
		return refuse_user(r, u->tenant, ret, err);
	number = mappings_find_inside(m, u->tenant, addr);
	mapping = number < 0 ? NULL : mappings_get(m, number);
	if (!mapping || mapping->geo.out_plen == PLEN_NONE)
		return error_set(err, -ENOENT,
				 "%s no longer has ports of its own, only sessions that drain; `detnatctl session "
				 "list %s` shows them",
				 inside_text(addr, text), text);
	*ret_result = user_json(r, mapping, addr, u);
	return *ret_result ? 0 : -ENOMEM;
}

static void user_free(void *state)
{
	struct user *u = state;

	port_sessions_free(u->ports);
	free(u);
}

static int user_new(struct mappings *m, uint8_t tenant, uint32_t addr, struct user **ret)
{
	struct session_walk *walk;
	struct user *u = calloc(1, sizeof(*u));
	struct subscriber_figures figures;
	int r = u ? subscriber_figures_read(m, inside_place(tenant, addr), &figures) : -ENOMEM;

	/* An address whose mapping has no sessions is refused here. */
	if (!r)
		r = session_walk_new_subscriber(m, inside_place(tenant, addr), &walk);
	if (!r) {
		u->ports = port_sessions_new(walk);
		r = u->ports ? 0 : -ENOMEM;
	}
	if (u)
		u->tenant = tenant;
	if (!r)
		*ret = u;
	else if (u)
		user_free(u);
	return r;
}

int verb_user_show(struct request *r, cJSON **ret_result, struct error *err)
{
	struct user *u = NULL;
	uint8_t tenant;
	int ret = request_find_tenant(r, request_arg(r, "addr")->addr, &tenant, err);

	if (ret)
		return ret;
	ret = user_new(r->context->mappings, tenant, request_arg(r, "addr")->addr, &u);
	if (ret)
		return refuse_user(r, tenant, ret, err);
	request_run(r, user_step, u, user_free);
	return 0;
}
