/* SPDX-License-Identifier: BSD-2-Clause */
#include "links/interfaces_patterns.h"

#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>

#include "base/interface_pattern.h"

const struct config_interface *pattern_for(const struct config_interface *wanted, size_t n, const struct link *l)
{
	const struct config_interface *found = NULL;

	if (l->type == ARPHRD_LOOPBACK || (l->port_kind[0] && !link_vrf(l)) || l->ifindex >= MAX_IFINDEX)
		return NULL;
	for (size_t k = 0; k < n; k++)
		if (interface_is_pattern(wanted[k].name) && interface_matches(wanted[k].name, l->name) &&
		    (!found || strlen(wanted[k].name) > strlen(found->name)))
			found = &wanted[k];
	return found;
}

struct config *patterns_expand(const struct config *c, const struct link_list *links)
{
	struct config *copy = config_clone(c);
	struct config_interface *list = copy ? calloc(c->n_interfaces + links->count + 1, sizeof(*list)) : NULL;
	size_t n = 0;

	if (!list) {
		config_free(copy);
		return NULL;
	}
	for (size_t k = 0; k < c->n_interfaces; k++)
		if (!strchr(c->interfaces[k].name, '*'))
			list[n++] = c->interfaces[k];
	for (size_t k = 0; k < links->count; k++) {
		const struct link *l = &links->link[k];
		const struct config_interface *pattern = pattern_for(c->interfaces, c->n_interfaces, l);

		if (!pattern || config_find_interface(c, l->name))
			continue;
		list[n] = *pattern;
		memcpy(list[n++].name, l->name, sizeof(l->name));
	}
	free(copy->interfaces);
	copy->interfaces = list;
	copy->n_interfaces = n;
	return copy;
}
