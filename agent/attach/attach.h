/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attaches, replaces and detaches the XDP and tc programs of one interface; other programs are never touched.
 *
 * XDP is attached through netlink, not by a bpf_link, so that it stays when the agent ends, and so that a version that
 * knows no links can replace it; tc by pinned links where the kernel has them (attach/tcx.h).
 */
#ifndef DETNAT_ATTACH_H
#define DETNAT_ATTACH_H

#include <stddef.h>
#include <stdint.h>

#include "attach/own_programs.h"
#include "attach/tcx.h"
#include "datapath/datapath.h"
#include "datapath/pinned.h"
#include "host/netlink.h"
#include "host/stacking.h"

/* DEVICE_TC: tc at the ingress, without XDP. */
enum device_attachment { DEVICE_ABSENT, DEVICE_XDP_NATIVE, DEVICE_XDP_SKB, DEVICE_TC };

/* Refuses a link that cannot carry detnat's programs: 0, or -errno with err naming the link and the remedy. */
int link_check(const struct link *l, struct error *err);

/* Refuses a link whose packets the tc programs of a datapath with other pins translate; see own_programs_has(). */
int tc_check(struct netlink *n, const struct link *l, const struct own_programs *own, struct error *err);

/* Whether one of these programs runs at the ingress of a link, in XDP or tc. */
bool link_carries(struct netlink *n, const struct link *l, const struct own_programs *own);

/* As link_check(), but also refuses a link on which XDP cannot work; and, too, on which it must not be attached. */
int xdp_check_link(const struct link *l, struct error *err);
int xdp_check(const struct link *l, const struct own_programs *own, struct error *err);

/*
 * The mode that suits a link whose driver takes an XDP program and never runs it, where *mode is "auto"; refuses
 * "native" there: 0, or -EOPNOTSUPP with err.
 */
int xdp_settle_mode(const struct link *l, enum xdp_mode *mode, struct error *err);

/*
 * Where the kernel would cut frames of several segments if XDP ran on a link: the link, or a port of a bond. NULL: it
 * would not, or that is no reason to do without XDP, which is so unless xdp_may_give_way().
 */
bool xdp_may_give_way(const struct xdp_wish *wish);
const struct link *xdp_gives_way(const struct link_list *all, const struct link *l, const struct xdp_wish *wish);

/*
 * Whether a link carries an XDP program with the name of one of detnat's: of this datapath, or of one whose pins are
 * not visible.
 */
bool xdp_is_of_detnat(const struct link *l);
/* Whether an interface carries an XDP program that is not detnat's, or one in the hardware. */
bool xdp_is_foreign(const struct link *l);

/*
 * Makes the link run the program fd. If it does already, in a suitable mode, nothing is done. Another program of
 * detnat's is replaced without a gap, unless the mode has to change. l is as link_by_name() just returned it.
 * *ret_native is the mode. -ENODEV if the interface is gone.
 */
int xdp_attach(const struct link *l, int fd, enum xdp_mode mode, const struct own_programs *own, bool *ret_native,
	       struct error *err);

/* Refuses generic XDP on a stacked link whose packets GRO merges below: 0, or -EOPNOTSUPP with err. */
int xdp_check_merged(const struct link *l, struct error *err);

/* Sets err to the reason why a link above `by`, on which GRO is on, cannot use generic XDP; returns -EOPNOTSUPP. */
int xdp_refuse_merged(const struct link *l, const struct link *by, struct error *err);

/* Detaches the program if it is detnat's, alone on the link. 0 or -errno. */
int xdp_detach(const struct link *l, const struct own_programs *own);

/*
 * The place of a filter: `tc filter show dev NAME egress` shows it as pref 215 handle 0x1. The program for VRFs, behind
 * XDP, has handle 0x2 at the ingress.
 */
#define TC_PRIORITY 215U

static inline uint32_t tc_handle(enum tc_side side)
{
	return side == TC_INTO_VRF ? 2 : 1;
}

/*
 * Makes the link run the program fd on that side, in place of an earlier one of detnat's: by a tcx link, else as a
 * filter. Sets *ret_made_clsact if the clsact qdisc had to be created, else leaves it unchanged.
 */
int tc_attach(struct netlink *n, const struct own_programs *own, const struct link *l, enum tc_side side, int fd,
	      bool *ret_made_clsact, struct error *err);

/*
 * Makes a clsact qdisc, which links do without, for the way back to a version that has filters alone: the kernel loses
 * what it is sending while one is made, so it is there before there is traffic. Returns whether it did.
 */
bool tc_make_clsact(uint32_t ifindex);

/*
 * Removes the filter of a former version behind a link that tc_attach() has made. Until this call tcx_detach() undoes
 * everything.
 */
int tc_settle(struct netlink *n, const struct own_programs *own, const struct link *l, enum tc_side side, int fd,
	      struct error *err);

/* Id of detnat's program on that side of the link, 0 if there is none; and whether a filter runs one. */
uint32_t tc_attached(struct netlink *n, const struct own_programs *own, uint32_t ifindex, enum tc_side side);
bool tc_is_filter(struct netlink *n, uint32_t ifindex, enum tc_side side);

/* tc_attached(), but 0 where a tcx program of others is in front of a link's. */
uint32_t tc_translates(struct netlink *n, const struct own_programs *own, uint32_t ifindex, enum tc_side side);

/* The name of a hook: "ingress" or "egress". */
const char *tc_side_name(enum tc_side side);

/* Whether the ingress has a program of detnat's whose pins are not at this pin path. */
bool tc_is_foreign(struct netlink *n, uint32_t ifindex, const struct own_programs *own);

/* Detaches detnat's program there; with made_clsact also the clsact qdisc, if nothing else is attached to it. */
int tc_detach(struct netlink *n, const struct own_programs *own, uint32_t ifindex, enum tc_side side, bool made_clsact);

/* The programs and the record of a link before a change. */
struct attach_before {
	uint32_t ifindex; /* 0: not filled in */
	bool xdp_native;
	bool shared;		/* the program was a component of libxdp's dispatcher, with these */
	bool of_another_layout; /* of a datapath of a former version, which stays until the change has succeeded */
	uint8_t entry;
	uint8_t priority;
	int xdp;		     /* descriptors; -1: no program of detnat's, alone */
	int tc[N_TC_SIDES];	     /* by enum tc_side */
	bool had_tc[N_TC_SIDES];     /* there was a tc program of detnat's, even if tc is -1 */
	bool had_filter[N_TC_SIDES]; /* as a filter, which stays until tc_settle() */
	struct device record;
};

/* Without descriptors. */
void attach_before_init(struct attach_before *before);

int attach_note(struct netlink *n, const struct link *l, const struct datapath *d, const struct own_programs *own,
		struct attach_before *ret);

/* Restores the programs and record that attach_note() noted; made_clsact as for tc_detach(). */
void attach_restore(struct netlink *n, struct datapath *d, const struct attach_before *before, struct own_programs *own,
		    bool made_clsact);
void attach_forget(struct attach_before *before);

/* The kernel's message about a refused XDP program, as libbpf reports it. */

/*
 * Between the two, libbpf prints nothing for this thread, and the kernel's own message about a refusal is kept. The
 * text is valid until the next call; it is empty if the kernel gave none.
 */
void kernel_message_begin(void);
const char *kernel_message_end(void);

/* Which interfaces carry the programs of a datapath, found without a running agent. */

/*
 * Indexes of this namespace's interfaces that have a role in the datapath pinned under a pin path and carry what the
 * role needs: XDP, on the interface or on its carrier, or tc at its ingress, and tc at the egress of an outside
 * interface. The caller frees *ret. 0 or -errno.
 */
int carriers_find(const char *pin_path, uint32_t **ret, size_t *ret_n);

#endif
