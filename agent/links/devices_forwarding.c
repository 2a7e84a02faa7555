/* SPDX-License-Identifier: BSD-2-Clause */
/* Which forwarding is in force: by XDP's redirects, or by the kernel, and why. */
#include "base/interface_pattern.h"
#include "links/devices_private.h"

/* Why the programs that run redirect nothing at all. */
static const char *none_redirected(const struct devices *v, const struct config *c)
{
	if (v->datapath->settings.redirect)
		return NULL;
	if (c->forwarding == FORWARDING_KERNEL)
		return "configured";
	return route_limits_tos(&v->limits) ? "routes of a TOS" : "routing rules on marks, ports or the like";
}

const char *devices_kernel_forwards(const struct devices *v, const struct config *c, const char *name)
{
	const char *why = none_redirected(v, c), *first = NULL;

	if (why)
		return why;
	if (name) {
		const struct interface *i = devices_example(v, name);

		if (interface_is_any(name))
			return "no XDP";
		return i ? interface_unable(&v->interfaces, i) : "not attached";
	}
	for (size_t k = 0; k < v->interfaces.count; k++) {
		const struct interface *i = &v->interfaces.list[k];

		if (!i->roles || i->attachment == DEVICE_ABSENT)
			continue;
		why = interface_unable(&v->interfaces, i);
		if (!why)
			return NULL;
		if (!first)
			first = why;
	}
	return first;
}
