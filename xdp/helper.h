/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of detnat-xdp, which serves one request of the agent (<detnat/xdp_helper.h>) and ends. */
#ifndef DETNAT_HELPER_H
#define DETNAT_HELPER_H

#include <stdbool.h>
#include <sys/types.h>

#include <detnat/xdp_helper.h>

#include "base/base.h"
#include "base/error.h"

/* A request whose descriptors have been checked. */
struct request {
	struct share_request said;
	int fd[SHARE_REQUEST_FDS]; /* -1: not given */
};

/* Receives a request and checks it: 0, or -errno with err. Closing the descriptors is the caller's in any case. */
int request_receive(int connection, struct request *ret, struct error *err);
void request_close(struct request *q);

/* Enters the network namespace of a request. 0, or -errno with err. */
int request_enter(const struct request *q, struct error *err);

/* Sends an answer, with the descriptors of fd[] if there are any. 0 or -errno. */
int answer_send(int connection, const struct share_answer *a, const int fd[SHARE_ANSWER_FDS]);

/* What an interface of the present network namespace runs. */
struct look {
	struct share_answer found;
	uint32_t prog_id;	      /* of its XDP program, a dispatcher or not; 0: none */
	char prog_name[SHARE_NAME];   /* its name */
	int link[SHARE_MAX_PROGRAMS]; /* descriptors of the links of found.program[]; -1: none */
	uint32_t own;		      /* number of detnat's program in found.program[]; SHARE_MAX_PROGRAMS: none */
};

/* entries: the map whose programs are detnat's; -1: none is. look_close() frees *ret. 0, or -errno with err. */
int look_at(uint32_t ifindex, int entries, struct look *ret, struct error *err);
void look_close(struct look *l);

/*
 * Attaches the entry program that a request asks for, with its priority, or leaves one that is there; removes others
 * of detnat's. 0, or -errno with err and what was there.
 */
int component_attach(const struct request *q, struct error *err);

/* Removes the components of a request's datapath from its interface; there may be none. 0, or -errno with err. */
int component_detach(const struct request *q, struct error *err);

/* Whether component_attach() could succeed there: 0, or -errno with err. Leaves the network namespace. */
int component_try(const struct request *q, struct error *err);

/* Keeps what libxdp and libbpf complain about for messages. */
void complaints_begin(void);
const char *complaint(void); /* the last one, "" if there was none */

#endif
