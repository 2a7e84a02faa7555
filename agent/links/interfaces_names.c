/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Relates the interfaces of the configuration to links. The name is looked up once, when the interface is first
 * attached; from then on the link is followed by its index, even if renamed, until it is gone or no longer configured.
 * The pinned map `interfaces` stores the names, so that a later agent follows the same links.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "datapath/map_keys.h"
#include "datapath/pinned.h"
#include "links/interfaces.h"

struct remembered {
	char name[IFNAMSIZ]; /* as configured */
};

static const struct pinned_map names_map = {
	.name = "interfaces",
	.type = BPF_MAP_TYPE_HASH,
	.key_size = sizeof(uint32_t),
	.value_size = sizeof(struct remembered),
	.entries = MAX_IFINDEX,
};

int interfaces_names_open(const char *pin_dir)
{
	return pinned_map_open(pin_dir, &names_map);
}

static const struct link *link_named(const struct link_list *links, const char *name)
{
	for (size_t i = 0; i < links->count; i++)
		if (!strcmp(links->link[i].name, name))
			return &links->link[i];
	return NULL;
}

const struct link *interfaces_followed(const struct interfaces *known, const struct link_list *links, const char *name)
{
	const struct interface *i = interfaces_find(known, name);

	return i && !i->hidden ? link_find(links, i->link.ifindex) : NULL;
}

static bool is_taken(const struct config_interface *wanted, const struct link *const *found, size_t n, uint32_t ifindex)
{
	for (size_t k = 0; k < n; k++)
		if (found[k] && found[k]->ifindex == ifindex)
			return true;
	return false;
}

void interfaces_choose(const struct config_interface *wanted, size_t n, const struct interfaces *known,
		       const struct link_list *links, const struct link **ret_found)
{
	for (size_t k = 0; k < n; k++)
		ret_found[k] = interfaces_followed(known, links, wanted[k].name);
	for (size_t k = 0; k < n; k++) {
		const struct link *l = ret_found[k] ? NULL : link_named(links, wanted[k].name);

		if (l && !is_taken(wanted, ret_found, n, l->ifindex))
			ret_found[k] = l;
	}
}

/* Whether a link is still the one that was attached: its index may have been reused. */
static bool is_attached_still(struct netlink *n, const struct link_list *links, const struct link *l,
			      const struct own_programs *own)
{
	const struct link *carrier = link_is_vlan(l) ? vlan_carrier(links, l) : NULL;

	return own_programs_has(own, l->xdp.prog_id) || (carrier && own_programs_has(own, carrier->xdp.prog_id)) ||
	       tc_attached(n, own, l->ifindex, TC_INGRESS);
}

int interfaces_remembered(struct netlink *n, const char *pin_dir, const struct own_programs *own,
			  struct interfaces *ret)
{
	_cleanup_free_ struct link *read = NULL;
	struct link_list links = { 0 };
	struct interfaces all = { 0 };
	_cleanup_close_ int fd = pinned_map_find(pin_dir, &names_map);
	int r = links_read(n, &read, &links.count);

	if (r)
		return r;
	links.link = read;
	all.list = calloc(links.count + 1, sizeof(*all.list));
	if (!all.list)
		return -ENOMEM;
	for (size_t k = 0; fd >= 0 && k < links.count; k++) {
		const struct link *l = &links.link[k];
		struct interface *i = &all.list[all.count];
		struct remembered value;

		if (bpf_map_lookup_elem(fd, &l->ifindex, &value) || !is_attached_still(n, &links, l, own))
			continue;
		snprintf(i->name, sizeof(i->name), "%.*s", IFNAMSIZ - 1, value.name);
		i->link = *l;
		all.count++;
	}
	*ret = all;
	return 0;
}

static bool is_shown(const void *ifindex, const void *all)
{
	const struct interface *i = interfaces_find_index(all, *(const uint32_t *)ifindex);

	return i && !i->hidden;
}

int interfaces_remember(const struct interfaces *all, int map)
{
	struct remembered value;
	int failed = map_keep(map, sizeof(uint32_t), is_shown, all);

	for (size_t k = 0; k < all->count; k++) {
		const struct interface *i = &all->list[k];
		struct remembered wanted = { 0 };

		if (!i->link.ifindex || i->hidden)
			continue;
		memcpy(wanted.name, i->name, sizeof(wanted.name));
		if (!bpf_map_lookup_elem(map, &i->link.ifindex, &value) && !memcmp(&value, &wanted, sizeof(value)))
			continue;
		if (bpf_map_update_elem(map, &i->link.ifindex, &wanted, BPF_ANY))
			failed = errno_or(EIO);
	}
	return failed;
}

static bool interface_is_renamed(const struct interface *i)
{
	return i->link.ifindex && strcmp(i->link.name, i->name) != 0;
}

/* other: another link with the configured name, or NULL. */
static void describe(const struct interfaces *all, const struct interface *i, const struct link *other, char *text,
		     size_t size)
{
	const struct interface *owner = other ? interfaces_find_index(all, other->ifindex) : NULL;

	text[0] = '\0';
	if (!i->link.ifindex && owner)
		snprintf(text, size,
			 "the link of that name is %s of the configuration, renamed, and translates as that; waiting "
			 "for another",
			 owner->name);
	if (!interface_is_renamed(i))
		return;
	if (other)
		snprintf(text, size,
			 "is called %s now and translates on; another link, index %u, has its name and does not: "
			 "'detnatctl interface del %s' and 'interface add' move it there",
			 i->link.name, other->ifindex, i->name);
	else
		snprintf(
			text, size,
			"is called %s now and translates on; write that name into the configuration, or rename it back",
			i->link.name);
}

void interface_tell_name(const struct interfaces *all, struct interface *i, const struct link *other)
{
	char text[sizeof(i->name_note)];

	describe(all, i, other, text, sizeof(text));
	if (!strcmp(text, i->name_note))
		return;
	if (text[0])
		log_warning("%s: %s", i->name, text);
	else if (i->link.ifindex)
		log_info("%s: has its name again", i->name);
	memcpy(i->name_note, text, sizeof(text));
}
