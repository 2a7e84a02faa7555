/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interfaces shared with other XDP programs: detnat's entry program is a component of libxdp's dispatcher there. The
 * helper detnat-xdp puts it there and takes it out (<detnat/xdp_helper.h>); the agent holds the link between the two,
 * and pins it as share_<interface>_<entry>_<priority>, so that the component outlives both libxdp's pins and the agent.
 */
#ifndef DETNAT_SHARE_H
#define DETNAT_SHARE_H

#include <detnat/programs.h>
#include <detnat/xdp_helper.h>

#include "attach/own_programs.h"
#include "config/config.h"
#include "datapath/datapath.h"
#include "host/netlink.h"

/*
 * What runs on an interface under libxdp's dispatcher, as the helper sees it. d NULL, or without its maps: none is
 * detnat's. try: also whether a component could be attached in that mode; -errno with err if not. -ENOTCONN: no helper
 * answers; *ret is then all 0. After one that did not answer in time, none is asked for a minute.
 */
int share_look(const struct datapath *d, uint32_t ifindex, struct share_answer *ret, struct error *err);
int share_try(const struct datapath *d, const struct link *l, const struct xdp_wish *wish, struct share_answer *ret,
	      struct error *err);

/*
 * Makes the dispatcher on a link run the entry program, with the wished priority, and enters it in own. Asks the helper
 * for nothing where that is so already. detnat's program alone on the interface goes first, and comes back after a
 * failure. *ret_native is the mode. l is as just read.
 */
int share_attach(const struct datapath *d, const struct link *l, enum entry entry, const struct xdp_wish *wish,
		 struct own_programs *own, bool *ret_native, struct error *err);

/*
 * After another program came or went, which replaces the dispatcher: finds the component in the new one, and takes the
 * new link. True if it is in its place, and every program before it passes packets on.
 */
bool share_renew(const struct datapath *d, const struct link *l, struct own_programs *own, struct share_answer *ret,
		 struct error *err);

/*
 * Removes the components from the interface, and the pin of the link: all; those of datapaths of other layouts, whose
 * pins are still there; or that of this one. 0, or -errno with err.
 */
int share_detach(const struct datapath *d, uint32_t ifindex, struct own_programs *own, struct error *err);
int share_detach_former(const struct datapath *d, uint32_t ifindex, struct own_programs *own, struct error *err);
int share_detach_present(const struct datapath *d, uint32_t ifindex, struct own_programs *own, struct error *err);

/*
 * Whether a component is of a datapath of another layout that has `entries` of its own; mostly, an upgrade takes that
 * map over, and the component with it.
 */
bool share_is_apart(const struct datapath *d, const struct own_program *share);

/*
 * Removes a component that no pin is known of, as of an agent that ended while the helper worked for it. Nothing
 * happens without a helper.
 */
void share_detach_stray(const struct datapath *d, const struct link *l, const struct own_programs *own);

/* As share_detach(), but -EBUSY if other programs keep the dispatcher there, where detnat's cannot be alone. */
int share_leave(const struct datapath *d, const struct link *l, struct own_programs *own, struct error *err);

/* Forgets the component of an interface that is gone. */
void share_forget(const struct datapath *d, uint32_t ifindex, struct own_programs *own);

#endif
