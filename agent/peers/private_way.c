/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/private_way.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "base/address.h"
#include "host/netlink.h"
#include "routing/route_lookup.h"

static bool encrypts(const struct link *l)
{
	static const char *const kinds[] = { "wireguard", "xfrm", "vti" };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(l->kind, kinds[i]))
			return true;
	return false;
}

int private_way_check(uint32_t addr, struct error *err)
{
	_cleanup_netlink_ struct netlink *n = NULL;
	struct kernel_way way;
	char text[ADDR_TEXT];
	struct link link;
	int r = kernel_way_read(addr, &way);

	addr_format(addr, text);
	if (!r && (way.error || !way.ifindex))
		return error_set(err, -ENETUNREACH, "there is no route to %s", text);
	if (!r)
		r = netlink_new(&n);
	if (!r)
		r = link_by_index(n, way.ifindex, &link);
	if (r)
		return error_set(err, r, "the route to %s cannot be read: %s", text, strerror(-r));
	if (link.flags & IFF_LOOPBACK || encrypts(&link))
		return 0;
	return error_set(err, -EPERM,
			 "null is for loopback, WireGuard and IPsec interfaces, but %s is reached by %s; name a key "
			 "file, or route it through a tunnel",
			 text, link.name);
}
