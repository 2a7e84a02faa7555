/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_SHARE_PRIVATE_H
#define DETNAT_SHARE_PRIVATE_H

#include "attach/share.h"

/*
 * Sends a request, of which magic and version are filled in, with the maps of d (NULL: none). *ret_link: a descriptor
 * of the component's link, -1 if it is not in place; NULL: not wanted. 0, or -errno with err and in *ret what is there.
 */
int share_ask(const struct datapath *d, struct share_request q, struct share_answer *ret, int *ret_link,
	      struct error *err);

#endif
