/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the doctor's checks. */
#ifndef DETNAT_DOCTOR_PRIVATE_H
#define DETNAT_DOCTOR_PRIVATE_H

#include <net/if.h>

#include "config/config.h"
#include "diagnosis/doctor.h"
#include "host/stacking.h"

struct doctor {
	const struct config *config;
	bool names_patterns;	 /* names with `*`; in `config` their present matches replace them */
	bool names_any;		 /* "inside": ["*"] */
	const char *config_path; /* NULL: only the cheap checks, at a start */
	const char *root;	 /* before /proc and /sys: "", or a test's own tree */
	struct netlink *netlink;
	struct link_list links; /* all links of the network namespace */
	struct address *addresses;
	size_t n_addresses;
	/* Reads the settings of a card; NULL: card_read(). */
	void (*card)(const char *name, struct card *ret);
	const char *check; /* its name */
	void (*report)(struct doctor *d, enum doctor_level level, const char *text);
	doctor_line say; /* for all others: findings, or lines */
	void *say_arg;
	unsigned count[DOCTOR_N_LEVELS];
};

void doctor_say(struct doctor *d, enum doctor_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The link of an interface of the configuration; NULL: there is none. */
const struct link *doctor_link(const struct doctor *d, const struct config_interface *i);

/* Whether there is no such interface; a pattern that matches none is not meant. */
bool doctor_absent(const struct doctor *d, const struct config_interface *i);

/*
 * Whether packets to the role's side leave by an interface that the configuration does not have: to the outside those
 * by the default route, else those to the first inside addresses that are routed so. Writes its name.
 */
bool doctor_leads_past(const struct doctor *d, uint8_t roles, char name[static IFNAMSIZ]);

/* The link with that name; NULL: there is none. */
const struct link *doctor_find_link(const struct doctor *d, const char *name);

/* The interface of the configuration with that name and any of the roles; NULL: there is none. */
const struct config_interface *doctor_interface(const struct doctor *d, const char *name, uint8_t roles);

/*
 * The VRFs of the interfaces with any of the roles, by index; 0 stands for none. Returns their number, at most `room`.
 * And whether a route through that interface leads to one with any of the roles: itself, or one in that VRF.
 */
size_t doctor_vrfs(const struct doctor *d, uint8_t roles, uint32_t *ret, size_t room);
bool doctor_leads(const struct doctor *d, const char *name, uint8_t roles);

/* An interface of the configuration that has any of the roles and is down; NULL: there is none. */
const struct link *doctor_link_down(const struct doctor *d, uint8_t roles);

/* Reads a file below d->root up to the first newline; the format gives its path. False: it cannot be read. */
bool doctor_read(const struct doctor *d, char *ret, size_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The same for a whole number. */
bool doctor_read_number(const struct doctor *d, long long *ret, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Whether /sys/class/net shows that interface. Under `nsenter --net`, it is that of the network namespace in which /sys
 * was mounted.
 */
bool doctor_shown_in_sys(const struct doctor *d, const struct link *l);

/* The reverse-path filter of an interface, the higher of its own and that of all: 0 off, 1 strict, 2 loose (RFC 3704).
 */
long long doctor_filter(const struct doctor *d, const char *name);

/* The checks. Each reports its findings, or one DOCTOR_OK. */

void doctor_kernel(struct doctor *d);
void doctor_jit(struct doctor *d);
void doctor_bpffs(struct doctor *d);
void doctor_clock(struct doctor *d);
void doctor_configuration(struct doctor *d);

void doctor_links(struct doctor *d);
void doctor_xdp(struct doctor *d);
void doctor_shared(struct doctor *d);
void doctor_hooks(struct doctor *d);
void doctor_offloads(struct doctor *d);
void doctor_names(struct doctor *d);
void doctor_mtu(struct doctor *d);
void doctor_inside_filters(struct doctor *d);
void doctor_roles(struct doctor *d);

void doctor_queues(struct doctor *d);
void doctor_rss(struct doctor *d);
void doctor_moderation(struct doctor *d);
void doctor_transmit(struct doctor *d);
void doctor_removal(struct doctor *d);
void doctor_steering(struct doctor *d);
void doctor_numa(struct doctor *d);
void doctor_governor(struct doctor *d);

void doctor_forwarding(struct doctor *d);
void doctor_rp_filter(struct doctor *d);
void doctor_inside_routes(struct doctor *d);
void doctor_outside_route(struct doctor *d);
void doctor_nat64(struct doctor *d); /* says nothing where no subscribers are of IPv6 */
void doctor_rules(struct doctor *d);
void doctor_pools(struct doctor *d);
void doctor_neighbours(struct doctor *d);
void doctor_portmaps(struct doctor *d);
void doctor_leases(struct doctor *d);

void doctor_firewall(struct doctor *d);
void doctor_dropping(struct doctor *d);
void doctor_masquerade(struct doctor *d);
void doctor_conntrack(struct doctor *d);
void doctor_queueing(struct doctor *d);

#endif
