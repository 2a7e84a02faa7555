/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcx links, from Linux 6.6 on. Unlike the filters of a clsact qdisc they belong to nobody else: whoever deletes the
 * qdisc, or all filters, takes nothing away. Each is pinned as tcx_<interface>_<side>, so that it outlives the agent;
 * the interface is told by its index. A link goes with its interface, or with its last pin: an agent of another layout
 * that takes over and does not know of links removes them with the other pins.
 *
 * detnat's program is put in front of other programs and of all filters; what it passes goes on to them (CTX_PASS in
 * bpf/base/ctx_tc.h). Whoever attaches at the front later is in front of it, and keeps from it what it accepts: the
 * kernel notifies nobody, and nothing can hold the first place. So the agent asks often who is first, by tcx_first(),
 * and tcx_attach() takes the place again.
 */
#ifndef DETNAT_TCX_H
#define DETNAT_TCX_H

#include <stdbool.h>
#include <stdint.h>

enum tc_side { TC_EGRESS, TC_INGRESS, TC_INTO_VRF, N_TC_SIDES };

/* Whether this kernel has tcx. */
bool tcx_is_supported(void);

/*
 * Whether programs are attached by links: this kernel has them, and the pins stay when the agent ends. Where they would
 * end with its mount namespace, a filter stays instead, and drops what it can no longer translate.
 */
bool tcx_wanted(const char *pin_path);

/* The program that a pinned link of any layout runs on that side of an interface: its id, 0: none. */
uint32_t tcx_program(const char *pin_path, uint32_t ifindex, enum tc_side side);

/* The program that the kernel runs first there, of anybody: its id, 0: none. Costs one system call. */
uint32_t tcx_first(uint32_t ifindex, enum tc_side side);

/* The program of others that runs before that of the pinned link: its id, 0: none, or there is no such link. */
uint32_t tcx_in_front(const char *pin_path, uint32_t ifindex, enum tc_side side);

/*
 * Makes the interface run the program fd there, first of all: others that are in front stay, and come next. instead: a
 * filter of detnat's is there, too; from this call on it sees no packet, and nor do those of others, until a call
 * without, once the filter is gone. No packet is missed or translated twice meanwhile. 0 or -errno.
 */
int tcx_attach(const char *pin_path, uint32_t ifindex, enum tc_side side, int fd, bool instead);

/* Takes the links of every layout off, and their pins; also if the interface is gone. 0 or -errno. */
int tcx_detach(const char *pin_path, uint32_t ifindex, enum tc_side side);

/*
 * Calls visit with the id of each program at that hook, of anybody, in their order; a result other than 0 ends that and
 * is returned. 0 on kernels without tcx.
 */
int tcx_visit_programs(uint32_t ifindex, enum tc_side side, int (*visit)(uint32_t id, void *arg), void *arg);

#endif
