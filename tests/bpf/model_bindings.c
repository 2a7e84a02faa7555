// SPDX-License-Identifier: BSD-2-Clause
/* One outside port for all destinations (RFC 4787 REQ-1), and who may send to it (REQ-8). */
#include "model.h"

#define GROUP 8U

unsigned model_protocol(uint8_t proto)
{
	return proto == 1 ? MODEL_ICMP : proto == 6 ? MODEL_TCP : proto == 17 ? MODEL_UDP : 0;
}

bool model_has_one_port(const struct model *model, uint32_t in_addr, uint8_t proto)
{
	const struct model_mapping *m = model_inside(model, in_addr);

	return m && m->one_port & model_protocol(proto);
}

bool model_lets_anyone(const struct model *model, uint32_t in_addr, uint8_t proto)
{
	const struct model_mapping *m = model_inside(model, in_addr);

	return m && m->anyone & model_protocol(proto);
}

static double life(uint8_t proto)
{
	return proto == 17 ? 300 : proto == 6 ? 240 : 60;
}

static struct model_binding *find(struct model *model, uint32_t in_addr, uint16_t port, uint8_t proto, bool by_out)
{
	for (size_t i = 0; i < model->n_bindings; i++) {
		struct model_binding *b = &model->binding[i];

		if (b->in_addr == in_addr && b->proto == proto && (by_out ? b->out_port : b->in_port) == port)
			return b;
	}
	return NULL;
}

struct model_binding *model_binding_in(struct model *model, uint32_t in_addr, uint16_t in_port, uint8_t proto)
{
	return find(model, in_addr, in_port, proto, false);
}

struct model_binding *model_binding_out(struct model *model, uint32_t in_addr, uint16_t out_port, uint8_t proto)
{
	return find(model, in_addr, out_port, proto, true);
}

static bool is_session_of(const struct model_session *s, const struct model_binding *b)
{
	return s->in_addr == b->in_addr && s->in_port == b->in_port && s->out_port == b->out_port &&
	       s->proto == b->proto;
}

static bool has_session(const struct model *model, const struct model_binding *b)
{
	for (size_t i = 0; i < model->n; i++) {
		const struct model_session *s = &model->session[i];

		if (is_session_of(s, b) && model_counts(model, s))
			return true;
	}
	return false;
}

bool model_binding_is_fresh(const struct model *model, const struct model_binding *b)
{
	return model->now <= b->opened + life(b->proto);
}

bool model_binding_holds(const struct model *model, const struct model_binding *b)
{
	return model_binding_is_fresh(model, b) || has_session(model, b);
}

bool model_binding_may_hold(const struct model *model, const struct model_binding *b)
{
	return model->now <= b->used + life(b->proto) || model_binding_holds(model, b);
}

/* Of a granted port, whose sessions cannot be searched for, no other endpoint gets it for half a lifetime more. */
static bool is_kept(const struct model *model, const struct model_binding *b)
{
	return model_grant_opens(model, b->in_addr, b->out_port) && model->now <= b->used + 1.5 * life(b->proto);
}

/* A port that a session of time-wait still stands on may not be had either. */
bool model_port_is_bound(struct model *model, uint32_t in_addr, uint16_t port, uint8_t proto)
{
	struct model_binding *b = model_binding_out(model, in_addr, port, proto);

	if (!port || model_portmap_out(model, model_outside_of(model, in_addr), port, proto))
		return true;
	if (b && (model_binding_may_hold(model, b) || is_kept(model, b)))
		return true;
	for (size_t i = 0; i < model->n; i++) {
		const struct model_session *s = &model->session[i];

		if (s->in_addr == in_addr && s->out_port == port && s->proto == proto && !model_expired(model, s))
			return true;
	}
	return false;
}

static bool all_bound(struct model *model, uint32_t in_addr, unsigned first, unsigned n, uint8_t proto)
{
	for (unsigned i = 0; i < n; i++)
		if (!model_port_is_bound(model, in_addr, (uint16_t)(first + i), proto))
			return false;
	return true;
}

bool model_group_is_bound(struct model *model, uint32_t in_addr, uint16_t port, uint8_t proto)
{
	const struct model_mapping *m = model_inside(model, in_addr);
	unsigned lo = model_port_lo(m, in_addr), at = (port - lo) / GROUP * GROUP, left = model_ports(m) - at;

	return all_bound(model, in_addr, lo + at, left < GROUP ? left : GROUP, proto);
}

bool model_block_is_bound(struct model *model, uint32_t in_addr, uint8_t proto)
{
	const struct model_mapping *m = model_inside(model, in_addr);

	return all_bound(model, in_addr, model_port_lo(m, in_addr), model_ports(m), proto);
}

static void forget(struct model *model, struct model_binding *b)
{
	if (b)
		*b = model->binding[--model->n_bindings];
}

struct model_binding *model_bind(struct model *model, uint32_t in_addr, uint16_t in_port, uint16_t out_port,
				 uint8_t proto)
{
	struct model_binding *b;

	forget(model, model_binding_in(model, in_addr, in_port, proto));
	forget(model, model_binding_out(model, in_addr, out_port, proto));
	if (model->n_bindings == MODEL_BINDINGS)
		return NULL;
	b = &model->binding[model->n_bindings++];
	*b = (struct model_binding){ in_addr, in_port, out_port, proto, model->now, model->now };
	return b;
}

void model_use_bindings(struct model *model)
{
	for (size_t i = 0; i < model->n_bindings; i++) {
		struct model_binding *b = &model->binding[i];

		for (size_t k = 0; k < model->n; k++) {
			const struct model_session *s = &model->session[k];

			if (is_session_of(s, b) && s->tcp.established && model_counts(model, s))
				b->used = model->now;
		}
	}
}

void model_forget_bindings(struct model *model, const struct model_grant *g)
{
	for (size_t i = model->n_bindings; i-- > 0;)
		if (model->binding[i].in_addr == g->in_addr &&
		    (uint16_t)(model->binding[i].out_port - g->port_lo) < g->ports)
			forget(model, &model->binding[i]);
}

unsigned model_inbound(const struct model *model, uint32_t in_addr)
{
	unsigned n = 0;

	for (size_t i = 0; i < model->n; i++) {
		const struct model_session *s = &model->session[i];

		n += s->in_addr == in_addr && s->inbound && model_counts(model, s);
	}
	return n;
}

unsigned model_inbound_limit(const struct model_mapping *m)
{
	unsigned most = m->quota < m->slots ? m->quota : m->slots, limit = most * m->inbound_part / 100;

	return limit ? limit : 1;
}

bool model_bindings_are_unsure(const struct model *model, double seconds)
{
	for (size_t i = 0; i < model->n_bindings; i++) {
		const struct model_binding *b = &model->binding[i];
		double by_opening = b->opened + life(b->proto) - model->now;
		double by_use = b->used + life(b->proto) - model->now, late = by_use + life(b->proto) / 2;

		if ((by_opening > -seconds && by_opening < seconds) || (by_use > -seconds && by_use < seconds) ||
		    (late > -seconds && late < seconds))
			return true;
	}
	return false;
}
