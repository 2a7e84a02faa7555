/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Decides which interfaces carry programs. XDP for a VLAN interface runs on the interface below it if it can see the
 * tags there: natively, if the driver supports it, and before GRO. Otherwise generic XDP runs on the VLAN interface
 * itself. Where XDP is not wanted or impossible, tc runs on the interface itself.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <string.h>

#include "base/interface_pattern.h"
#include "base/log.h"
#include "links/interfaces.h"
#include "links/interfaces_patterns.h"

struct change_plan {
	const struct interfaces *known;
	const struct own_programs *own;
	struct link_list links;
	struct interfaces all;
};

/* Adds an interface, for which there is room; l is NULL if it is absent, pattern "" if it is named itself. */
static struct interface *plan_add(struct change_plan *p, const char *name, const char *pattern, uint8_t roles,
				  struct xdp_wish xdp, const struct link *l)
{
	const struct interface *known =
		l ? interfaces_find_index(p->known, l->ifindex) : interfaces_find(p->known, name);
	struct interface *i = &p->all.list[p->all.count++];

	*i = known ? *known : (struct interface){ 0 };
	snprintf(i->name, sizeof(i->name), "%s", name);
	snprintf(i->pattern, sizeof(i->pattern), "%s", pattern);
	i->roles = roles;
	i->xdp = xdp;
	i->carrier = 0;
	i->hidden = i->carrying = false;
	i->problem[0] = '\0';
	i->link = (struct link){ 0 };
	if (l)
		i->link = *l;
	else
		i->attachment = DEVICE_ABSENT;
	if (!l || !i->xdp_failed)
		i->without_xdp[0] = '\0';
	return i;
}

/* The interface in the list, or a new one added to carry a VLAN interface. */
static struct interface *plan_below(struct change_plan *p, struct xdp_wish xdp, const struct link *l)
{
	struct interface *i = interfaces_find_index(&p->all, l->ifindex);

	if (!i) {
		i = plan_add(p, l->name, "", 0, xdp, l);
		i->hidden = true;
	}
	return i;
}

const char *why_no_xdp(const struct own_programs *own, const struct link *l, enum xdp_dispatcher dispatcher)
{
	if (link_is_bare(l))
		return "has no Ethernet header";
	if (dispatcher == DISPATCHER_NONE && xdp_is_foreign(l) && !own_programs_has(own, l->xdp.prog_id))
		return "carries another XDP program";
	return NULL;
}

/* A bond keeps its XDP when it gets another port: the mode of an interface that is attached stays. */
static const struct link *gives_way(const struct link_list *all, const struct interface *i)
{
	return !strcmp(i->link.kind, "bond") && interface_has_xdp(i) ? NULL : xdp_gives_way(all, &i->link, &i->xdp);
}

static void say_cut(const struct link *cut, char *text, size_t size)
{
	snprintf(text, size, "XDP on %s (%s) would cut large frames", cut->name,
		 !cut->kind[0]		     ? "virtio_net"
		 : !strcmp(cut->kind, "tun") ? "tap"
					     : cut->kind);
}

void interface_without_xdp(const struct own_programs *own, const struct link_list *all, struct interface *i)
{
	const struct link *cut = gives_way(all, i);
	const char *why = xdp_mode_is_without(i->xdp.mode) ? "configured"
			  : i->xdp.mode == XDP_MODE_AUTO   ? why_no_xdp(own, &i->link, i->xdp.dispatcher)
							   : NULL;

	i->gives_way = cut;
	if (cut) {
		i->xdp_failed = false;
		say_cut(cut, i->without_xdp, sizeof(i->without_xdp));
		return;
	}
	if (!why && i->xdp.mode == XDP_MODE_AUTO && i->xdp_failed)
		return;
	i->xdp_failed = false;
	snprintf(i->without_xdp, sizeof(i->without_xdp), "%s", why ? why : "");
}

/* The same for the interface below a VLAN interface that would carry it. NULL: it can. */
static const char *why_not_carrier(const struct change_plan *p, const struct interface *i, const struct link *carrier,
				   char *text, size_t size)
{
	const struct interface *known = interfaces_find_index(&p->all, carrier->ifindex);
	const char *why = known && known->without_xdp[0] ? "runs no XDP"
			  : i->xdp.mode == XDP_MODE_AUTO ? why_no_xdp(p->own, carrier, i->xdp.dispatcher)
							 : NULL;

	if (why)
		snprintf(text, size, "%s, which is below it, %s", carrier->name, why);
	return why ? text : NULL;
}

/*
 * Whether XDP gives way on the interface below a VLAN interface: then tc sends on this one, which has the tag off
 * whoever takes it. Not if XDP runs there for others.
 */
static bool carrier_gives_way(const struct change_plan *p, struct interface *i)
{
	const struct link *carrier = vlan_carrier(&p->links, &i->link), *cut;
	const struct interface *known = carrier ? interfaces_find_index(&p->all, carrier->ifindex) : NULL;

	if (!carrier || i->without_xdp[0] || (known && !known->gives_way))
		return false;
	cut = xdp_gives_way(&p->links, carrier, &i->xdp);
	i->gives_way = cut;
	if (cut)
		say_cut(cut, i->without_xdp, sizeof(i->without_xdp));
	return cut;
}

/* Why no lower interface can carry the VLAN interface; NULL: *ret can. */
static const char *why_not_below(const struct change_plan *p, const struct link *vlan, enum xdp_mode mode,
				 const struct link **ret, char *text, size_t size)
{
	const struct link *carrier = vlan_carrier(&p->links, vlan), *by;
	const char *offload = vlan_offload(&p->links, vlan);

	if (!carrier) {
		snprintf(text, size, "the interface below is in another namespace, or there are more than two tags");
		return text;
	}
	/* Only a bond that runs XDP natively sees frames as its ports do. */
	if (link_is_stacked(carrier) && (strcmp(carrier->kind, "bond") != 0 || mode == XDP_MODE_SKB)) {
		snprintf(text, size, "%s is a %s, which no longer sees tags", carrier->name, carrier->kind);
		return text;
	}
	by = tags_taken_by(&p->links, carrier, offload);
	if (by) {
		snprintf(text, size, "%s takes tags off before XDP sees them; 'ethtool -K %s %s off' leaves them on",
			 by->name, by->name, offload);
		return text;
	}
	*ret = carrier;
	return NULL;
}

/* The interface with a role whose XDP sees the frames of a VLAN interface without their tags, or NULL. */
static const struct interface *taken_for(const struct change_plan *p, const struct link *vlan)
{
	const struct link *carrier = vlan_carrier(&p->links, vlan);
	const struct interface *i = carrier ? interfaces_find_index(&p->all, carrier->ifindex) : NULL;

	return i && i->roles && !i->without_xdp[0] ? i : NULL;
}

static int plan_vlan(struct change_plan *p, struct interface *i, struct error *err)
{
	const struct link *carrier = NULL, *l;
	const struct interface *other;
	char text[192];
	const char *why;

	if (carrier_gives_way(p, i))
		return 0;
	why = why_not_below(p, &i->link, i->xdp.mode, &carrier, text, sizeof(text));
	other = why ? taken_for(p, &i->link) : NULL;
	if (other)
		return error_set(err, -EOPNOTSUPP, "%s: its frames would be taken for %s's own: %s", i->name,
				 other->name, why);
	if (i->without_xdp[0])
		return 0;
	if (why && i->xdp.mode == XDP_MODE_NATIVE)
		return error_set(err, -EOPNOTSUPP,
				 "%s: native XDP for a VLAN interface runs on the interface below: %s", i->name, why);
	if (why) {
		if (!interfaces_find(p->known, i->name))
			log_info("%s: generic XDP, on the VLAN interface itself: %s", i->name, why);
		return 0;
	}
	if (why_not_carrier(p, i, carrier, i->without_xdp, sizeof(i->without_xdp)))
		return i->xdp.mode == XDP_MODE_AUTO
			       ? 0
			       : error_set(err, -EOPNOTSUPP,
					   "%s: %s: set 'xdp_mode' of both to the same, or of %s to 'auto' or 'none'",
					   i->name, i->without_xdp, i->name);
	i->carrier = carrier->ifindex;
	for (l = link_find(&p->links, i->link.lower); l && l != carrier; l = link_find(&p->links, l->lower))
		plan_below(p, i->xdp, l)->carrier = carrier->ifindex;
	plan_below(p, i->xdp, carrier)->carrying = true;
	return 0;
}

/* VLAN interfaces that are not configured: their frames belong to the kernel, but cannot be told apart. */
static void warn_of_unseen_vlans(const struct change_plan *p)
{
	for (size_t k = 0; k < p->links.count; k++) {
		const struct link *l = &p->links.link[k], *carrier;
		const struct interface *i =
			link_is_vlan(l) && !interfaces_find_index(&p->all, l->ifindex) ? taken_for(p, l) : NULL;
		char text[192];
		const char *why = i && !interfaces_find(p->known, i->name)
					  ? why_not_below(p, l, i->xdp.mode, &carrier, text, sizeof(text))
					  : NULL;

		if (why)
			log_warning("%s: the frames of %s are taken for its own: %s", i->name, l->name, why);
	}
}

/* Generic XDP above interfaces with GRO on would break the checksums of merged packets. */
static int plan_check_merged(const struct change_plan *p, const struct interface *i, struct error *err)
{
	const struct link *by;

	if (i->carrier || i->without_xdp[0] || (!strcmp(i->link.kind, "bond") && i->xdp.mode != XDP_MODE_SKB))
		return 0;
	by = merged_by(&p->links, &i->link);
	return by ? xdp_refuse_merged(&i->link, by, err) : 0;
}

/*
 * Refuses two configured interfaces of which the lower sees the packets of the upper as its own: outgoing packets would
 * be translated at both, and incoming ones mistaken for the lower one's if their MAC addresses are the same.
 */
static int check_pair(const struct change_plan *p, const struct interface *upper, const struct interface *lower,
		      struct error *err)
{
	bool same_role = upper->roles & lower->roles;

	if (!link_shows_in(&p->links, &upper->link, &lower->link) ||
	    (!same_role && memcmp(upper->link.mac, lower->link.mac, sizeof(lower->link.mac)) != 0))
		return 0;
	return error_set(err, -EOPNOTSUPP,
			 "%s: is a %s stacked on %s, and both have a role: %s; name only the one that has the "
			 "routes, and remove the other ('detnatctl interface del')",
			 upper->name, upper->link.kind, lower->name,
			 same_role ? "its packets would be translated at both, and dropped"
				   : "its packets would be taken for those of the other, which has its MAC address");
}

static int plan_check_stacks(const struct change_plan *p, struct error *err)
{
	int r = 0;

	for (size_t k = 0; !r && k < p->all.count; k++)
		for (size_t n = 0; !r && n < p->all.count; n++)
			if (k != n && p->all.list[k].link.ifindex && link_is_stacked(&p->all.list[k].link) &&
			    p->all.list[n].link.ifindex)
				r = check_pair(p, &p->all.list[k], &p->all.list[n], err);
	return r;
}

static int plan_links(struct change_plan *p, struct error *err)
{
	size_t wanted = p->all.count;
	int r = plan_check_stacks(p, err);

	for (size_t k = 0; k < wanted; k++)
		if (p->all.list[k].link.ifindex)
			interface_without_xdp(p->own, &p->links, &p->all.list[k]);
	for (size_t k = 0; !r && k < wanted; k++) {
		struct interface *i = &p->all.list[k];

		if (!i->link.ifindex)
			continue;
		if (link_is_vlan(&i->link))
			r = plan_vlan(p, i, err);
		if (!r)
			r = plan_check_merged(p, i, err);
	}
	return r;
}

/* Whether the VRF of its tenant is there; without it, the interface is waited for, too. */
static bool has_vrf(const struct link_list *links, const struct config_interface *wanted)
{
	bool found = !*wanted->vrf;

	for (size_t k = 0; !found && k < links->count; k++)
		found = !strcmp(links->link[k].name, wanted->vrf) && link_is_vrf(&links->link[k]);
	return found;
}

static void take_tenant(struct interface *i, const struct config_interface *wanted)
{
	i->tenant = wanted->tenant;
	i->misplaced = false;
	memcpy(i->vrf, wanted->vrf, sizeof(i->vrf));
}

/* Adds the links that match patterns and are not named themselves. */
static void plan_matches(struct change_plan *p, const struct config_interface *wanted, size_t n, struct xdp_wish xdp)
{
	size_t matches = 0;

	for (size_t k = 0; k < p->links.count; k++) {
		const struct link *l = &p->links.link[k];
		const struct config_interface *pattern = pattern_for(wanted, n, l);

		if (!pattern || interfaces_find_index(&p->all, l->ifindex))
			continue;
		if (matches++ == MAX_MATCHES) {
			log_warning("names with '*' match more than %u interfaces, the others translate nothing: "
				    "\"inside\": [\"*\"] takes packets from wherever they come",
				    MAX_MATCHES);
			return;
		}
		take_tenant(plan_add(p, l->name, pattern->name, pattern->roles, config_interface_xdp(pattern, xdp), l),
			    pattern);
	}
}

bool interface_of_pattern(const struct config_interface *pattern, const struct link *l, const struct own_programs *own,
			  struct xdp_wish xdp, struct interface *ret)
{
	if (link_is_stacked(l))
		return false;
	*ret = (struct interface){ .roles = pattern->roles, .xdp = config_interface_xdp(pattern, xdp), .link = *l };
	memcpy(ret->name, l->name, sizeof(ret->name));
	memcpy(ret->pattern, pattern->name, sizeof(ret->pattern));
	take_tenant(ret, pattern);
	/* Only of a bond would others count. */
	interface_without_xdp(own, &(struct link_list){ 0 }, ret);
	/* Treated as one that is missing: it is attached when it is read. */
	ret->link = (struct link){ 0 };
	return true;
}

/* Whether tc sends at an interface of the list by what is wished; links that come later may be any. */
static bool any_sends(const struct config_interface *wanted, size_t n_wanted, const struct link_list *links,
		      const struct link *const *found, struct xdp_wish xdp)
{
	for (size_t k = 0; k < n_wanted; k++) {
		struct xdp_wish wish = config_interface_xdp(&wanted[k], xdp);
		const struct link *carrier = found[k] && link_is_vlan(found[k]) ? vlan_carrier(links, found[k]) : NULL;

		if (wish.mode == XDP_MODE_TC || (!found[k] && xdp_may_give_way(&wish)) ||
		    (found[k] && xdp_gives_way(links, carrier ?: found[k], &wish)))
			return true;
	}
	return false;
}

struct xdp_wish interfaces_wish(struct netlink *n, const struct config_interface *wanted, size_t n_wanted,
				const struct interfaces *known, struct xdp_wish xdp)
{
	_cleanup_free_ const struct link **found = calloc(n_wanted + 1, sizeof(const struct link *));
	_cleanup_free_ struct link *links = NULL;
	struct link_list all = { 0 };

	if (!xdp.must || xdp.mode != XDP_MODE_AUTO || !found || links_read(n, &links, &all.count))
		return xdp;
	all.link = links;
	interfaces_choose(wanted, n_wanted, known, &all, found);
	if (any_sends(wanted, n_wanted, &all, found, xdp))
		xdp.mode = XDP_MODE_TC;
	return xdp;
}

/*
 * Refuses a way out that packets of IPv6 subscribers do not have: the kernel, to which XDP leaves what it cannot send,
 * has no use for one that has become one of IPv4.
 */
static int check_way_out(const struct interfaces *all, struct error *err)
{
	const struct interface *inside = NULL, *outside = NULL;

	for (size_t k = 0; k < all->count; k++) {
		const struct interface *i = &all->list[k];

		if (!i->xdp.must || !i->link.ifindex)
			continue;
		if (i->roles & DEVICE_INSIDE && !interface_wants_tc(i))
			inside = i;
		if (i->roles & DEVICE_OUTSIDE && interface_wants_tc(i))
			outside = i;
	}
	if (!inside || !outside)
		return 0;
	return error_set(err, -EOPNOTSUPP,
			 "%s: packets of IPv6 subscribers that XDP translates cannot leave by %s, where tc sends: set "
			 "'xdp_mode' of both to 'tc'",
			 inside->name, outside->name);
}

/* Refuses an interface where the kernel would forward and that must not be. */
static int check_without(const struct interfaces *all, struct error *err)
{
	for (size_t k = 0; k < all->count; k++) {
		const struct interface *i = &all->list[k];

		if (i->xdp.must && i->roles & DEVICE_INSIDE && i->link.ifindex && link_is_bare(&i->link))
			return error_set(err, -EOPNOTSUPP,
					 "%s: has no Ethernet header, and packets of IPv6 subscribers need one inside",
					 i->name);
		if (i->xdp.must && i->roles && i->link.ifindex && i->without_xdp[0] && !i->xdp_failed &&
		    !interface_wants_tc(i))
			return error_set(err, -EOPNOTSUPP,
					 "%s: IPv6 subscribers need XDP on it, which cannot be: %s; set its "
					 "'xdp_mode' to 'tc'",
					 i->name, i->without_xdp);
	}
	return check_way_out(all, err);
}

int interfaces_plan_on(const struct config_interface *wanted, size_t n_wanted, struct link_list links,
		       const struct interfaces *known, const struct own_programs *own, struct xdp_wish xdp,
		       struct interfaces *ret, struct error *err)
{
	_cleanup_free_ const struct link **found = calloc(n_wanted + 1, sizeof(const struct link *));
	struct change_plan p = { .known = known, .own = own, .links = links };
	int r;

	/* Each may need two more: two tags mean two interfaces below. */
	p.all.list = calloc((n_wanted + links.count) * (1 + MAX_VLAN_TAGS) + 1, sizeof(*p.all.list));
	if (!p.all.list || !found) {
		free(p.all.list);
		return error_set(err, -ENOMEM, "out of memory");
	}
	interfaces_choose(wanted, n_wanted, known, &links, found);
	for (size_t k = 0; k < n_wanted; k++)
		if (!strchr(wanted[k].name, '*'))
			take_tenant(plan_add(&p, wanted[k].name, "", wanted[k].roles,
					     config_interface_xdp(&wanted[k], xdp),
					     has_vrf(&links, &wanted[k]) ? found[k] : NULL),
				    &wanted[k]);
	plan_matches(&p, wanted, n_wanted, xdp);
	r = plan_links(&p, err);
	if (!r)
		r = check_without(&p.all, err);
	if (r) {
		free(p.all.list);
		return r;
	}
	warn_of_unseen_vlans(&p);
	*ret = p.all;
	return 0;
}

int interfaces_plan(struct netlink *n, const struct config_interface *wanted, size_t n_wanted,
		    const struct interfaces *known, const struct own_programs *own, struct xdp_wish xdp,
		    struct interfaces *ret, struct error *err)
{
	_cleanup_free_ struct link *links = NULL;
	size_t n_links = 0;
	int r = links_read(n, &links, &n_links);

	if (r)
		return error_set(err, r, "the interfaces cannot be read: %s", strerror(-r));
	return interfaces_plan_on(wanted, n_wanted, (struct link_list){ links, n_links }, known, own, xdp, ret, err);
}

bool interfaces_same_plan(const struct interfaces *a, const struct interfaces *b)
{
	if (a->count != b->count)
		return false;
	for (size_t k = 0; k < a->count; k++) {
		const struct interface *x = &a->list[k], *y = interfaces_find(b, x->name);

		if (!y || x->link.ifindex != y->link.ifindex || x->carrier != y->carrier || x->hidden != y->hidden ||
		    x->link.lower != y->link.lower || x->link.vlan_id != y->link.vlan_id ||
		    x->link.vlan_tpid != y->link.vlan_tpid || !x->without_xdp[0] != !y->without_xdp[0] ||
		    interface_wants_tc(x) != interface_wants_tc(y))
			return false;
	}
	return true;
}
