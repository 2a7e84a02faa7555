/* SPDX-License-Identifier: BSD-2-Clause */
/* Building blocks of answers. */
#ifndef DETNAT_ANSWER_H
#define DETNAT_ANSWER_H

#include <cjson/cJSON.h>

#include "base/address.h"
#include "config/port_pairs.h"
#include "control/request.h"
#include "peers/replication.h"
#include "plan/blocks.h"
#include "sessions/sessions.h"
#include "tables/grant_table.h"
#include "tables/portmap_table.h"

/* An empty object, the answer of verbs that have nothing to show. */
cJSON *answer_empty(struct request *r);

/* Makes the request a job that counts all sessions, and then the answer from their number. */
typedef cJSON *(*answer_count)(struct request *r, const struct session_count *count);
int request_count(struct request *r, answer_count answer, struct error *err);

/* Add members for which cJSON has no function; return false if out of memory. */
bool json_add_addr(cJSON *object, const char *name, uint32_t addr);
bool json_add_prefix(cJSON *object, const char *name, struct prefix p);
/* "hosts": those of an IPv6 subscriber that have sessions. */
void json_add_hosts(cJSON *object, struct mappings *m, uint32_t in_addr);

/*
 * "ext_addr" and, as the hosts of an IPv6 subscriber with that inside address know it, "ext_addr6". m: NULL where no
 * such is meant.
 */
void json_add_ext(cJSON *object, const struct mappings *m, uint32_t in_addr, uint32_t ext_addr);

/* "in_addr" of an IPv4 subscriber, "in_prefix" of an IPv6 one. */
bool json_add_inside(cJSON *object, uint32_t in_addr);
bool json_add_endpoint(cJSON *object, const char *name, struct endpoint e);
bool json_add_name(cJSON *object, const char *name, const char *text); /* null where text is "" */
bool json_add_u64(cJSON *object, const char *name, uint64_t number);   /* all 64 bits, which no double holds */
bool json_add_text(cJSON *object, const char *name, const char *text); /* NULL becomes null */

/* Adds "first_port", "block_pitch" and "order" of a mapping whose blocks are not the defaults of its prefixes. */
bool json_add_blocks(cJSON *object, const struct geometry *g);

/* Adds "limits" for a subscriber of a mapping, unless that has none. */
void json_add_limits(cJSON *object, const struct mappings *m, int number, uint32_t in_addr);

/* Adds by `key` the name of a mapping of the tables, if it has one, and "tenant", the name of its tenant, if any. */
void json_add_mapping_name(cJSON *object, const char *key, const struct config *c, const struct mapping *m);

/*
 * The tenant of a configuration that the argument `tenant` of a request names; NULL: none is given. 0, or -ENOENT with
 * err.
 */
int request_config_tenant(const struct request *r, const struct config *c, const struct config_tenant **ret,
			  struct error *err);

/*
 * The name of the tenant that a request about an inside address of a configuration is about: of the argument `tenant`,
 * or of the only one that has the address; "": none has it, or there are no tenants. 0, -ENOENT or -ENOTUNIQ with err.
 */
int request_config_holder(const struct request *r, const struct config *c, uint32_t addr, const char **ret,
			  struct error *err);

/* The mapping with an inside prefix, in the same way; NULL: there is none. 0, -ENOENT or -ENOTUNIQ with err. */
int request_config_inside(const struct request *r, struct config *c, struct prefix in, struct config_mapping **ret,
			  struct error *err);

/* The number of the tenant that the argument `tenant` of a request names; 0: none is given. 0, or -ENOENT with err. */
int request_tenant(const struct request *r, uint8_t *ret, struct error *err);

/*
 * The same for an inside or outside address (host byte order): without the argument, the only tenant that has it; 0:
 * there are no tenants, or none has it. -ENOENT: it is an address of another tenant; -ENOTUNIQ: of several, and the
 * argument has to say which: exit status 2.
 */
int request_find_tenant(const struct request *r, uint32_t addr, uint8_t *ret, struct error *err);

/* The same for the argument `addr`, which may be left out: then the tenant of the argument `tenant` alone. */
int request_addr_tenant(const struct request *r, uint8_t *ret, struct error *err);

/*
 * Adds "draining", an array of the blocks from which sessions of a tenant's inside address drain, if any. Returns their
 * number.
 */
size_t json_add_draining(cJSON *object, const struct mappings *m, uint8_t tenant, uint32_t in_addr);

/* Adds "port_lo", "port_hi" and "from" of a granted block. */
void json_add_block(cJSON *object, const struct grant *grant);

/*
 * Adds "grants", an array of the granted blocks of a subscriber, by inside_place() of base/inside_runs.h, if its
 * mapping grows or it has some.
 */
void json_add_grants(cJSON *object, const struct grants *g, const struct mapping *m, uint64_t place);

/* Adds "limits", how near a subscriber is to those of its mapping; nothing if that has none. */
void json_add_limits(cJSON *object, const struct mappings *m, int number, uint32_t in_addr);

/*
 * Adds "warnings", an array: conditions on this machine that conflict with the translation of one prefix to the other.
 */
bool answer_add_warnings(const struct parts *a, cJSON *object, struct prefix in, struct prefix out);

/* Adds who forwards packets that leave through an interface, or through any (NULL), and why it is the kernel. */
bool answer_add_forwarding(const struct parts *a, cJSON *object, const char *interface);

/* Parts of answers about replication. */

/* Adds "lag_seconds", null if unknown. */
void json_add_lag(cJSON *json, const struct peer_figures *f);

/* Adds "replication": null if it is off, else the number of peers in each state, and the longest lag. */
void json_add_replication(cJSON *json, const struct replication *x);

/*
 * Adds "replication" to an explanation: how many sessions of an inside address are this gateway's own, and how many are
 * copies from which peer. Adds nothing if replication is off.
 */
void json_add_owners(cJSON *json, const struct replication *x, uint8_t tenant, uint32_t in_addr);

/* Portmaps in answers. */

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
cJSON *portmap_json(const struct parts *a, const struct portmap_names *names, const struct portmap *m);

/*
 * Adds the portmap of an outside endpoint as "portmap"; if TCP and UDP have different ones, that of UDP as
 * "portmap_udp". Returns the first, or NULL.
 */
const struct portmap *json_add_portmaps(cJSON *object, const struct parts *a, struct endpoint out);

#endif
