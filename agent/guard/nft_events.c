/* SPDX-License-Identifier: BSD-2-Clause */
#include "guard/nft_events.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/base.h"
#include "base/log.h"

#define RECEIVE_BUFFER (1 << 20)
#define MESSAGE_BUFFER 65536U
/* Bounded, so that a storm of messages does not block the event loop. */
#define READS_AT_ONCE 64

struct guard_watch {
	void (*changed)(void *arg);
	void *arg;
	struct mnl_socket *socket;
	struct event *readable;
	uint32_t port;
	char table[64];
	bool seen; /* a change of the table was among the messages */
	_Alignas(struct nlmsghdr) char buffer[MESSAGE_BUFFER];
};

/* All relevant messages name their table in the attribute of the same number. */
_Static_assert((int)NFTA_CHAIN_TABLE == (int)NFTA_TABLE_NAME && (int)NFTA_RULE_TABLE == (int)NFTA_TABLE_NAME &&
		       (int)NFTA_SET_TABLE == (int)NFTA_TABLE_NAME &&
		       (int)NFTA_SET_ELEM_LIST_TABLE == (int)NFTA_TABLE_NAME &&
		       (int)NFTA_OBJ_TABLE == (int)NFTA_TABLE_NAME,
	       "one number for the table's name");

static int visit_message(const struct nlmsghdr *h, void *arg)
{
	const struct nfgenmsg *nf = mnl_nlmsg_get_payload(h);
	struct guard_watch *w = arg;
	const struct nlattr *attr;

	if (NFNL_SUBSYS_ID(h->nlmsg_type) != NFNL_SUBSYS_NFTABLES || NFNL_MSG_TYPE(h->nlmsg_type) == NFT_MSG_NEWGEN ||
	    nf->nfgen_family != NFPROTO_INET || h->nlmsg_pid == w->port)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, h, sizeof(*nf))
	{
		if (mnl_attr_get_type(attr) == NFTA_TABLE_NAME && !mnl_attr_validate(attr, MNL_TYPE_NUL_STRING))
			w->seen |= !strcmp(mnl_attr_get_str(attr), w->table);
	}
	return MNL_CB_OK;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct guard_watch *w = arg;

	w->seen = false;
	for (int i = 0; i < READS_AT_ONCE; i++) {
		ssize_t size = mnl_socket_recvfrom(w->socket, w->buffer, sizeof(w->buffer));

		if (size >= 0) {
			mnl_cb_run(w->buffer, (size_t)size, 0, 0, visit_message, w);
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != ENOBUFS && errno != ENOSPC)
			break;
		log_debug("nftables notifications were lost");
		w->seen = true;
	}
	if (w->seen)
		w->changed(w->arg);
}

int guard_watch_new(struct event_base *base, uint32_t port, const char *table, void (*changed)(void *arg), void *arg,
		    struct guard_watch **ret)
{
	struct guard_watch *w = calloc(1, sizeof(*w));
	int size = RECEIVE_BUFFER, group = NFNLGRP_NFTABLES, r = 0;

	if (!w)
		return -ENOMEM;
	w->changed = changed;
	w->arg = arg;
	w->port = port;
	snprintf(w->table, sizeof(w->table), "%s", table);
	w->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!w->socket || mnl_socket_bind(w->socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_setsockopt(w->socket, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		r = -errno;
	if (!r) {
		setsockopt(mnl_socket_get_fd(w->socket), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
		w->readable = event_new(base, mnl_socket_get_fd(w->socket), EV_READ | EV_PERSIST, on_readable, w);
		if (!w->readable || event_add(w->readable, NULL))
			r = -ENOMEM;
	}
	if (r) {
		log_debug("nftables notifications cannot be read: %s", strerror(-r));
		guard_watch_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void guard_watch_free(struct guard_watch *w)
{
	if (!w)
		return;
	if (w->readable)
		event_free(w->readable);
	if (w->socket)
		mnl_socket_close(w->socket);
	free(w);
}
