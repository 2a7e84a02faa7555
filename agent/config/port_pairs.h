/* SPDX-License-Identifier: BSD-2-Clause */
/* The portmaps of a configuration, port by port, and checks of them. */
#ifndef DETNAT_PORT_PAIRS_H
#define DETNAT_PORT_PAIRS_H

#include "config/config.h"

/* One port of a portmap, for one protocol. */
struct port_pair {
	struct endpoint in;
	struct endpoint out;
	uint8_t proto;	 /* IPPROTO_TCP or IPPROTO_UDP */
	uint8_t tenant;	 /* 1 + place of the subscriber's in the list of tenants; 0: there are none */
	uint32_t number; /* of the portmap in the configuration */
};

/*
 * All pairs of a valid configuration, sorted by protocol and outside endpoint; the caller frees *ret. 0 or -ENOMEM.
 */
int port_pairs_of(const struct config *c, struct port_pair **ret, size_t *ret_n);

/* The pair with an outside endpoint, in a list so sorted; NULL: there is none. */
const struct port_pair *port_pair_find(const struct port_pair *list, size_t n, uint8_t proto, struct endpoint out);

/* The same by tenant and inside endpoint, in a list sorted by that. */
void port_pairs_sort_in(struct port_pair *list, size_t n);
const struct port_pair *port_pair_find_in(const struct port_pair *list, size_t n, uint8_t tenant, uint8_t proto,
					  struct endpoint in);

/* The tenant of a pair, and a pair's from the number of a tenant; both 0: there are none, or it has none. */
uint8_t port_pair_tenant(const struct config *c, const struct port_pair *p);
uint8_t port_pair_place(const struct config *c, uint8_t tenant);

/* Checks all portmaps against each other and the mappings, as config_validate() does. */
int portmaps_validate(const struct config *c, const char *name, struct error *err);

/* The outside endpoint of a port of a portmap, counted from its first. All 0: its inside address is in no mapping. */
struct endpoint config_portmap_out(const struct config *c, const struct config_portmap *m, size_t port);

/*
 * Gives each portmap of these inside addresses its tenant's name where several have the address, so that it is known
 * after an edit, too.
 */
void config_name_portmap_tenants(struct config *c, struct prefix in);

/* The number of ports of a portmap, for each of its protocols: what the limit of all portmaps counts. */
size_t portmap_pairs(const struct config_portmap *m);

/* Before a change of the list: gives a configuration one that no copy shares. 0 or -ENOMEM. */
int config_own_portmaps(struct config *c);

/* Adds a portmap: 0 or -ENOMEM. The result is not validated. */
int config_add_portmap(struct config *c, const struct config_portmap *m);

/*
 * Removes outside ports of these protocols from the portmaps that have them, which are split if ports remain. 0,
 * -ENOENT if no portmap had any, or -ENOMEM.
 */
int config_del_portmap(struct config *c, uint8_t protos, struct port_span out);

/* Removes the portmap with a name. 0, or with err -ENOENT, or -EEXIST if several have it. */
int config_del_portmap_named(struct config *c, const char *name, struct error *err);

/*
 * Checks the portmap that a command has just added, the last one, with messages in the command's words. 0, or -EINVAL
 * with err.
 */
int portmap_validate_added(const struct config *c, struct error *err);

/* Writes "tcp 1.1.1.0:443", which `portmap del` also takes. Returns text. */
#define PORTMAP_OUT_TEXT (SPAN_TEXT + 5)
const char *portmap_out_format(const struct config *c, const struct config_portmap *m,
			       char text[static PORTMAP_OUT_TEXT]);

/* A portmap's title in messages: its name, or its inside endpoint. Returns text. */
const char *portmap_title(const struct config_portmap *m, char text[static LABEL_TEXT]);

#endif
