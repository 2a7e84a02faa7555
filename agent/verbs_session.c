// SPDX-License-Identifier: BSD-2-Clause
/* session list and close, user show. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "verbs.h"

static const char *proto_name(uint8_t proto)
{
	return proto == IPPROTO_TCP ? "tcp" : proto == IPPROTO_UDP ? "udp" : "icmp";
}

/* Printed by hand: a listing may have millions of lines. */
static int list_one(const struct session *s, void *arg)
{
	struct request *r = arg;
	const struct arg_value *proto = request_arg(r, "proto");
	char in[ADDR_TEXT], out[ADDR_TEXT], ext[ADDR_TEXT];

	if ((proto->given && proto->number != s->proto) || (!s->counts && !request_arg(r, "all")->number))
		return 0;
	if (evbuffer_add_printf(
		    r->stream,
		    "{\"proto\":\"%s\",\"in_addr\":\"%s\",\"in_port\":%u,\"out_addr\":\"%s\",\"out_port\":%u,"
		    "\"ext_addr\":\"%s\",\"ext_port\":%u,\"state\":\"%s\",\"expires\":%u}\n",
		    proto_name(s->proto), addr_format(s->in_addr, in), s->in_port, addr_format(s->out_addr, out),
		    s->out_port, addr_format(s->ext_addr, ext), s->ext_port, session_state_name(s->state),
		    s->expires) < 0)
		return -ENOMEM;
	return 0;
}

static int list_step(struct request *r, cJSON **ret_result, struct error *err)
{
	int ret = session_walk_step(r->state, REQUEST_SLICE_US, list_one, r);

	return ret < 0 ? error_set(err, ret, "the listing broke off: %s", strerror(-ret)) : ret;
}

static void list_free(void *state)
{
	session_walk_free(state);
}

int verb_session_list(struct request *r, cJSON **ret_result, struct error *err)
{
	const struct arg_value *addr = request_arg(r, "addr");
	struct session_walk *walk;
	char text[ADDR_TEXT];
	int ret;

	if (addr->given)
		ret = session_walk_new_subscriber(r->agent->mappings, addr->addr, &walk);
	else
		ret = session_walk_new(r->agent->mappings, &walk);
	if (ret == -ENOENT)
		return error_set(err, ret, "%s is inside no mapping", addr_format(addr->addr, text));
	if (ret)
		return error_set(err, ret, "the sessions cannot be listed: %s", strerror(-ret));
	request_run(r, list_step, walk, list_free);
	request_stream(r);
	return 0;
}

int verb_session_close(struct request *r, cJSON **ret_result, struct error *err)
{
	struct mappings *m = r->agent->mappings;
	struct endpoint endpoint = request_arg(r, "endpoint")->endpoint, ext = request_arg(r, "ext")->endpoint;
	uint8_t proto = (uint8_t)request_arg(r, "proto")->number;
	char text[ADDR_TEXT], ext_text[ADDR_TEXT];
	int n;

	if (request_arg(r, "direction")->number == DEVICE_INSIDE)
		n = sessions_close_in(m, endpoint, ext, proto);
	else
		n = sessions_close_out(m, endpoint, ext, proto);
	if (n < 0 && n != -ENOENT)
		return error_set(err, n, "the session cannot be closed: %s", strerror(-n));
	if (n <= 0)
		return error_set(err, -ENOENT, "no session of %s:%u with %s:%u", addr_format(endpoint.addr, text),
				 endpoint.port, addr_format(ext.addr, ext_text), ext.port);
	*ret_result = cJSON_CreateObject();
	json_add_u64(*ret_result, "closed", (uint64_t)n);
	return *ret_result ? 0 : -ENOMEM;
}

int verb_user_show(struct request *r, cJSON **ret_result, struct error *err)
{
	struct mappings *m = r->agent->mappings;
	uint32_t addr = request_arg(r, "addr")->addr;
	int number = mappings_find_inside(m, addr);
	struct subscriber_figures figures;
	struct port_block block;
	char text[ADDR_TEXT];
	cJSON *json;
	int ret;

	if (number < 0)
		return error_set(err, -ENOENT, "%s is inside no mapping", addr_format(addr, text));
	ret = sessions_subscriber(m, addr, &figures);
	if (ret)
		return error_set(err, ret, "%s: %s", addr_format(addr, text), strerror(-ret));
	block = mapping_forward(&mappings_get(m, number)->geo, addr);
	json = cJSON_CreateObject();
	json_add_addr(json, "in_addr", addr);
	json_add_addr(json, "out_addr", block.out_addr);
	json_add_u64(json, "port_lo", block.port_lo);
	json_add_u64(json, "port_hi", block.port_hi);
	json_add_u64(json, "sessions", figures.sessions);
	json_add_u64(json, "quota", figures.quota);
	json_add_u64(json, "quota_exceeded", figures.quota_exceeded);
	*ret_result = json;
	return json ? 0 : -ENOMEM;
}
