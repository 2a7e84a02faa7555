/* SPDX-License-Identifier: BSD-2-Clause */
#include "fib/addresses.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "host/netlink.h"

void fib_addresses_free(struct fib_addresses *a)
{
	free(a->list);
	*a = (struct fib_addresses){ 0 };
}

static bool read_message(const struct nlmsghdr *h, struct fib_address *ret)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[IFA_LOCAL + 1];

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*ifa) || ifa->ifa_family != AF_INET)
		return false;
	netlink_attributes(h, sizeof(*ifa), attr, ARRAY_SIZE(attr));
	*ret = (struct fib_address){
		.ifindex = ifa->ifa_index,
		.local = netlink_u32(attr[IFA_LOCAL]),
		.peer = netlink_u32(attr[IFA_ADDRESS]),
		.plen = ifa->ifa_prefixlen,
	};
	return true;
}

/* The address, added if unknown. NULL: out of memory. */
static struct fib_address *get(struct fib_addresses *a, const struct fib_address *sought)
{
	for (size_t i = 0; i < a->count; i++) {
		struct fib_address *known = &a->list[i];

		if (known->ifindex == sought->ifindex && known->local == sought->local && known->peer == sought->peer &&
		    known->plen == sought->plen)
			return known;
	}
	if (a->count == a->room) {
		size_t room = a->room ? a->room * 2 : 16;
		struct fib_address *grown = reallocarray(a->list, room, sizeof(*grown));

		if (!grown) {
			a->lost = true;
			return NULL;
		}
		a->list = grown;
		a->room = room;
	}
	a->list[a->count] = *sought;
	return &a->list[a->count++];
}

static bool has_one(const struct fib_addresses *a, uint32_t ifindex)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->list[i].ifindex == ifindex && a->list[i].generation)
			return true;
	return false;
}

uint32_t fib_addresses_message(struct fib_addresses *a, const struct nlmsghdr *h, uint8_t generation, bool notified)
{
	bool deleted = h->nlmsg_type == RTM_DELADDR;
	struct fib_address told, *known;

	if (!read_message(h, &told))
		return 0;
	known = get(a, &told);
	if (known && !notified && known->notified == generation)
		return 0;
	if (known) {
		known->generation = deleted ? 0 : generation;
		known->notified = notified ? generation : 0;
	}
	return deleted && (a->lost || !has_one(a, told.ifindex)) ? told.ifindex : 0;
}

void fib_addresses_sweep(struct fib_addresses *a, uint8_t generation)
{
	for (size_t i = a->count; i-- > 0;)
		if (a->list[i].generation != generation)
			a->list[i] = a->list[--a->count];
	a->lost = false;
}
