/* SPDX-License-Identifier: BSD-2-Clause */
/* All that may have had a port of an outside address in a second, where the port is not known. */
#ifndef DETNATCTL_WHO_CANDIDATES_H
#define DETNATCTL_WHO_CANDIDATES_H

#include "who_reply.h"

#define CANDIDATES_SHOWN 100U

/*
 * Shows --limit of them from --offset on. A row has ports of one subscriber; for each of these ports, who ADDR:PORT
 * names him. Granted blocks and portmaps have rows of their own. Returns an exit status, with err set unless it is 0:
 * EXIT_REFUSED if there is none, or if there is no record of some ports.
 */
int who_candidates(struct who_source *s, uint32_t addr, int64_t t, const cJSON *args, struct writer *w,
		   struct error *err);

#endif
