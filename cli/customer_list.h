/* SPDX-License-Identifier: BSD-2-Clause */
/* The addresses and blocks that a customer had: a person's right of access. */
#ifndef DETNATCTL_CUSTOMER_LIST_H
#define DETNATCTL_CUSTOMER_LIST_H

#include "command.h"

/* Lists them, by the leases and the history that the arguments name. Returns an exit status: 1 if there are none. */
int customer_list(const char *socket, const cJSON *args, struct writer *w, struct error *err);

#endif
