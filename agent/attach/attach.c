/* SPDX-License-Identifier: BSD-2-Clause */
#include "attach/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_link.h>
#include <string.h>

#include "attach/share.h"
#include "base/log.h"
#include "datapath/bpffs.h"

bool link_carries(struct netlink *n, const struct link *l, const struct own_programs *own)
{
	uint32_t tc;

	if (l->xdp.prog_id && own_programs_has(own, l->xdp.prog_id))
		return true;
	if (tcx_program(own->pin_path, l->ifindex, TC_INGRESS))
		return true;
	tc = tc_attached(n, own, l->ifindex, TC_INGRESS);
	return tc && own_programs_has(own, tc);
}

/* A descriptor of the program with that id, or -errno. */
static int pinned_tc_program(const struct datapath *d, bool bare, enum tc_side side, uint32_t id)
{
#define X(name, ...) d->name,
	const int entries[] = { INGRESS_ENTRY_PROGRAMS(X) d->tc_into_vrf };
#undef X
	int fd;

	if (side == TC_EGRESS)
		return pinned_program(d->pin_dir, bare ? PIN_BARE_PROGRAM : PIN_TC_PROGRAM, id);
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
		if (program_id(entries[i]) == id) {
			fd = fcntl(entries[i], F_DUPFD_CLOEXEC, 3);
			return fd < 0 ? -errno : fd;
		}
	return -ENOENT;
}

void attach_before_init(struct attach_before *before)
{
	*before = (struct attach_before){ .xdp = -1 };
	for (enum tc_side side = 0; side < N_TC_SIDES; side++)
		before->tc[side] = -1;
}

int attach_note(struct netlink *n, const struct link *l, const struct datapath *d, const struct own_programs *own,
		struct attach_before *ret)
{
	struct attach_before before;
	const struct own_program *share;

	attach_before_init(&before);
	before.ifindex = l->ifindex;
	before.record = d->device[l->ifindex];
	before.xdp_native = l->xdp.attached == XDP_ATTACHED_DRV;
	share = own_programs_share(own, l->ifindex);
	/* Also under a dispatcher that others have put there since. */
	if (share && l->xdp.prog_id &&
	    (own_programs_shares(own, l->ifindex, l->xdp.prog_id) || !own_programs_has(own, l->xdp.prog_id))) {
		before.shared = true;
		before.of_another_layout = share_is_apart(d, share);
		before.entry = share->entry;
		before.priority = share->priority;
	} else if (l->xdp.attached != XDP_ATTACHED_NONE && own_programs_has(own, l->xdp.prog_id)) {
		before.xdp = own_programs_open(own, l->xdp.prog_id);
		if (before.xdp < 0)
			return before.xdp;
	}
	/* A program of another layout is not pinned here, so its successor stays in place. */
	for (enum tc_side side = 0; side < N_TC_SIDES; side++) {
		uint32_t tc = tc_attached(n, own, l->ifindex, side);

		before.had_tc[side] = tc;
		before.had_filter[side] = tc_is_filter(n, l->ifindex, side);
		if (tc)
			before.tc[side] = pinned_tc_program(d, link_is_bare(l), side, tc);
	}
	*ret = before;
	return 0;
}

void attach_restore(struct netlink *n, struct datapath *d, const struct attach_before *before, struct own_programs *own,
		    bool made_clsact)
{
	const struct xdp_wish wish = { .mode = before->xdp_native ? XDP_MODE_NATIVE : XDP_MODE_SKB,
				       .dispatcher = DISPATCHER_LIBXDP,
				       .priority = before->priority };
	struct error err = { 0 };
	struct link l;
	bool ignored;

	if (!before->ifindex)
		return;
	if (link_by_index(n, before->ifindex, &l)) {
		d->device[before->ifindex] = (struct device){ 0 };
		return;
	}
	if (before->shared && before->of_another_layout) {
		if (share_detach_present(d, l.ifindex, own, &err))
			log_error("%s: %s", l.name, err.text);
	} else if (before->shared) {
		if (share_attach(d, &l, before->entry, &wish, own, &ignored, &err))
			log_error("%s", err.text);
	} else if (share_detach(d, l.ifindex, own, &err) || link_by_index(n, before->ifindex, &l)) {
		log_error("%s: %s", l.name, err.text);
	} else if (before->xdp < 0) {
		xdp_detach(&l, own);
	} else {
		xdp_attach(&l, before->xdp, wish.mode, own, &ignored, NULL);
	}
	for (enum tc_side side = 0; side < N_TC_SIDES; side++)
		if (!before->had_tc[side])
			tc_detach(n, own, l.ifindex, side, made_clsact && side == N_TC_SIDES - 1);
		else if (before->had_filter[side] && own->by_links)
			tcx_detach(own->pin_path, l.ifindex, side);
		else if (before->tc[side] >= 0)
			tc_attach(n, own, &l, side, before->tc[side], &ignored, NULL);
	d->device[before->ifindex] = before->record;
}

void attach_forget(struct attach_before *before)
{
	close_fd(&before->xdp);
	for (enum tc_side side = 0; side < N_TC_SIDES; side++)
		close_fd(&before->tc[side]);
	attach_before_init(before);
}
