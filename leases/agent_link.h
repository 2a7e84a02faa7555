/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's orders and the reports to it. The descriptor is a socket that listens, to which the agent connects, or
 * the agent's own connection, whose end is that of the program. Only root, the program's own user and the agent's are
 * listened to.
 */
#ifndef DETNAT_AGENT_LINK_H
#define DETNAT_AGENT_LINK_H

#include "worker.h"

struct agent_link {
	int listening; /* -1: the program is the agent's */
	int fd;	       /* the connection; -1: none */
	struct lease_means *prepared;
};

/* 0, or -errno with err. */
int agent_link_open(struct agent_link *l, int fd, struct error *err);
void agent_link_close(struct agent_link *l);

/* Carries out orders. Returns false if the program is to end, as its agent has. */
bool agent_link_work(struct agent_link *l, struct worker *k);

/* Reports the state. */
void agent_link_report(const struct agent_link *l, struct worker *k);

#endif
