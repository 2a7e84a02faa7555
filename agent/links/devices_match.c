/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interfaces that match names with `*`, as they come and go. One that is stacked on no other is added or dropped on its
 * own; the rest requires a plan of all interfaces.
 */
#include <string.h>
#include <sys/socket.h>

#include "base/interface_pattern.h"
#include "links/devices_private.h"
#include "links/interfaces_patterns.h"

struct config_interface *devices_patterns_of(const struct config *c, size_t *ret_n)
{
	struct config_interface *patterns = calloc(c->n_interfaces + 1, sizeof(*patterns));

	*ret_n = 0;
	for (size_t k = 0; patterns && k < c->n_interfaces; k++)
		if (interface_is_pattern(c->interfaces[k].name))
			patterns[(*ret_n)++] = c->interfaces[k];
	return patterns;
}

static size_t count_matches(const struct devices *v)
{
	size_t n = 0;

	for (size_t k = 0; k < v->interfaces.count; k++)
		n += v->interfaces.list[k].pattern[0] != '\0';
	return n;
}

/* Adds the interface to the list, to be attached by devices_sync(). False: that requires a plan. */
static bool take_up(struct devices *v, const struct config_interface *pattern, const struct link *l)
{
	struct interface *more, added;

	if (count_matches(v) >= MAX_MATCHES || !interface_of_pattern(pattern, l, &v->own, v->xdp, &added))
		return false;
	more = reallocarray(v->interfaces.list, v->interfaces.count + 1, sizeof(*more));
	if (!more)
		return false;
	added.dirty = true;
	v->interfaces.list = more;
	more[v->interfaces.count++] = added;
	return true;
}

void devices_match(struct devices *v, const struct nlmsghdr *h)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
	const struct config_interface *pattern;
	struct link l;

	if (!v->applied || !v->n_patterns || h->nlmsg_type != RTM_NEWLINK || info->ifi_family != AF_UNSPEC)
		return;
	link_parse(h, &l);
	pattern = pattern_for(v->patterns, v->n_patterns, &l);
	/* One with that name is marked already: it may be this one. */
	if (!pattern || interfaces_find_index(&v->interfaces, l.ifindex) || interfaces_find(&v->interfaces, l.name))
		return;
	v->plan_due |= !take_up(v, pattern, &l);
	devices_schedule_sync(v, 0);
}

bool devices_still_matches(struct devices *v, struct interface *i, const struct link *l)
{
	const struct config_interface *pattern = pattern_for(v->patterns, v->n_patterns, l);
	const struct interface *other = interfaces_find(&v->interfaces, l->name);

	if (!pattern || strcmp(pattern->name, i->pattern) || (other && other != i)) {
		log_info("%s: '%s' no longer matches it", i->name, i->pattern);
		v->plan_due = true;
		return false;
	}
	memcpy(i->name, l->name, sizeof(i->name));
	return true;
}

void devices_forget_matches(struct devices *v)
{
	size_t kept = 0;

	for (size_t k = 0; k < v->interfaces.count; k++) {
		struct interface *i = &v->interfaces.list[k];

		/* One that is dirty may yet be found. */
		if (i->pattern[0] && !i->link.ifindex && !i->dirty)
			continue;
		if (kept != k)
			v->interfaces.list[kept] = *i;
		kept++;
	}
	v->interfaces.count = kept;
}

/* Its pattern's. */
static void take_tenants(const struct config *c, const char *name, struct config_interface *place)
{
	const struct config_interface *pattern = config_find_interface(c, name);

	if (!pattern)
		return;
	place->inside_of = pattern->inside_of;
	memcpy(place->outside_of, pattern->outside_of, sizeof(place->outside_of));
}

const struct config_interface *devices_listed(const struct devices *v, const struct config *c, size_t n,
					      struct config_interface *place)
{
	if (n < c->n_interfaces)
		return &c->interfaces[n];
	n -= c->n_interfaces;
	for (size_t k = 0; k < v->interfaces.count; k++) {
		const struct interface *i = &v->interfaces.list[k];

		if (!i->pattern[0] || n--)
			continue;
		*place = (struct config_interface){ .roles = i->roles };
		take_tenants(c, i->pattern, place);
		memcpy(place->name, i->name, sizeof(place->name));
		return place;
	}
	return NULL;
}

const struct interface *devices_example(const struct devices *v, const char *name)
{
	if (!interface_is_pattern(name))
		return interfaces_find(&v->interfaces, name);
	for (size_t k = 0; k < v->interfaces.count; k++)
		if (!strcmp(v->interfaces.list[k].pattern, name) && v->interfaces.list[k].link.ifindex)
			return &v->interfaces.list[k];
	return NULL;
}

const char *devices_pattern(const struct devices *v, const char *name)
{
	const struct interface *i = interfaces_find(&v->interfaces, name);

	return i && i->pattern[0] ? i->pattern : NULL;
}

size_t devices_matches(const struct devices *v, const char *pattern)
{
	size_t n = 0;

	for (size_t k = 0; k < v->interfaces.count; k++)
		n += !strcmp(v->interfaces.list[k].pattern, pattern);
	return n;
}
