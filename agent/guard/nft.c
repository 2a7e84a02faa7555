/* SPDX-License-Identifier: BSD-2-Clause */
#include "guard/nft.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/object.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/base.h"
#include "base/log.h"

/* Since Linux 6.9: the table outlives its owner's socket, and has no owner then. */
#define TABLE_F_PERSIST (1U << 2)
#define TABLE_F_KEPT	(NFT_TABLE_F_OWNER | TABLE_F_PERSIST)

#define ANSWER_SIZE 16384U

struct guard_nft {
	struct mnl_socket *socket;
	uint32_t port;
	uint32_t seq;
	bool no_owner; /* the kernel does not support tables that outlive their owner */
	_Alignas(struct nlmsghdr) char request[1024];
	_Alignas(struct nlmsghdr) char answer[ANSWER_SIZE];
};

int guard_nft_new(struct guard_nft **ret)
{
	struct guard_nft *n = calloc(1, sizeof(*n));
	struct timeval timeout = { .tv_sec = 5 };
	int size = 4 << 20;

	if (!n)
		return -ENOMEM;
	n->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!n->socket || mnl_socket_bind(n->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		int r = errno_or(EPROTONOSUPPORT);

		guard_nft_free(n);
		return r;
	}
	n->port = mnl_socket_get_portid(n->socket);
	n->seq = (uint32_t)time(NULL);
	/* A transaction is one datagram. */
	setsockopt(mnl_socket_get_fd(n->socket), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	setsockopt(mnl_socket_get_fd(n->socket), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	*ret = n;
	return 0;
}

void guard_nft_free(struct guard_nft *n)
{
	if (!n)
		return;
	if (n->socket)
		mnl_socket_close(n->socket);
	free(n);
}

uint32_t guard_nft_port(const struct guard_nft *n)
{
	return n->port;
}

/* Late answers to an earlier request are skipped. */
static void discard_answers(struct guard_nft *n)
{
	while (recv(mnl_socket_get_fd(n->socket), n->answer, sizeof(n->answer), MSG_DONTWAIT) >= 0)
		;
}

/* The first error of a transaction, or 0. The kernel answers all messages that fail, in order, and the last one. */
static int transaction_result(struct guard_nft *n, const struct guard_batch *b)
{
	int result = 0;

	for (;;) {
		ssize_t size = mnl_socket_recvfrom(n->socket, n->answer, sizeof(n->answer));
		const struct nlmsghdr *h = (const struct nlmsghdr *)n->answer;
		int left = (int)size;

		if (size < 0)
			return result ? result : -errno;
		for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

			if (h->nlmsg_type != NLMSG_ERROR)
				continue;
			if (!result)
				result = e->error;
			/* An error of the begin message: the whole transaction was refused. */
			if (h->nlmsg_seq == b->last_in_batch || (e->error && h->nlmsg_seq == 1))
				return result;
		}
	}
}

static int run(struct guard_nft *n, const struct guard_batch *b)
{
	discard_answers(n);
	if (mnl_socket_sendto(n->socket, b->data, b->size) < 0)
		return -errno;
	return transaction_result(n, b);
}

/* Sends a request and parses its answer. */
static int ask(struct guard_nft *n, const struct nlmsghdr *h, mnl_cb_t parse, void *arg)
{
	ssize_t size;

	discard_answers(n);
	if (mnl_socket_sendto(n->socket, h, h->nlmsg_len) < 0)
		return -errno;
	size = mnl_socket_recvfrom(n->socket, n->answer, sizeof(n->answer));
	if (size < 0)
		return -errno;
	return mnl_cb_run(n->answer, (size_t)size, n->seq, n->port, parse, arg) < 0 ? -errno : 0;
}

struct table_state {
	uint32_t flags;
	bool ours;
	const char *comment; /* identifies the answer */
};

static int visit_udata(const struct nftnl_udata *attr, void *arg)
{
	struct table_state *state = arg;
	const char *text = nftnl_udata_get(attr);
	size_t length = nftnl_udata_len(attr);

	if (nftnl_udata_type(attr) == NFTNL_UDATA_TABLE_COMMENT && length && !text[length - 1])
		state->ours |= !strcmp(text, state->comment);
	return 0;
}

static int visit_table(const struct nlmsghdr *h, void *arg)
{
	struct nftnl_table *t = nftnl_table_alloc();
	struct table_state *state = arg;
	uint32_t length = 0;
	const void *udata;

	if (!t || nftnl_table_nlmsg_parse(h, t) < 0) {
		if (t)
			nftnl_table_free(t);
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	state->flags = nftnl_table_get_u32(t, NFTNL_TABLE_FLAGS);
	udata = nftnl_table_get_data(t, NFTNL_TABLE_USERDATA, &length);
	if (udata)
		nftnl_udata_parse(udata, length, visit_udata, state);
	nftnl_table_free(t);
	return MNL_CB_OK;
}

/* -ENOENT if there is none. */
static int read_table(struct guard_nft *n, const struct guard_rules *rules, struct table_state *ret)
{
	struct nftnl_table *t = nftnl_table_alloc();
	struct nlmsghdr *h;

	if (!t)
		return -ENOMEM;
	*ret = (struct table_state){ .comment = rules->comment };
	h = nftnl_nlmsg_build_hdr(n->request, NFT_MSG_GETTABLE, NFPROTO_INET, 0, ++n->seq);
	nftnl_table_set_str(t, NFTNL_TABLE_NAME, rules->table);
	nftnl_table_nlmsg_build_payload(h, t);
	nftnl_table_free(t);
	return ask(n, h, visit_table, ret);
}

/* How often a dump is retried when other programs change tables meanwhile. */
#define READ_TRIES 5

struct reading {
	struct guard_image *image;
	const char *table;
};

static int visit_part(const struct nlmsghdr *h, void *arg)
{
	const struct reading *reading = arg;

	guard_image_add(reading->image, h, reading->table);
	return MNL_CB_OK;
}

/* Dumps all objects of a kind; -EINTR if they changed meanwhile. */
static int dump(struct guard_nft *n, uint16_t type, const struct guard_rules *rules, const char *set,
		struct guard_image *image)
{
	struct reading reading = { image, rules->table };
	struct nlmsghdr *h = nftnl_nlmsg_build_hdr(n->request, type, NFPROTO_INET, NLM_F_DUMP, ++n->seq);
	int r;

	/* All messages carry their table's name in the attribute of the same number (guard/nft.c). */
	if (type != NFT_MSG_GETCHAIN)
		mnl_attr_put_strz(h, NFTA_TABLE_NAME, rules->table);
	if (set)
		mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, set);
	discard_answers(n);
	if (mnl_socket_sendto(n->socket, h, h->nlmsg_len) < 0)
		return -errno;
	do {
		ssize_t size = mnl_socket_recvfrom(n->socket, n->answer, sizeof(n->answer));

		if (size < 0)
			return -errno;
		r = mnl_cb_run(n->answer, (size_t)size, n->seq, n->port, visit_part, &reading);
	} while (r > 0);
	return r < 0 ? -errno : 0;
}

static int dump_all(struct guard_nft *n, const struct guard_rules *rules, struct guard_image *image)
{
	static const uint16_t kinds[] = { NFT_MSG_GETCHAIN, NFT_MSG_GETRULE, NFT_MSG_GETSET, NFT_MSG_GETOBJ };
	struct reading reading = { image, rules->table };
	struct table_state state;
	int r = read_table(n, rules, &state);

	if (r)
		return r;
	/* The answer is still to be read. */
	visit_part((const struct nlmsghdr *)n->answer, &reading);
	for (size_t i = 0; !r && i < ARRAY_SIZE(kinds); i++)
		r = dump(n, kinds[i], rules, NULL, image);
	for (unsigned i = 0; !r && guard_set_name(i); i++) {
		r = dump(n, NFT_MSG_GETSETELEM, rules, guard_set_name(i), image);
		/* The error shows that the set does not exist. */
		r = r == -ENOENT ? 0 : r;
	}
	return r;
}

int guard_nft_read(struct guard_nft *n, const struct guard_rules *rules, struct guard_image *ret)
{
	int r = -EINTR;

	for (int i = 0; r == -EINTR && i < READ_TRIES; i++) {
		*ret = (struct guard_image){ 0 };
		r = dump_all(n, rules, ret);
		if (!r && ret->failed)
			r = -ENOMEM;
		if (r)
			guard_image_free(ret);
	}
	return r;
}

enum transaction { MAKE, MAKE_ANEW, TRY, FILL, TURN };

static int write_once(struct guard_nft *n, const struct guard_rules *rules, uint32_t flags, enum transaction what)
{
	_cleanup_batch_ struct guard_batch b = { 0 };
	int r = what == TRY    ? guard_rules_try(rules, &b)
		: what == FILL ? guard_rules_fill(rules, flags, &b)
		: what == TURN ? guard_rules_turn(rules, &b)
			       : guard_rules_make(rules, flags, what == MAKE_ANEW, &b);

	return r ? r : run(n, &b);
}

/* A message that carries the table's flags. */
static int write_flags(struct guard_nft *n, const struct guard_rules *rules, enum transaction what)
{
	int r = -EOPNOTSUPP;

	if (!n->no_owner)
		r = write_once(n, rules, TABLE_F_KEPT, what);
	if (r != -EOPNOTSUPP && r != -EINVAL)
		return r;
	r = write_once(n, rules, 0, what);
	n->no_owner |= !r;
	return r;
}

/* At any moment either the old or the new rules are in place; see guard/rules.c. */
static int replace(struct guard_nft *n, const struct guard_rules *rules)
{
	struct guard_rules placed = *rules;
	int r = write_once(n, &placed, 0, TRY);

	if (r == -EBUSY) {
		placed.place = !placed.place;
		r = 0;
	}
	if (!r)
		r = write_flags(n, &placed, FILL);
	return r ? r : write_once(n, &placed, 0, TURN);
}

int guard_nft_write_anew(struct guard_nft *n, const struct guard_rules *rules)
{
	struct table_state state;
	int r = read_table(n, rules, &state);

	if (r)
		return r == -ENOENT ? write_flags(n, rules, MAKE) : r;
	if (!state.ours)
		return -EEXIST;
	/* A table without an owner gets one. */
	n->no_owner = false;
	return write_flags(n, rules, MAKE_ANEW);
}

int guard_nft_write(struct guard_nft *n, const struct guard_rules *rules)
{
	struct table_state state;
	int r = read_table(n, rules, &state);

	if (r == -ENOENT)
		return write_flags(n, rules, MAKE);
	if (r)
		return r;
	if (!state.ours)
		return -EEXIST;
	r = replace(n, rules);
	/* Another program, or another version of detnat, has changed parts of it. */
	return r && r != -EPERM ? write_flags(n, rules, MAKE_ANEW) : r;
}

int guard_nft_look(struct guard_nft *n, const struct guard_rules *rules)
{
	struct table_state state;
	int r = read_table(n, rules, &state);

	return r || state.ours ? r : -ENOENT;
}

int guard_nft_remove(struct guard_nft *n, const struct guard_rules *rules)
{
	_cleanup_batch_ struct guard_batch b = { 0 };
	int r = guard_nft_look(n, rules);

	if (!r)
		r = guard_rules_remove(rules, &b);
	return r ? r : run(n, &b);
}

static int visit_counter(const struct nlmsghdr *h, void *arg)
{
	struct nftnl_obj *o = nftnl_obj_alloc();
	uint64_t *packets = arg;

	if (o && nftnl_obj_nlmsg_parse(h, o) >= 0)
		*packets = nftnl_obj_get_u64(o, NFTNL_OBJ_CTR_PKTS);
	if (o)
		nftnl_obj_free(o);
	return MNL_CB_OK;
}

int guard_nft_take(struct guard_nft *n, const char *table, const char *counter, uint64_t *ret_packets)
{
	struct nftnl_obj *o = nftnl_obj_alloc();
	struct nlmsghdr *h;

	if (!o)
		return -ENOMEM;
	*ret_packets = 0;
	h = nftnl_nlmsg_build_hdr(n->request, NFT_MSG_GETOBJ_RESET, NFPROTO_INET, 0, ++n->seq);
	nftnl_obj_set_str(o, NFTNL_OBJ_TABLE, table);
	nftnl_obj_set_str(o, NFTNL_OBJ_NAME, counter);
	nftnl_obj_set_u32(o, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
	nftnl_obj_nlmsg_build_payload(h, o);
	nftnl_obj_free(o);
	return ask(n, h, visit_counter, ret_packets);
}

#define RECEIVE_BUFFER (1 << 20)
#define MESSAGE_BUFFER 65536U
/* Bounded, so that a storm of messages does not block the event loop. */
#define READS_AT_ONCE 64

struct guard_watch {
	guard_changed changed;
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

	bool lost = false;

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
		lost = true;
	}
	if (w->seen || lost)
		w->changed(w->arg, !w->seen);
}

int guard_watch_new(struct event_base *base, uint32_t port, const char *table, guard_changed changed, void *arg,
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
