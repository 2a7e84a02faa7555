// SPDX-License-Identifier: BSD-2-Clause
/* Notifications of rtnetlink of any octets, taken apart as the monitor does it: links, neighbours, routes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fib/route_message.h"
#include "host/netlink.h"
#include "routing/neighbours.h"

static struct neighbours *neighbours;
static struct datapath datapath;
static struct fib_neighbours known;

/* What the copy of the routes takes from messages: nothing beyond what its tables hold. */
static void visit_route(const struct nlmsghdr *h)
{
	struct fib_told_route route;
	struct fib_told_object object;

	if (fib_route_read(h, &route) &&
	    (route.route.plen > 32 || route.route.kept >= N_FIB_KEPT || route.route.dst & ~fib_mask(route.route.plen)))
		abort();
	if (fib_object_read(h, &object) && (!object.id || object.kept >= N_FIB_KEPT))
		abort();
	fib_neighbours_message(&known, h, 1, h->nlmsg_flags % 3);
	if (known.table.n > 1000)
		fib_neighbours_free(&known);
}

static void visit(const struct nlmsghdr *h)
{
	struct link l;

	if (mnl_nlmsg_get_payload_len(h) >= sizeof(struct ifinfomsg)) {
		link_parse(h, &l);
		if (!memchr(l.name, 0, sizeof(l.name)) || !memchr(l.kind, 0, sizeof(l.kind)) ||
		    !memchr(l.port_kind, 0, sizeof(l.port_kind)))
			abort();
	}
	neighbours_changed(neighbours, h);
	visit_route(h);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct event_base *base = event_base_new();

	datapath.device = calloc(MAX_IFINDEX, sizeof(*datapath.device));
	if (!base || !datapath.device || neighbours_new(base, &datapath, NULL, NULL, &neighbours))
		abort();
	for (unsigned i = 1; i < 256; i++)
		datapath.device[i].roles = DEVICE_INSIDE;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nlmsghdr *h;

	/* The length of a message is the kernel's, a multiple of 4, and libmnl believes it; what is in it is not. */
	size &= ~(size_t)3;
	if (size < sizeof(*h))
		return 0;
	h = malloc(size);
	memcpy(h, data, size);
	h->nlmsg_len = (uint32_t)size;
	visit(h);
	free(h);
	return 0;
}
