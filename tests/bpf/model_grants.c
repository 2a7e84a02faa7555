// SPDX-License-Identifier: BSD-2-Clause
/* Blocks that subscribers have beside their own (RFC 7422 section 2.1). */
#include "model.h"

static bool has_port(const struct model_grant *g, uint16_t port)
{
	return (uint16_t)(port - g->port_lo) < g->ports;
}

struct model_grant *model_grant_at(struct model *model, uint32_t out_addr, uint16_t port)
{
	for (size_t i = 0; i < model->n_grants; i++)
		if (model->grant[i].out_addr == out_addr && has_port(&model->grant[i], port))
			return &model->grant[i];
	return NULL;
}

bool model_grant_opens(const struct model *model, uint32_t in_addr, uint16_t port)
{
	for (size_t i = 0; i < model->n_grants; i++) {
		const struct model_grant *g = &model->grant[i];

		if (g->in_addr == in_addr && !g->closed && has_port(g, port))
			return true;
	}
	return false;
}

unsigned model_grants_open(const struct model *model, uint32_t in_addr)
{
	unsigned n = 0;

	for (size_t i = 0; i < model->n_grants; i++)
		n += model->grant[i].in_addr == in_addr && !model->grant[i].closed;
	return n;
}

/* Whether a test holds for all ports that a subscriber may open on beside its block. */
static bool all_ports(struct model *model, uint32_t in_addr,
		      bool (*holds)(struct model *model, const struct model_session *flow, uint16_t port),
		      const struct model_session *flow)
{
	for (size_t i = 0; i < model->n_grants; i++) {
		const struct model_grant *g = &model->grant[i];

		for (unsigned k = 0; k < g->ports && g->in_addr == in_addr && !g->closed; k++)
			if (!holds(model, flow, (uint16_t)(g->port_lo + k)))
				return false;
	}
	return true;
}

static bool is_held(struct model *model, const struct model_session *flow, uint16_t port)
{
	const struct model_session *s = model_find_out(model, flow->in_addr, model_outside_of(model, flow->in_addr),
						       port, flow->ext_addr, flow->ext_port, flow->proto);

	return s && model_counts(model, s);
}

bool model_grants_are_held(struct model *model, const struct model_session *flow)
{
	return all_ports(model, flow->in_addr, is_held, flow);
}

static bool is_bound(struct model *model, const struct model_session *flow, uint16_t port)
{
	return model_port_is_bound(model, flow->in_addr, port, flow->proto);
}

bool model_grants_are_bound(struct model *model, uint32_t in_addr, uint8_t proto)
{
	return all_ports(model, in_addr, is_bound, &(struct model_session){ .in_addr = in_addr, .proto = proto });
}
