/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagnosis/doctor_xdp.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>

#include "base/base.h"

#define FAMILY "netdev"

/* From linux/netdev.h, which kernel headers before 6.3 lack. */
#define DEVICE_GET	    1
#define DEVICE_IFINDEX	    1
#define DEVICE_XDP_FEATURES 3

static void close_socket(struct mnl_socket **socket)
{
	if (*socket)
		mnl_socket_close(*socket);
}

struct wanted {
	uint16_t attribute;
	uint64_t value;
	bool found;
};

static int visit(const struct nlmsghdr *h, void *arg)
{
	struct wanted *w = arg;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, h, sizeof(struct genlmsghdr))
	{
		if (mnl_attr_get_type(attr) != w->attribute)
			continue;
		w->found = true;
		w->value = mnl_attr_get_payload_len(attr) >= sizeof(uint64_t) ? mnl_attr_get_u64(attr)
									      : mnl_attr_get_u16(attr);
	}
	return MNL_CB_OK;
}

/* Sends a complete request, and returns one attribute of the reply. */
static int ask(struct mnl_socket *socket, struct nlmsghdr *request, struct wanted *w)
{
	_Alignas(struct nlmsghdr) char answer[8192];
	uint32_t seq = request->nlmsg_seq;
	int r = MNL_CB_OK;

	if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) {
		ssize_t size = mnl_socket_recvfrom(socket, answer, sizeof(answer));

		if (size < 0)
			return -errno;
		r = mnl_cb_run(answer, (size_t)size, seq, mnl_socket_get_portid(socket), visit, w);
	}
	if (r < MNL_CB_STOP)
		return errno_or(EIO);
	return w->found ? 0 : -ENOENT;
}

static struct nlmsghdr *request_begin(void *buffer, uint16_t family, uint32_t seq, uint8_t command)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);
	struct genlmsghdr *g;

	h->nlmsg_type = family;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	h->nlmsg_seq = seq;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->cmd = command;
	g->version = 1;
	return h;
}

int xdp_features(uint32_t ifindex, uint64_t *ret)
{
	__attribute__((cleanup(close_socket))) struct mnl_socket *socket =
		mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	_Alignas(struct nlmsghdr) char buffer[256];
	struct wanted family = { .attribute = CTRL_ATTR_FAMILY_ID }, features = { .attribute = DEVICE_XDP_FEATURES };
	struct nlmsghdr *h;
	int r;

	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	h = request_begin(buffer, GENL_ID_CTRL, 1, CTRL_CMD_GETFAMILY);
	mnl_attr_put_strz(h, CTRL_ATTR_FAMILY_NAME, FAMILY);
	r = ask(socket, h, &family);
	if (r)
		return r;
	h = request_begin(buffer, (uint16_t)family.value, 2, DEVICE_GET);
	mnl_attr_put_u32(h, DEVICE_IFINDEX, ifindex);
	r = ask(socket, h, &features);
	if (!r)
		*ret = features.value;
	return r;
}
