/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XDP and tc programs of one interface: attached, replaced in place, detached, with nobody else's ever touched.
 *
 * Attached by netlink, not by bpf_link, so that the programs stay when the agent goes.
 */
#ifndef DETNAT_ATTACH_H
#define DETNAT_ATTACH_H

#include "datapath/datapath.h"
#include "links/own_programs.h"
#include "host/netlink.h"
#include "datapath/pinned.h"

enum device_attachment { DEVICE_ABSENT, DEVICE_XDP_NATIVE, DEVICE_XDP_SKB };

/* Refuses a link on which XDP cannot work or must not: 0, or -errno with err naming the link and what to do. */
int xdp_check(const struct link *l, const struct own_programs *own, struct error *err);

/*
 * Has the link run the program fd. Where it does already, in a mode that fits, nothing is done; another program of ours
 * is replaced without a gap, unless the mode must change. l is as link_by_name() just returned it. *ret_native says the
 * mode. -ENODEV: the interface is gone.
 */
int xdp_attach(const struct link *l, int fd, enum xdp_mode mode, const struct own_programs *own, bool *ret_native,
	       struct error *err);

/* Sets err to why generic XDP cannot stand on a link above `by`, whose GRO is on; returns -EOPNOTSUPP. */
int xdp_refuse_merged(const struct link *l, const struct link *by, struct error *err);

/* Takes off what is ours, if it is. 0 or -errno. */
int xdp_detach(const struct link *l, const struct own_programs *own);

/* Where the filter stands: `tc filter show dev NAME egress` shows it as pref 215 handle 0x1. */
#define TC_PRIORITY 215U
#define TC_HANDLE   1U

/*
 * Has the link run the program fd at its egress, in place of an earlier one of ours. *ret_made_clsact is set where the
 * clsact qdisc had to be made, else left alone.
 */
int tc_attach(struct netlink *n, const struct link *l, int fd, bool *ret_made_clsact, struct error *err);

/* Id of our program at the link's egress, 0 where there is none. */
uint32_t tc_attached(struct netlink *n, uint32_t ifindex);

/* Takes off our filter, and the clsact qdisc where made_clsact says that it is ours and nothing else hangs in it. */
int tc_detach(struct netlink *n, uint32_t ifindex, bool made_clsact);

/* What a link carried before a change. */
struct attach_before {
	uint32_t ifindex; /* 0: nothing was noted */
	bool xdp_native;
	int xdp; /* descriptors, -1 where there was none of ours */
	int tc;
	bool had_tc; /* there was a tc program of ours, even where tc is -1 */
	struct device record;
};

int attach_note(struct netlink *n, const struct link *l, const struct datapath *d, const struct own_programs *own,
		struct attach_before *ret);

/* Makes the link carry again what was noted; made_clsact as in tc_detach(), of what was made since. */
void attach_restore(struct netlink *n, struct datapath *d, const struct attach_before *before,
		    const struct own_programs *own, bool made_clsact);
void attach_forget(struct attach_before *before);

#endif
