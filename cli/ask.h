/* SPDX-License-Identifier: BSD-2-Clause */
/* One of several requests on a connection that stays open, and its whole answer. */
#ifndef DETNATCTL_ASK_H
#define DETNATCTL_ASK_H

#include <cjson/cJSON.h>

#include "client.h"

/* Called before each line that may have to be waited for; other than 0 gives up, and is returned. */
typedef int (*ask_wait)(const struct client *c, void *arg);

/*
 * Asks, and puts the result into *ret, an array for what is streamed; the caller deletes it. args may be NULL. 0; what
 * wait returned; or -errno with err: -EPROTO for what no agent says, -EREMOTEIO where the agent refused. After any of
 * these the connection is of no use.
 */
int client_ask(struct client *c, const char *verb, const cJSON *args, ask_wait wait, void *arg, cJSON **ret,
	       struct error *err);

#endif
