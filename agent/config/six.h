/* SPDX-License-Identifier: BSD-2-Clause */
/* Mappings of a configuration whose subscribers are IPv6 prefixes. */
#ifndef DETNAT_CONFIG_SIX_H
#define DETNAT_CONFIG_SIX_H

#include "base/virtual6.h"
#include "config/config.h"

/* Whether a configuration has such a mapping. */
static inline bool config_has_ipv6(const struct config *c)
{
	for (size_t i = 0; i < c->n_mappings; i++)
		if (config_is_ipv6(&c->mappings[i]))
			return true;
	return false;
}

/* The second record of a mapping, with defaults filled in, but first_host; all 0: it is one of IPv4. */
void config_record6(const struct config_mapping *m, struct record6 *ret);

/*
 * The virtual addresses of an inside prefix, "2001:db8:4000::/36", whose subscribers have prefixes of that length: 0,
 * -EINVAL with what is wrong in err, or -ENOMEM.
 */
int config_virtual(const char *text, unsigned subscriber_plen, struct prefix *ret, struct error *err);

/* What a mapping has of IPv6, by its second record: the length of subscribers' prefixes, and the NAT64 prefix. */
struct config_six config_six_of(const struct record6 *r);

/* Whether subscribers with these virtual addresses have the same prefixes and NAT64 prefix in c, as far as it has them.
 */
bool config_six_goes_on(const struct config *c, struct prefix in, const struct config_six *six);

/*
 * After a mapping was added: those within it take virtual addresses within its own. 0, or -errno with some as they
 * were.
 */
int config_place_again(struct config *c);

/*
 * Refuses, at a change, prefixes around others that would give subscribers of `running`, or of its drains, other
 * virtual addresses, as their sessions would end. That is rare: see virtual6_place(). 0 or -EINVAL.
 */
int config_check_virtual(const struct config *c, const struct config *running, const char *name, struct error *err);

/* Reads the value of `nat64_prefix`: 0 or -EINVAL; and writes it. */
int config_nat64_parse(const char *text, struct config_six *ret);
const char *config_nat64_text(const struct config_six *six, char text[static INSIDE_TEXT]);

#endif
