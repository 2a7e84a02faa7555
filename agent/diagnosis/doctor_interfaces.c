/* SPDX-License-Identifier: BSD-2-Clause */
/* Links, drivers, offloads and names of the interfaces. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <net/if_arp.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "attach/attach.h"
#include "attach/own_programs.h"
#include "base/base.h"
#include "diagnosis/doctor_private.h"
#include "host/stacking.h"
#include "host/virtio.h"

/* A driver's XDP features, which the kernel reports since Linux 6.3 (netlink family "netdev"). */

/* Bits of enum netdev_xdp_act. */
#define XDP_FEATURE_BASIC    (1U << 0) /* XDP_PASS, XDP_DROP, XDP_TX, XDP_ABORTED */
#define XDP_FEATURE_REDIRECT (1U << 1)
#define XDP_FEATURE_TRANSMIT (1U << 2) /* accepts redirected frames */

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

/* 0, -ENOENT if the kernel does not report them, or another -errno. */
static int xdp_features(uint32_t ifindex, uint64_t *ret)
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

static bool any_up(const struct doctor *d, uint8_t roles)
{
	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const struct link *l = doctor_link(d, &d->config->interfaces[i]);

		if (l && d->config->interfaces[i].roles & roles && !link_down_reason(l))
			return true;
	}
	return false;
}

/* Where the packets go that would cross an interface that is not there: its name may have been meant. */
static void say_absent(struct doctor *d, const struct config_interface *c)
{
	enum doctor_level level = any_up(d, c->roles) ? DOCTOR_WARNING : DOCTOR_FAILURE;
	const char *what = c->roles & DEVICE_OUTSIDE ? "the default route leaves" : "the inside addresses are reached";
	char by[IFNAMSIZ];

	if (doctor_leads_past(d, c->roles, by))
		doctor_say(d, level,
			   "there is no interface %s (%s); %s by %s: correct the name in the configuration and reload",
			   c->name, roles_text(c->roles), what, by);
	else
		doctor_say(d, level,
			   "there is no interface %s (%s): correct the name in the configuration and reload; if it "
			   "appears later, it is attached then",
			   c->name, roles_text(c->roles));
}

bool doctor_absent(const struct doctor *d, const struct config_interface *i)
{
	return !strchr(i->name, '*') && !doctor_link(d, i);
}

void doctor_links(struct doctor *d)
{
	unsigned found = 0;

	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const struct config_interface *c = &d->config->interfaces[i];
		const struct link *l = doctor_link(d, c);

		if (doctor_absent(d, c) && ++found)
			say_absent(d, c);
		/* Of several interfaces with a role, some may be spares. */
		if (l && link_down_reason(l) && ++found)
			doctor_say(d, any_up(d, c->roles) ? DOCTOR_WARNING : DOCTOR_FAILURE, "%s: %s", l->name,
				   link_down_reason(l));
	}
	if (!found)
		doctor_say(d, DOCTOR_OK, "all interfaces are up");
}

/* Whether frames that XDP redirects may be taken once the link carries a program: most drivers say so only then. */
static bool may_take_later(const struct link *l, const char *driver)
{
	static const char *const never[] = { "mlx4_en", "ixgbevf", "nfp", "nicvf" };

	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		if (!strcmp(driver, never[i]))
			return false;
	return strcmp(l->kind, "veth") && l->xdp.attached != XDP_ATTACHED_DRV;
}

/* Reports XDP where the driver has it. native: the driver must have it. */
static void say_driver(struct doctor *d, const struct link *l, bool native)
{
	char driver[DRIVER_NAME] = "no driver";
	uint64_t features = 0;
	int r = xdp_features(l->ifindex, &features);

	driver_name(l->name, driver);
	if (virtio_ignores_xdp(d->root, l->name, l->mtu))
		doctor_say(d, native ? DOCTOR_FAILURE : DOCTOR_WARNING,
			   "%s (%s): the driver takes a native program and never runs it, as the host offers no "
			   "mergeable buffers: give the guest mrg_rxbuf=on%s",
			   l->name, driver, native ? ", or set 'xdp_mode' to 'auto'" : "; generic XDP is slower");
	else if (r) /* before Linux 6.3 */
		doctor_say(d, DOCTOR_UNKNOWN,
			   "%s (%s): this kernel does not report the driver's XDP features; 'detnatctl interface list' "
			   "shows them after the start",
			   l->name, driver);
	else if (!(features & XDP_FEATURE_BASIC))
		doctor_say(d, native ? DOCTOR_FAILURE : DOCTOR_WARNING, "%s (%s): the driver has no XDP; %s", l->name,
			   driver,
			   native ? "set 'xdp_mode' to 'auto' or 'skb'" : "generic XDP is used, which is slower");
	else if (!(features & XDP_FEATURE_TRANSMIT) && d->config->forwarding == FORWARDING_REDIRECT &&
		 !may_take_later(l, driver))
		doctor_say(d, DOCTOR_WARNING, "%s (%s): takes no frames from XDP now, so the kernel forwards to it%s",
			   l->name, driver,
			   !strcmp(l->kind, "veth") ? "; set 'ethtool -K PEER gro on' at its peer" : "");
	else
		doctor_say(d, DOCTOR_OK, "%s (%s): native XDP", l->name, driver);
}

static void say_foreign(struct doctor *d, const struct link *l, enum xdp_mode mode)
{
	bool wanted = mode != XDP_MODE_AUTO;

	doctor_say(d, wanted ? DOCTOR_FAILURE : DOCTOR_WARNING,
		   "%s: carries another XDP program, id %u: %s, or remove the program with 'ip link set %s xdp off'",
		   l->name, l->xdp.prog_id,
		   wanted ? "set 'xdp_mode' to 'auto', which does without XDP there"
			  : "detnat does without XDP there, and the kernel forwards; leave it so",
		   l->name);
}

/* Whether its program is one of this gateway's, also where the kernel shows no names of programs, as to an agent. */
static bool is_own(const struct doctor *d, const struct link *l)
{
	struct own_programs own;
	bool is;

	if (own_programs_read(d->config->pin_path, NULL, &own))
		return false;
	is = own_programs_has(&own, l->xdp.prog_id);
	own_programs_free(&own);
	return is;
}

static void say_xdp(struct doctor *d, const struct link *l, struct xdp_wish wish)
{
	enum xdp_mode mode = wish.mode;

	if (mode == XDP_MODE_NONE)
		doctor_say(d, DOCTOR_OK, "%s: 'xdp_mode' is 'none': tc alone, the kernel forwards", l->name);
	else if (mode == XDP_MODE_TC)
		doctor_say(d, DOCTOR_OK, "%s: 'xdp_mode' is 'tc': no XDP, tc translates and sends", l->name);
	else if (wish.dispatcher == DISPATCHER_NONE && xdp_is_foreign(l) && !is_own(d, l))
		say_foreign(d, l, mode);
	else if (xdp_gives_way(&d->links, l, &wish))
		doctor_say(d, DOCTOR_OK,
			   "%s: tc translates and sends, as XDP would have the kernel cut frames of several segments",
			   l->name);
	else if (mode == XDP_MODE_AUTO && l->type != ARPHRD_ETHER)
		doctor_say(d, DOCTOR_OK, "%s: has no Ethernet header: tc alone, the kernel forwards", l->name);
	else if (mode == XDP_MODE_SKB)
		doctor_say(d, DOCTOR_WARNING, "%s: 'xdp_mode' is 'skb': generic XDP, which is slower", l->name);
	else
		say_driver(d, l, mode == XDP_MODE_NATIVE);
}

void doctor_xdp(struct doctor *d)
{
	bool outside = false;

	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const struct link *l = doctor_link(d, &d->config->interfaces[i]);
		struct xdp_wish wish = config_interface_xdp(&d->config->interfaces[i], config_xdp(d->config));

		if (l)
			say_xdp(d, l, wish);
		outside |= l && d->config->interfaces[i].roles & DEVICE_OUTSIDE && !xdp_mode_is_without(wish.mode) &&
			   !xdp_gives_way(&d->links, l, &wish);
	}
	if (outside)
		doctor_say(d, DOCTOR_OK,
			   "no link holds it: while no agent runs, 'ip link set DEV xdp off' at an outside interface "
			   "lets packets in that are addressed straight to inside addresses");
}

void doctor_offloads(struct doctor *d)
{
	/* These offloads merge packets in the card, and XDP would see several packets as one. */
	static const char *const harmful[] = { OFFLOAD_LRO, OFFLOAD_GRO_HW };
	unsigned found = 0;

	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const char *name = d->config->interfaces[i].name;
		bool none = xdp_mode_is_without(config_interface_mode(d->config, &d->config->interfaces[i]));
		char driver[DRIVER_NAME] = "";

		/* virtio_net itself has the host stop while there is a program, and refuses the command then. */
		driver_name(name, driver);
		for (size_t k = 0; !none && k < ARRAY_SIZE(harmful); k++) {
			if (!offload_is_on(name, harmful[k]) || !strcmp(driver, "virtio_net"))
				continue;
			doctor_say(d, DOCTOR_WARNING,
				   "%s: the card merges packets before XDP sees them: ethtool -K %s %s off", name, name,
				   harmful[k]);
			found++;
		}
	}
	if (!found)
		doctor_say(d, DOCTOR_OK, "nothing merges packets before XDP sees them");
}

/* name_assign_type: the kernel numbered it, so another order of discovery gives another number. */
#define NAME_ENUMERATED 1

void doctor_names(struct doctor *d)
{
	unsigned found = 0, unknown = 0;

	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const struct link *l = doctor_link(d, &d->config->interfaces[i]);
		const char *name = d->config->interfaces[i].name;
		long long type;

		if (!l)
			continue;
		if (!doctor_shown_in_sys(d, l)) {
			unknown++;
			continue;
		}
		if (!doctor_read_number(d, &type, "/sys/class/net/%s/name_assign_type", name) ||
		    type != NAME_ENUMERATED)
			continue;
		doctor_say(
			d, DOCTOR_WARNING,
			"%s: the kernel numbered it, so another boot may give the name to another interface; name it "
			"in a systemd.link(5) file with its MAC address",
			name);
		found++;
	}
	if (!found && unknown)
		doctor_say(d, DOCTOR_UNKNOWN, "/sys does not show all interfaces of this network namespace");
	else if (!found)
		doctor_say(d, DOCTOR_OK, "no interface has a name that another boot may give to another interface");
}

/* Whether it has both sides of one tenant; what is outside of one tenant may be inside of another. */
static bool has_both_roles(const struct config *c, const struct config_interface *i)
{
	const struct config_tenant *t = config_interface_tenant(c, i);

	return i->roles == (DEVICE_INSIDE | DEVICE_OUTSIDE) && (!t || config_interface_is_outside_of(c, i, t));
}

void doctor_roles(struct doctor *d)
{
	unsigned found = 0;

	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const struct config_interface *c = &d->config->interfaces[i];

		if (!has_both_roles(d->config, c))
			continue;
		doctor_say(d, DOCTOR_WARNING,
			   "%s is inside and outside: whoever sends from beyond it with a subscriber's address as "
			   "source opens sessions in that subscriber's name, from the internet, too; with NAT on a "
			   "stick, drop such packets in the router before it, else take it out of one of the lists",
			   c->name);
		found++;
	}
	if (!found)
		doctor_say(d, DOCTOR_OK, "no interface is inside and outside at once");
}
