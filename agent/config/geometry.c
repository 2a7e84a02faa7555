// SPDX-License-Identifier: BSD-2-Clause
/* The arithmetic that the keys of a mapping describe. */
#include <errno.h>

#include "config/config.h"
#include "plan/plan.h"

bool config_ports_given(const struct config_mapping *m)
{
	const struct config_ports *p = &m->ports;

	return p->subscribers_per_address || p->ports_per_host || p->first_port || p->block_pitch || p->order;
}

/* Ranges have no default of their own: their figures are worked out as those of the keys are. */
static bool needs_figures(const struct config_mapping *m)
{
	return config_ports_given(m) || m->figures.subscribers_per_address || prefix_is_range(m->in) ||
	       prefix_is_range(m->out);
}

/* A part that joins adjoining prefixes of a list counts as one: its list had what netmap order asks for. */
static struct plan_range range_of(const struct config_mapping *m, struct prefix p)
{
	return (struct plan_range){ p.base, prefix_last(p), m->figures.subscribers_per_address || !prefix_is_range(p) };
}

uint32_t config_first_port(const struct config_ports *p)
{
	if (p->first_port == PORTS_FROM_0)
		return 0;
	return p->first_port ? p->first_port : MAPPING_FIRST_PORT;
}

static int expand(const struct config_mapping *m, struct geometry *ret, struct error *err)
{
	const struct config_ports *ports = m->figures.subscribers_per_address ? &m->figures : &m->ports;
	struct plan_range in = range_of(m, m->in), out = range_of(m, m->out);
	const struct plan_mapping wanted = {
		.in = { &in, 1 },
		.out = { &out, 1 },
		.subscribers_per_address = ports->subscribers_per_address,
		.ports_per_host = ports->ports_per_host,
		.block_pitch = ports->block_pitch,
		.first_port = config_first_port(ports),
		.order = ports->order,
		.grows = m->growth.given,
	};
	_cleanup_free_ struct geometry *part = NULL;
	size_t n = 0;
	int r = plan_expand(&wanted, &part, &n, err);

	if (!r)
		*ret = part[0];
	return r;
}

int config_geometry_check(const struct config_mapping *m, struct geometry *ret, struct error *err)
{
	if (prefix_is_none(m->out))
		return error_set(err, -EINVAL, "it is not translated");
	if (needs_figures(m))
		return expand(m, ret, err);
	if (mapping_geometry(m->in.base, m->in.plen, m->out.base, m->out.plen, ret))
		return error_set(err, -EINVAL, "less than one port a host");
	return 0;
}

int config_mapping_geometry(const struct config_mapping *m, struct geometry *ret)
{
	struct error why;

	return config_geometry_check(m, ret, &why);
}

bool config_same_ports(const struct config_mapping *a, const struct config_mapping *b)
{
	struct geometry x, y;

	return prefix_is_none(a->out) ||
	       (!config_mapping_geometry(a, &x) && !config_mapping_geometry(b, &y) && mapping_equal(&x, &y));
}
