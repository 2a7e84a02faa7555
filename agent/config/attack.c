/* SPDX-License-Identifier: BSD-2-Clause */
/* How `attack` must fit the rest of the configuration. */
#include <errno.h>
#include <inttypes.h>

#include <detnat/strangers.h>

#include "config/fields.h"

/* The counters of a pool begin in a cache line of their own. */
static uint64_t counters_of(const struct config_mapping *m)
{
	uint64_t n = prefix_is_none(m->out) ? 0 : prefix_count(m->out);

	return (n + STRANGER_LINE - 1) / STRANGER_LINE * STRANGER_LINE;
}

int validate_attack(const struct config *c, const char *name, struct error *err)
{
	uint64_t n = 0;

	if (!c->attack.enabled)
		return 0;
	for (size_t i = 0; i < c->n_mappings; i++)
		n += counters_of(&c->mappings[i]);
	if (n > STRANGER_COUNTERS)
		return config_refuse(err, -EINVAL, name, config_line(c, "attack"), "attack",
				     "there are %" PRIu64 " pool addresses, in units of %u for each pool, and packets "
				     "can be counted for %u; leave `attack` out, or have fewer pools",
				     n, STRANGER_LINE, STRANGER_COUNTERS);
	return 0;
}
