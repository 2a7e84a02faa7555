/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the agent and the helper detnat-xdp say to each other. A connection of SOCK_SEQPACKET carries one request and
 * one answer, in host byte order; the helper ends with it.
 *
 * With the request come descriptors: of the network namespace, then, except for a LIST, of the maps `entries` and
 * `counters` of the datapath. A LIST may bring them too: then it tells which programs are detnat's. With the answer
 * come, if detnat's program is in its place, descriptors of its link and of itself.
 */
#ifndef DETNAT_XDP_HELPER_H
#define DETNAT_XDP_HELPER_H

#include <stdint.h>

#define SHARE_SOCKET "/run/detnat-xdp.sock"
/* Of 1.0.0, in the directory of the agent's user: a socket unit that an upgrade has not restarted still listens there.
 */
#define SHARE_FORMER_SOCKET "/run/detnat/xdp.sock"
#define SHARE_MAGIC	    0x646e7870U
#define SHARE_VERSION	    1U

/*
 * Seconds. The helper ends by itself before the agent gives it up, so that nothing comes after the agent has chosen
 * another way. An attachment has the kernel verify some small programs.
 */
#define SHARE_HELPER_PATIENCE_S 12U
#define SHARE_AGENT_PATIENCE_S	15U

/* Descriptors with a request, and with an answer. */
enum { SHARE_NETNS, SHARE_ENTRIES, SHARE_COUNTERS, SHARE_REQUEST_FDS };
enum { SHARE_LINK, SHARE_PROGRAM, SHARE_ANSWER_FDS };

enum share_kind {
	SHARE_LIST = 1,
	SHARE_ATTACH, /* with priority and mode; one that is there with another is replaced */
	SHARE_DETACH, /* removes components that jump through `entries`, and no others */
};

enum share_mode { SHARE_ANY, SHARE_NATIVE, SHARE_SKB };

/* With a LIST: also try whether an ATTACH could succeed, on the loopback interface of a new network namespace. */
#define SHARE_TRY 1U

struct share_request {
	uint32_t magic;
	uint16_t version;
	uint8_t kind; /* enum share_kind */
	uint8_t mode; /* enum share_mode; SHARE_ANY not for an ATTACH */
	uint32_t ifindex;
	uint8_t entry; /* enum entry: the role */
	uint8_t priority;
	uint8_t flags;
	uint8_t pad;
};
_Static_assert(sizeof(struct share_request) == 16, "part of the protocol");

/* As many as libxdp's dispatcher has slots. */
#define SHARE_MAX_PROGRAMS 10U
#define SHARE_NAME	   64U
#define SHARE_TEXT	   384U

/* A program under the dispatcher, in the order in which they run. */
struct share_program {
	char name[SHARE_NAME];
	uint32_t id;
	uint32_t chain; /* bits 1 << XDP_…: verdicts after which the next program runs */
	uint8_t priority;
	uint8_t frags;
	uint8_t own; /* it jumps through `entries` */
	uint8_t pad[5];
};
_Static_assert(sizeof(struct share_program) == 80, "part of the protocol");

struct share_answer {
	uint32_t magic;
	uint16_t version;
	uint8_t mode; /* enum share_mode, in which the interface runs XDP; SHARE_ANY: it runs none */
	uint8_t n_programs;
	int32_t error;	     /* 0 or -errno, then `text` says why; the rest is as it is on the interface now */
	uint32_t dispatcher; /* id of the program that the interface runs, if that is libxdp's dispatcher; else 0 */
	uint8_t dispatcher_version;
	uint8_t frags;
	uint8_t unpinned; /* libxdp's pins of the dispatcher are gone: it changes it no more */
	uint8_t pad[5];
	char text[SHARE_TEXT];
	struct share_program program[SHARE_MAX_PROGRAMS];
};
_Static_assert(sizeof(struct share_answer) == 24 + 384 + 800, "part of the protocol");

#endif
