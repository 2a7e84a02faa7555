/* SPDX-License-Identifier: BSD-2-Clause */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if_arp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "attach/attach.h"
#include "base/log.h"
#include "host/stacking.h"
#include "host/virtio.h"

bool xdp_is_of_detnat(const struct link *l)
{
	char name[BPF_OBJ_NAME_LEN];

	return l->xdp.prog_id && is_entry_program(program_name(l->xdp.prog_id, name));
}

bool xdp_is_foreign(const struct link *l)
{
	return l->xdp.attached == XDP_ATTACHED_HW || l->xdp.attached == XDP_ATTACHED_MULTI ||
	       (l->xdp.attached != XDP_ATTACHED_NONE && !xdp_is_of_detnat(l));
}

static int refuse_foreign(const struct link *l, struct error *err)
{
	char name[BPF_OBJ_NAME_LEN];

	if (!l->xdp.prog_id)
		return error_set(err, -EBUSY,
				 "%s: carries other XDP programs; see `bpftool net show dev %s` and detach them",
				 l->name, l->name);
	program_name(l->xdp.prog_id, name);
	if (!strcmp(name, "xdp_dispatcher"))
		return error_set(
			err, -EBUSY,
			"%s: carries libxdp's dispatcher (program id %u), with other programs; set 'xdp_dispatcher' "
			"to \"libxdp\", which runs detnat beside them, or detach them with `xdp-loader unload %s "
			"--all`",
			l->name, l->xdp.prog_id, l->name);
	if (is_entry_program(name))
		return own_programs_refuse(l->name, name, l->xdp.prog_id, err);
	return error_set(
		err, -EBUSY,
		"%s: carries the XDP program \"%s\" (id %u), which is not detnat's of this pin path; take it off with "
		"`ip link set dev %s %s off`",
		l->name, name, l->xdp.prog_id, l->name,
		l->xdp.attached == XDP_ATTACHED_SKB  ? "xdpgeneric"
		: l->xdp.attached == XDP_ATTACHED_HW ? "xdpoffload"
						     : "xdpdrv");
}

int link_check(const struct link *l, struct error *err)
{
	if (l->type == ARPHRD_LOOPBACK)
		return error_set(err, -EINVAL, "%s: is the loopback interface, which carries no traffic of subscribers",
				 l->name);
	if (l->ifindex >= MAX_IFINDEX)
		return error_set(err, -ERANGE,
				 "%s: has interface index %u, and detnat's tables end at %u; indexes start over in a "
				 "new network namespace or after a reboot",
				 l->name, l->ifindex, MAX_IFINDEX - 1);
	if (link_vrf(l) >= MAX_IFINDEX)
		return error_set(
			err, -ERANGE,
			"%s: is in a VRF with interface index %u, and detnat's tables end at %u; indexes start "
			"over in a new network namespace or after a reboot",
			l->name, link_vrf(l), MAX_IFINDEX - 1);
	return 0;
}

int xdp_check_link(const struct link *l, struct error *err)
{
	int r = link_check(l, err);

	if (r)
		return r;
	if (l->type != ARPHRD_ETHER)
		return error_set(err, -EINVAL,
				 "%s: has no Ethernet header (link type %u), like tunnels and PPP, and carries no XDP "
				 "program: set 'xdp_mode' to 'auto' or 'none'",
				 l->name, l->type);
	return 0;
}

int xdp_check(const struct link *l, const struct own_programs *own, struct error *err)
{
	int r = xdp_check_link(l, err);

	if (r || l->xdp.attached == XDP_ATTACHED_NONE)
		return r;
	if (l->xdp.attached == XDP_ATTACHED_HW || l->xdp.attached == XDP_ATTACHED_MULTI ||
	    !own_programs_has(own, l->xdp.prog_id))
		return refuse_foreign(l, err);
	return 0;
}

int xdp_settle_mode(const struct link *l, enum xdp_mode *mode, struct error *err)
{
	if (*mode == XDP_MODE_SKB || xdp_mode_is_without(*mode) || !virtio_ignores_xdp("", l->name, l->mtu))
		return 0;
	if (*mode == XDP_MODE_NATIVE)
		return error_set(
			err, -EOPNOTSUPP,
			"%s: virtio_net takes a native XDP program here and never runs it, as the host offers "
			"no mergeable buffers; give the guest mrg_rxbuf=on, or set 'xdp_mode' to 'auto', which "
			"uses generic XDP",
			l->name);
	*mode = XDP_MODE_SKB;
	return 0;
}

/* A veth's peer and a tap's process send no larger frames then, and virtio's host merges none. */
static bool is_cut(const struct link *l)
{
	return l->kind[0] ? !strcmp(l->kind, "veth") || (!strcmp(l->kind, "tun") && !link_is_bare(l))
			  : virtio_merges("", l->name);
}

static const struct link *cut_at(const struct link_list *all, const struct link *l)
{
	if (strcmp(l->kind, "bond") != 0)
		return is_cut(l) ? l : NULL;
	for (size_t k = 0; k < all->count; k++)
		if (all->link[k].master == l->ifindex && is_cut(&all->link[k]))
			return &all->link[k];
	return NULL;
}

bool xdp_may_give_way(const struct xdp_wish *wish)
{
	return wish->mode == XDP_MODE_AUTO && wish->sends && wish->dispatcher == DISPATCHER_NONE;
}

const struct link *xdp_gives_way(const struct link_list *all, const struct link *l, const struct xdp_wish *wish)
{
	return xdp_may_give_way(wish) ? cut_at(all, l) : NULL;
}

static uint32_t mode_flag(bool native)
{
	return native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
}

/* Replaces the program with this id by fd (-1: nothing), and no other program; 0: only where there is none. */
static int exchange(const struct own_programs *own, uint32_t ifindex, bool native, uint32_t old_id, int fd)
{
	if (!old_id)
		return bpf_xdp_attach((int)ifindex, fd, mode_flag(native) | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);

	_cleanup_close_ int old = own_programs_open(own, old_id);

	if (old < 0)
		return old == -ENOENT ? -EAGAIN : old;
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = old);
	return bpf_xdp_attach((int)ifindex, fd, mode_flag(native) | XDP_FLAGS_REPLACE, &opts);
}

static int report(const struct link *l, int r, bool native, const char *message, struct error *err)
{
	if (r == -ENODEV)
		return error_set(err, r, "%s: the interface is gone", l->name);
	return error_set(err, r, "%s: XDP cannot be attached in %s mode: %s%s%s", l->name,
			 native ? "native" : "generic", strerror(-r), *message ? ": " : "", message);
}

int xdp_refuse_merged(const struct link *l, const struct link *by, struct error *err)
{
	return error_set(err, -EOPNOTSUPP,
			 "%s: generic XDP on a %s sees packets as GRO has merged them on the interfaces below, whose "
			 "checksums cannot be kept right: switch that off, 'ethtool -K %s gro off'%s",
			 l->name, l->kind, by->name,
			 link_is_vlan(l) ? ", or leave tags to XDP, 'ethtool -K … rx-vlan-hw-parse off'" : "");
}

int xdp_check_merged(const struct link *l, struct error *err)
{
	_cleanup_free_ struct link *links = NULL;
	struct link_list all = { 0 };
	const struct link *by = NULL;
	struct netlink *n;

	if (!link_is_stacked(l) || netlink_new(&n))
		return 0;
	if (!links_read(n, &links, &all.count)) {
		all.link = links;
		by = merged_by(&all, l);
	}
	netlink_free(n);
	return by ? xdp_refuse_merged(l, by, err) : 0;
}

/* Attaches to a link that carries no program. */
static int attach_afresh(const struct own_programs *own, const struct link *l, int fd, enum xdp_mode mode,
			 bool *ret_native, struct error *err)
{
	bool native = mode != XDP_MODE_SKB;
	const char *message;
	int r;

	kernel_message_begin();
	r = exchange(own, l->ifindex, native, 0, fd);
	message = kernel_message_end();
	if (r && r != -ENODEV && r != -EBUSY && r != -EEXIST && mode == XDP_MODE_AUTO) {
		if (xdp_check_merged(l, err))
			return -EOPNOTSUPP;
		log_info("%s: no native XDP (%s), which is faster; using generic XDP", l->name,
			 *message ? message : strerror(-r));
		native = false;
		kernel_message_begin();
		r = exchange(own, l->ifindex, native, 0, fd);
		message = kernel_message_end();
	}
	if (r)
		return report(l, r, native, message, err);
	*ret_native = native;
	return 0;
}

/*
 * The kernel runs either native or generic XDP: the old program is detached first, and restored if the new one is
 * refused.
 */
static int change_mode(const struct own_programs *own, const struct link *l, int fd, enum xdp_mode mode,
		       bool *ret_native, struct error *err)
{
	bool was_native = l->xdp.attached == XDP_ATTACHED_DRV;
	_cleanup_close_ int old = own_programs_open(own, l->xdp.prog_id);
	int r;

	kernel_message_begin();
	r = old < 0 ? old : exchange(own, l->ifindex, was_native, l->xdp.prog_id, -1);
	if (r)
		return report(l, r, was_native, kernel_message_end(), err);
	kernel_message_end();
	r = attach_afresh(own, l, fd, mode, ret_native, err);
	if (r) {
		kernel_message_begin();
		exchange(own, l->ifindex, was_native, 0, old);
		kernel_message_end();
	}
	return r;
}

int xdp_attach(const struct link *l, int fd, enum xdp_mode mode, const struct own_programs *own, bool *ret_native,
	       struct error *err)
{
	bool native = l->xdp.attached == XDP_ATTACHED_DRV;
	int r = xdp_check(l, own, err);

	if (r)
		return r;
	if (fd < 0)
		return error_set(err, -EBADF, "%s: there is no XDP program to attach", l->name);
	if (l->xdp.attached == XDP_ATTACHED_NONE)
		return attach_afresh(own, l, fd, mode, ret_native, err);
	if (native ? mode == XDP_MODE_SKB : mode == XDP_MODE_NATIVE)
		return change_mode(own, l, fd, mode, ret_native, err);
	if (l->xdp.prog_id != program_id(fd)) {
		kernel_message_begin();
		r = exchange(own, l->ifindex, native, l->xdp.prog_id, fd);

		const char *message = kernel_message_end();

		if (r)
			return report(l, r, native, message, err);
	}
	*ret_native = native;
	return 0;
}

int xdp_detach(const struct link *l, const struct own_programs *own)
{
	int r;

	if (l->xdp.attached != XDP_ATTACHED_DRV && l->xdp.attached != XDP_ATTACHED_SKB)
		return 0;
	if (!own_programs_has(own, l->xdp.prog_id))
		return 0;
	kernel_message_begin();
	r = exchange(own, l->ifindex, l->xdp.attached == XDP_ATTACHED_DRV, l->xdp.prog_id, -1);
	kernel_message_end();
	return r == -ENODEV ? 0 : r;
}

static libbpf_print_fn_t print_otherwise;
/* Per thread: another thread may be loading programs, whose messages are not captured here. */
static __thread bool listening;
static char kernel_message[256];

static int listen_to_libbpf(enum libbpf_print_level level, const char *format, va_list ap)
{
	static const char mark[] = "Kernel error message: ";
	char line[512];
	char *text;

	if (!listening)
		return print_otherwise ? print_otherwise(level, format, ap) : 0;
	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(line, sizeof(line), format, ap);
	text = strstr(line, mark);
	if (text) {
		snprintf(kernel_message, sizeof(kernel_message), "%.255s", text + strlen(mark));
		kernel_message[strcspn(kernel_message, "\n")] = '\0';
	}
	return 0;
}

void kernel_message_begin(void)
{
	libbpf_print_fn_t before = libbpf_set_print(listen_to_libbpf);

	/* The function stays set; resetting it could undo what another thread has set meanwhile. */
	if (before != listen_to_libbpf)
		print_otherwise = before;
	kernel_message[0] = '\0';
	listening = true;
}

const char *kernel_message_end(void)
{
	listening = false;
	return kernel_message;
}
