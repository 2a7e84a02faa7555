/* SPDX-License-Identifier: BSD-2-Clause */
/* Portmaps in answers. */
#ifndef DETNAT_PORTMAP_JSON_H
#define DETNAT_PORTMAP_JSON_H

#include <cjson/cJSON.h>

#include "config/port_pairs.h"
#include "tables/portmap_table.h"

/* The names that a configuration gives to portmaps, which the tables do not have. */
struct portmap_names {
	struct port_pair *pairs;
	size_t n;
	char (*name)[LABEL_TEXT]; /* by port_pair.number */
};

/* 0 or -ENOMEM. */
int portmap_names_read(const struct config *c, struct portmap_names *ret);
void portmap_names_free(struct portmap_names *n);

/* NULL: out of memory. */
cJSON *portmap_json(const struct portmaps *p, const struct portmap_names *names, const struct portmap *m);

/*
 * Adds the portmap of an outside endpoint as "portmap"; if TCP and UDP have different ones, that of UDP as
 * "portmap_udp". Returns the first, or NULL.
 */
const struct portmap *json_add_portmaps(cJSON *object, const struct config *c, const struct portmaps *p,
					struct endpoint out);

#endif
