/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds, adds and removes mappings and interfaces. */
#include <errno.h>
#include <string.h>

#include "base/interface_pattern.h"
#include "config/near.h"
#include "config/six.h"

struct config_interface *config_find_interface(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_interfaces; i++)
		if (strcmp(c->interfaces[i].name, name) == 0)
			return &c->interfaces[i];
	return NULL;
}

void config_mappings_changed(struct config *c)
{
	near_index_forget(c->near);
}

/* The one that comes first in the list; a is NULL at the beginning. */
static struct config_mapping *earlier(struct config_mapping *a, struct config_mapping *b)
{
	return a && a < b ? a : b;
}

struct config_mapping *config_find_mapping_of(const struct config *c, const char *tenant, struct prefix in,
					      struct prefix out)
{
	struct config_mapping *own = NULL, *found = NULL, *m;

	for (struct near n = near_begin_addr(c, NEAR_IN, in.base); (m = near_next(&n));) {
		if (!prefix_equal(m->in, in) || !prefix_equal(m->out, out))
			continue;
		if (!strcmp(m->tenant, tenant))
			own = earlier(own, m);
		/* Two tenants have different outside addresses, or none. */
		else if (!prefix_is_none(out) || config_may_be_of(m, tenant))
			found = earlier(found, m);
	}
	return own ? own : found;
}

struct config_mapping *config_find_mapping(const struct config *c, struct prefix in, struct prefix out)
{
	return config_find_mapping_of(c, "", in, out);
}

struct config_mapping *config_find_named(const struct config *c, const char *name)
{
	struct config_mapping *found = NULL, *m;
	struct near_named n;

	if (!*name)
		return NULL;
	n = near_named_begin(c, name);
	while ((m = near_named_next(&n)))
		found = earlier(found, m);
	return found;
}

struct config_mapping *config_find_inside_of(const struct config *c, const char *tenant, struct prefix in)
{
	struct config_mapping *found = NULL, *m;

	for (struct near n = near_begin_addr(c, NEAR_IN, in.base); (m = near_next(&n));)
		if (prefix_equal(m->in, in) && config_may_be_of(m, tenant))
			found = earlier(found, m);
	return found;
}

struct config_mapping *config_find_inside(const struct config *c, struct prefix in)
{
	return config_find_inside_of(c, "", in);
}

/* The smallest range of a tenant around addresses, which may be equal to it or must not. */
static const struct config_mapping *smallest_around(const struct config *c, const char *tenant, struct prefix in,
						    bool equal)
{
	const struct config_mapping *found = NULL, *m;

	for (struct near n = near_begin_addr(c, NEAR_IN, in.base); (m = near_next(&n));) {
		if (!config_may_be_of(m, tenant) || !(equal ? prefix_within(in, m->in) : prefix_inside(in, m->in)))
			continue;
		if (!found || prefix_inside(m->in, found->in) || (prefix_equal(m->in, found->in) && m < found))
			found = m;
	}
	return found;
}

const struct config_mapping *config_find_around(const struct config *c, const char *tenant, struct prefix in)
{
	return smallest_around(c, tenant, in, false);
}

const struct config_mapping *config_mapping_of_tenant(const struct config *c, const char *tenant, uint32_t in_addr)
{
	return smallest_around(c, tenant, (struct prefix){ .base = in_addr, .plen = 32 }, true);
}

/* The mapping of the only tenant with an inside address; of several, NULL with their first in ret_two. */
static const struct config_mapping *only_mapping_of(const struct config *c, uint32_t in_addr,
						    const struct config_mapping *ret_two[2])
{
	const struct config_mapping *first = config_mapping_of_tenant(c, "", in_addr), *other = NULL;
	struct config_mapping *m;

	if (!first || !c->n_tenants)
		return first;
	for (struct near n = near_begin_addr(c, NEAR_IN, in_addr); (m = near_next(&n));)
		if (!config_same_tenant(m, first) && (!other || m < other))
			other = m;
	if (other && ret_two) {
		ret_two[0] = first;
		ret_two[1] = other;
	}
	return other ? NULL : first;
}

const struct config_mapping *config_mapping_of_pair(const struct config *c, uint32_t in_addr, uint32_t out_addr,
						    const struct config_mapping *ret_two[2])
{
	struct config_mapping *found = NULL, *m;

	if (!out_addr)
		return only_mapping_of(c, in_addr, ret_two);
	for (struct near n = near_begin_addr(c, NEAR_IN, in_addr); (m = near_next(&n));)
		if (prefix_holds(m->out, out_addr) && prefix_holds(m->in, in_addr))
			found = earlier(found, m);
	return found ? config_mapping_of_tenant(c, found->tenant, in_addr) : only_mapping_of(c, in_addr, ret_two);
}

const struct config_mapping *config_mapping_of_portmap(const struct config *c, const struct config_portmap *m)
{
	return *m->tenant ? config_mapping_of_tenant(c, m->tenant, m->in.addr)
			  : config_mapping_of_pair(c, m->in.addr, m->out.addr, NULL);
}

const char *config_mapping_name(const struct config *c, const char *tenant, struct prefix in, struct prefix out)
{
	const struct config_mapping *m = config_find_mapping_of(c, tenant, in, out);

	return m ? m->name : "";
}

const char *config_mapping_title(const struct config *c, const char *tenant, struct prefix in, struct prefix out,
				 char text[static MAPPING_TITLE])
{
	const char *name = config_mapping_name(c, tenant, in, out);
	char prefix[INSIDE_TEXT];

	inside_prefix_text(in, prefix);
	if (*name)
		snprintf(text, MAPPING_TITLE, "%s (%s)", name, prefix);
	else
		snprintf(text, MAPPING_TITLE, "%s%s%s", prefix, *tenant ? " of " : "", tenant);
	return text;
}

int config_add_mapping(struct config *c, const char *tenant, struct prefix in, struct prefix out)
{
	const struct config_mapping *known = config_find_mapping_of(c, tenant, in, out);
	struct config_mapping *more;

	if (known && (!prefix_is_none(out) || !strcmp(known->tenant, tenant)))
		return -EEXIST;
	more = reallocarray(c->mappings, c->n_mappings + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	c->mappings = more;
	more = &c->mappings[c->n_mappings++];
	*more = (struct config_mapping){ .in = in, .out = out };
	snprintf(more->tenant, sizeof(more->tenant), "%s", tenant);
	config_mappings_changed(c);
	return 0;
}

int config_del_mapping_of(struct config *c, const char *tenant, struct prefix in, struct prefix out)
{
	struct config_mapping *m = config_find_mapping_of(c, tenant, in, out);
	size_t n;

	if (!m)
		return -ENOENT;
	m = config_first_part(c, m);
	n = config_parts(c, m);
	free(m->lists);
	c->n_mappings -= n;
	memmove(m, m + n, (size_t)(&c->mappings[c->n_mappings] - m) * sizeof(*m));
	config_mappings_changed(c);
	return 0;
}

struct config_mapping *config_first_part(const struct config *c, const struct config_mapping *m)
{
	return &c->mappings[m - c->mappings] - m->part;
}

size_t config_mapping_number(const struct config *c, const struct config_mapping *m)
{
	size_t n = 0;

	for (const struct config_mapping *i = c->mappings; i < m; i++)
		n += !i->part;
	return m->part ? n - 1 : n;
}

size_t config_parts(const struct config *c, const struct config_mapping *m)
{
	const struct config_mapping *first = config_first_part(c, m), *end = c->mappings + c->n_mappings;
	size_t n = 1;

	while (first + n < end && first[n].part)
		n++;
	return n;
}

void config_spread(struct config *c, const struct config_mapping *m)
{
	struct config_mapping *first = config_first_part(c, m);
	const struct config_mapping like = *m;
	size_t n = config_parts(c, m);

	for (size_t i = 0; i < n; i++) {
		struct config_mapping *part = &first[i], own = *part;

		*part = like;
		part->in = own.in;
		part->out = own.out;
		part->part = own.part;
		part->figures = own.figures;
		part->lists = own.lists;
	}
}

struct xdp_wish config_xdp(const struct config *c)
{
	return (struct xdp_wish){ .mode = c->xdp_mode,
				  .dispatcher = c->xdp_dispatcher,
				  .priority = c->xdp_priority,
				  .must = config_has_ipv6(c),
				  .sends = c->forwarding == FORWARDING_REDIRECT };
}

struct xdp_wish config_interface_xdp(const struct config_interface *i, struct xdp_wish otherwise)
{
	struct xdp_wish wish = otherwise;

	if (i->xdp_mode)
		wish.mode = (enum xdp_mode)(i->xdp_mode - 1);
	if (i->xdp_dispatcher)
		wish.dispatcher = (enum xdp_dispatcher)(i->xdp_dispatcher - 1);
	if (i->xdp_priority)
		wish.priority = (uint8_t)(i->xdp_priority - 1);
	return wish;
}

enum xdp_mode config_interface_mode(const struct config *c, const struct config_interface *i)
{
	return config_interface_xdp(i, config_xdp(c)).mode;
}

enum inside_from config_inside_from(const struct config *c)
{
	enum inside_from from = INSIDE_NAMED;

	for (size_t i = 0; i < c->n_interfaces; i++) {
		if (interface_is_any(c->interfaces[i].name))
			return INSIDE_ANY;
		if (interface_is_pattern(c->interfaces[i].name) && c->interfaces[i].roles & DEVICE_INSIDE)
			from = INSIDE_BEYOND;
	}
	return from;
}

int config_add_interface(struct config *c, const char *name, uint8_t role)
{
	struct config_interface *known = config_find_interface(c, name), *more;

	if (known) {
		if ((known->roles & role) == role)
			return -EEXIST;
		known->roles |= role;
		return 0;
	}
	if (!interface_name_valid(name))
		return -EINVAL;
	more = reallocarray(c->interfaces, c->n_interfaces + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	c->interfaces = more;
	more = &c->interfaces[c->n_interfaces++];
	*more = (struct config_interface){ .roles = role };
	snprintf(more->name, sizeof(more->name), "%s", name);
	return 0;
}

int config_del_interface(struct config *c, const char *name, uint8_t role)
{
	struct config_interface *i = config_find_interface(c, name);

	if (!i || !(i->roles & role))
		return -ENOENT;
	i->roles &= (uint8_t)~role;
	if (role & DEVICE_INSIDE)
		i->inside_of = 0;
	if (role & DEVICE_OUTSIDE)
		memset(i->outside_of, 0, sizeof(i->outside_of));
	if (!i->roles) {
		c->n_interfaces--;
		memmove(i, i + 1, (size_t)(&c->interfaces[c->n_interfaces] - i) * sizeof(*i));
	}
	return 0;
}
