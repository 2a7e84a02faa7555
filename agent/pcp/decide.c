/* SPDX-License-Identifier: BSD-2-Clause */
#include "pcp/decide.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "tables/portmap_table.h"

/* Ports of a group: sessions that miss their first choice look here first, see <detnat/slots.h>. */
#define GROUP_PORTS 8U
/* Ports of a block that are tried for one request. */
#define MAX_TRIES 2048U

/* One request being carried out. */
struct errand {
	const struct pcp_desk *desk;
	const struct pcp_request *request;
	uint32_t in_addr; /* of the subscriber */
	uint64_t now_s;
	uint32_t error_lifetime; /* of an error with a known end; 0: the usual one */
	enum pcp_source source;	 /* other than taken: no answer, whatever the result */
	struct pcp_assigned assigned;
};

static struct endpoint inside(const struct errand *e)
{
	return (struct endpoint){ e->in_addr, e->request->in_port };
}

/* The granted lifetime (section 15). */
static uint32_t granted(const struct errand *e)
{
	const struct config_pcp *rules = e->desk->rules;
	uint32_t wanted = e->request->lifetime;

	return wanted < rules->lifetime_min   ? rules->lifetime_min
	       : wanted > rules->lifetime_max ? rules->lifetime_max
					      : wanted;
}

static uint32_t remaining(const struct errand *e, const struct pcp_lease *l)
{
	if (l->fixed)
		return e->desk->rules->lifetime_max;
	return l->expires_s > e->now_s ? (uint32_t)(l->expires_s - e->now_s) : 1;
}

/* Another client, or this one after it lost its nonce: the error lasts as long as the lease (section 11.3). */
static enum pcp_result refuse_stranger(struct errand *e, const struct pcp_lease *l)
{
	e->error_lifetime = remaining(e, l);
	return PCP_NOT_AUTHORIZED;
}

static bool knows_nonce(const struct errand *e, const struct pcp_lease *l)
{
	return !memcmp(l->nonce, e->request->nonce, PCP_NONCE);
}

static bool suggests(const struct pcp_request *r)
{
	return r->suggested_port || r->suggested_addr || r->suggests_ipv6;
}

/* Whether an outside endpoint matches the client's suggestion, as far as there is one. */
static bool is_suggested(const struct pcp_request *r, struct endpoint out)
{
	return !r->suggests_ipv6 && (!r->suggested_addr || r->suggested_addr == out.addr) &&
	       (!r->suggested_port || r->suggested_port == out.port);
}

static enum pcp_result assign(struct errand *e, struct endpoint out, uint32_t lifetime)
{
	e->assigned = (struct pcp_assigned){ .lifetime = lifetime, .addr = out.addr, .port = out.port };
	return PCP_SUCCESS;
}

/* Whether an outside endpoint belongs neither to a lease or portmap nor to another inside port of the subscriber. */
static bool is_free(const struct errand *e, const struct held_ports *held, struct endpoint out)
{
	return !held_port(held, out.port) && !e->desk->table->taken(e->desk->arg, e->request->proto, out);
}

/* The planned port, the others of its group, then the rest of the block. */
static int find_port(const struct errand *e, const struct held_ports *held, const struct port_block *block,
		     struct endpoint *ret_out)
{
	uint32_t n = block->port_hi - block->port_lo + 1U, first = e->request->in_port % n, tries = 0;
	uint32_t group = first & ~(GROUP_PORTS - 1);

	for (uint32_t i = 0; i < GROUP_PORTS; i++) {
		uint32_t offset = first ^ i;
		struct endpoint out = { block->out_addr, (uint16_t)(block->port_lo + offset) };

		if (offset < n && is_free(e, held, out)) {
			*ret_out = out;
			return 0;
		}
	}
	for (uint32_t i = GROUP_PORTS; i < n && tries < MAX_TRIES; i++, tries++) {
		struct endpoint out = { block->out_addr, (uint16_t)(block->port_lo + (group + i) % n) };

		if (is_free(e, held, out)) {
			*ret_out = out;
			return 0;
		}
	}
	return -ENOSPC;
}

static enum pcp_result choose(const struct errand *e, struct endpoint *ret_out)
{
	const struct pcp_request *r = e->request;
	struct held_ports held;
	struct port_block block;
	struct endpoint out;

	if (e->desk->table->subscriber(e->desk->arg, e->in_addr, &block))
		return PCP_NETWORK_FAILURE;
	e->desk->table->held(e->desk->arg, r->proto, inside(e), &held);
	out = (struct endpoint){ block.out_addr, held.own };
	/* The inside port keeps the port that it already has for all destinations (RFC 4787 REQ-1). */
	if (held.own && is_free(e, &held, out)) {
		if (r->prefer_failure && !is_suggested(r, out))
			return PCP_CANNOT_PROVIDE_EXTERNAL;
		*ret_out = out;
		return PCP_SUCCESS;
	}
	out.port = r->suggested_port;
	if (r->suggested_port >= block.port_lo && r->suggested_port <= block.port_hi && is_suggested(r, out) &&
	    is_free(e, &held, out)) {
		*ret_out = out;
		return PCP_SUCCESS;
	}
	/* An address alone may be suggested. */
	if (r->prefer_failure && suggests(r) && (r->suggested_port || !is_suggested(r, out)))
		return PCP_CANNOT_PROVIDE_EXTERNAL;
	return find_port(e, &held, &block, ret_out) ? PCP_NO_RESOURCES : PCP_SUCCESS;
}

static bool wants_filters(const struct pcp_request *r)
{
	return r->filters.n || r->too_many_filters;
}

/* Section 13.3: adds the filters of a request to those of the lease, unless it removes these first. */
static enum pcp_result set_filters(const struct pcp_request *r, struct pcp_lease *l)
{
	struct portmap_filters f = { 0 };

	if (r->too_many_filters)
		return PCP_EXCESSIVE_REMOTE_PEERS;
	if (!r->clears_filters)
		f = l->filters;
	for (uint32_t i = 0; i < r->filters.n; i++) {
		const struct portmap_filter *one = &r->filters.filter[i];

		if (!portmap_filters_add(&f, one->addr, one->plen, one->port))
			return PCP_EXCESSIVE_REMOTE_PEERS;
	}
	l->filters = f;
	return PCP_SUCCESS;
}

static enum pcp_result store(struct errand *e, struct pcp_lease *l)
{
	uint32_t lifetime = granted(e);
	enum pcp_result result = set_filters(e->request, l);

	if (result)
		return result;
	l->expires_s = e->now_s + lifetime;
	if (e->desk->table->put(e->desk->arg, l))
		return PCP_NO_RESOURCES;
	return assign(e, l->out, lifetime);
}

static enum pcp_result renew(struct errand *e, struct pcp_lease *l)
{
	/* Stores nothing for a client whose port the operator has mapped already; it may keep any nonce. */
	if (!l->fixed && !knows_nonce(e, l))
		return refuse_stranger(e, l);
	if (e->request->prefer_failure && !is_suggested(e->request, l->out))
		return PCP_CANNOT_PROVIDE_EXTERNAL;
	if (!l->fixed)
		return store(e, l);
	return wants_filters(e->request) ? PCP_EXCESSIVE_REMOTE_PEERS : assign(e, l->out, granted(e));
}

static enum pcp_result grant(struct errand *e)
{
	const struct pcp_table *t = e->desk->table;
	struct pcp_lease l = { .proto = e->request->proto, .in = inside(e) };
	unsigned count = t->count(e->desk->arg, e->in_addr);
	enum pcp_result result;

	if (count >= e->desk->rules->max_per_subscriber)
		return PCP_USER_EX_QUOTA;
	if (!t->has_room(e->desk->arg, count))
		return PCP_NO_RESOURCES;
	if (e->desk->source)
		e->source = e->desk->source(e->desk->source_arg);
	if (e->source != PCP_SOURCE_TAKEN)
		return PCP_NOT_AUTHORIZED;
	result = choose(e, &l.out);
	if (result)
		return result;
	memcpy(l.nonce, e->request->nonce, PCP_NONCE);
	return store(e, &l);
}

/* Section 15.1. */
static enum pcp_result give_up(struct errand *e)
{
	const struct pcp_request *r = e->request;
	const struct pcp_table *t = e->desk->table;
	struct pcp_lease l;

	e->assigned = (struct pcp_assigned){ .as_requested = true };
	if (!r->in_port)
		return t->del_all(e->desk->arg, e->in_addr, r->proto, r->nonce) < 0 ? PCP_NOT_AUTHORIZED : PCP_SUCCESS;
	/* A repeated deletion succeeds, too. */
	if (t->find(e->desk->arg, r->proto, inside(e), &l))
		return PCP_SUCCESS;
	if (l.fixed)
		return PCP_NOT_AUTHORIZED;
	if (!knows_nonce(e, &l))
		return refuse_stranger(e, &l);
	return t->del(e->desk->arg, &l) ? PCP_NETWORK_FAILURE : PCP_SUCCESS;
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP;
}

static bool is_open(const struct errand *e)
{
	return e->desk->table->open(e->desk->arg, e->in_addr);
}

/* Of an open mapping: all ports of all protocols lead to the client unchanged, so nothing is stored, nor ended. */
static enum pcp_result answer_open(struct errand *e, uint32_t lifetime)
{
	struct endpoint out = { .port = e->request->in_port };
	struct port_block block;

	if (e->desk->table->subscriber(e->desk->arg, e->in_addr, &block))
		return PCP_NETWORK_FAILURE;
	out.addr = block.out_addr;
	if (e->request->prefer_failure && !is_suggested(e->request, out))
		return PCP_CANNOT_PROVIDE_EXTERNAL;
	return wants_filters(e->request) ? PCP_EXCESSIVE_REMOTE_PEERS : assign(e, out, lifetime);
}

static enum pcp_result answer_map(struct errand *e)
{
	const struct pcp_request *r = e->request;
	struct pcp_lease l;

	if (is_open(e))
		return r->lifetime ? answer_open(e, granted(e)) : PCP_NOT_AUTHORIZED;
	if (!r->lifetime)
		return give_up(e);
	/* All protocols, or all ports of one, would include ports of other subscribers. */
	if (!has_ports(r->proto) || !r->in_port)
		return PCP_UNSUPP_PROTOCOL;
	if (!e->desk->table->find(e->desk->arg, r->proto, inside(e), &l))
		return renew(e, &l);
	return grant(e);
}

/* Opens nothing: a session begins with a packet of the subscriber's (section 12.3 leaves this to the server). */
static enum pcp_result answer_peer(struct errand *e)
{
	const struct pcp_request *r = e->request;
	const struct pcp_table *t = e->desk->table;
	struct endpoint ext = { r->peer_addr, r->peer_port }, out;
	struct pcp_lease l;
	uint32_t left;

	if (!has_ports(r->proto))
		return PCP_UNSUPP_PROTOCOL;
	if (is_open(e))
		return answer_open(e, granted(e));
	/* Ignores the suggestion if the session exists. */
	if (!t->session(e->desk->arg, r->proto, inside(e), ext, &out, &left))
		return assign(e, out, left);
	/* Packets from a leased endpoint leave through the lease. */
	if (t->find(e->desk->arg, r->proto, inside(e), &l))
		return PCP_NO_RESOURCES;
	/* Answers from this peer are dropped. */
	if (l.filters.n && !portmap_filters_match(&l.filters, ext.addr, ext.port))
		return PCP_NO_RESOURCES;
	if (suggests(r) && !is_suggested(r, l.out))
		return PCP_CANNOT_PROVIDE_EXTERNAL;
	return assign(e, l.out, remaining(e, &l));
}

static bool is_served(const struct pcp_desk *d, uint32_t source)
{
	struct port_block block;

	return !d->table->subscriber(d->arg, source, &block);
}

static enum pcp_result carry_out(struct errand *e)
{
	if (e->request->opcode == PCP_ANNOUNCE)
		return PCP_SUCCESS;
	if (e->request->has_third_party) {
		e->in_addr = e->request->third_party;
		if (!is_served(e->desk, e->in_addr))
			return PCP_NOT_AUTHORIZED;
	}
	return e->request->opcode == PCP_MAP ? answer_map(e) : answer_peer(e);
}

/* Whether a source may act for others with the option THIRD_PARTY. */
static bool may_act_for_others(const struct config_pcp *rules, uint32_t source)
{
	for (uint32_t i = 0; i < rules->n_third_party; i++)
		if (prefix_holds(rules->third_party[i], source))
			return true;
	return false;
}

bool pcp_is_client(const struct pcp_desk *d, uint32_t source)
{
	return is_served(d, source) || may_act_for_others(d->rules, source);
}

/* Without a subscriber of its own, a source can only act for others. */
static bool names_subscriber(const struct pcp_desk *d, const struct pcp_request *r, uint32_t source)
{
	return r->opcode == PCP_ANNOUNCE || r->has_third_party || is_served(d, source);
}

size_t pcp_answer(const struct pcp_desk *d, const uint8_t *data, size_t size, uint32_t source, uint32_t epoch,
		  uint64_t now_s, uint8_t out[static PCP_MAX_MESSAGE], struct pcp_outcome *ret_outcome)
{
	struct pcp_request request;
	struct errand e = { .desk = d, .request = &request, .in_addr = source, .now_s = now_s };
	enum pcp_result result;
	int parsed;

	if (!pcp_is_client(d, source))
		return 0;
	parsed = pcp_parse(data, size, source, may_act_for_others(d->rules, source), &request);
	if (parsed < 0)
		return 0;
	result = (enum pcp_result)parsed;
	if (!result)
		result = names_subscriber(d, &request, source) ? carry_out(&e) : PCP_NOT_AUTHORIZED;
	*ret_outcome = (struct pcp_outcome){ data[1], result, e.source };
	if (e.source != PCP_SOURCE_TAKEN)
		return 0;
	if (!result)
		return pcp_success(data, size, &request, &e.assigned, epoch, out);
	return pcp_error(data, size, result, !parsed, e.error_lifetime ? e.error_lifetime : pcp_error_lifetime(result),
			 epoch, out);
}
