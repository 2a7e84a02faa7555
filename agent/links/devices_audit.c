/* SPDX-License-Identifier: BSD-2-Clause */
/* Compares attached programs, records and blackhole routes with their intended state. */
#include <errno.h>
#include <string.h>

#include "base/findings.h"
#include "links/devices_private.h"
#include "routing/routes.h"

/* The programs and the record of one interface. */
static void audit_interface(const struct devices *v, const struct interface *i, const struct link *l,
			    struct findings *f)
{
	struct device record = interface_record(&v->interfaces, i);

	if (!l)
		findings_add(f, FINDING_DEVICE, false, i->name, "it is gone, which went unnoticed");
	else if (!devices_is_attached(v, i, l))
		findings_add(f, FINDING_PROGRAM, false, i->name, "it does not carry detnat's programs%s%s",
			     *i->problem ? ": " : "", i->problem);
	else if (i->shut)
		findings_add(f, FINDING_PROGRAM, false, i->name,
			     "the guard keeps it shut, as others displace its programs again and again");
	else if (memcmp(&record, &v->datapath->device[l->ifindex], sizeof(record)))
		findings_add(f, FINDING_DEVICE, false, i->name, "the datapath's record of it is wrong");
	else if (interface_is_port(i) && !datapath_has_port(v->datapath, l->ifindex))
		findings_add(f, FINDING_DEVICE, false, i->name, "the map `ports` lacks it");
}

static void audit_routes_missing(struct prefix prefix, uint32_t table, void *arg)
{
	char text[ADDR_TEXT];

	if (table == RT_TABLE_MAIN)
		findings_add(arg, FINDING_ROUTE, false, prefix_text(prefix, text), "its blackhole route is missing");
	else
		findings_add(arg, FINDING_ROUTE, false, prefix_text(prefix, text),
			     "its blackhole route is missing in table %u, of a VRF", table);
}

static int audit(struct devices *v, struct findings *f, size_t *ret_interfaces)
{
	_cleanup_free_ struct link *links = NULL;
	const struct blackholes wanted = devices_blackholes(v, v->prefixes, v->n_prefixes);
	size_t n_links = 0;
	int r = links_read(v->netlink, &links, &n_links);

	for (size_t k = 0; !r && k < v->interfaces.count; k++) {
		const struct interface *i = &v->interfaces.list[k];
		const struct link *l = NULL;

		if (!i->link.ifindex || i->link.ifindex >= MAX_IFINDEX)
			continue;
		++*ret_interfaces;
		for (size_t n = 0; n < n_links; n++)
			if (links[n].ifindex == i->link.ifindex)
				l = &links[n];
		audit_interface(v, i, l, f);
	}
	for (uint32_t ifindex = 1; !r && ifindex < MAX_IFINDEX; ifindex++) {
		const struct device *d = &v->datapath->device[ifindex];
		char text[32];

		if ((!d->roles && !d->lower) || d->flags & DEVICE_VRF || interfaces_find_index(&v->interfaces, ifindex))
			continue;
		snprintf(text, sizeof(text), "interface %u", ifindex);
		findings_add(f, FINDING_DEVICE, false, text,
			     "the datapath has a record of it, but it is not configured");
	}
	return r ? r : routes_compare(v->netlink, &v->own_routes, &wanted, audit_routes_missing, f);
}

/* Whether notified changes have yet to be processed. */
static bool unsettled(const struct devices *v)
{
	for (size_t k = 0; k < v->interfaces.count; k++)
		if (v->interfaces.list[k].dirty && !*v->interfaces.list[k].problem &&
		    !devices_is_resting(v, &v->interfaces.list[k]))
			return true;
	return v->routes_dirty || v->rules_dirty;
}

int devices_audit(struct devices *v, bool repair, struct findings *findings, size_t *ret_interfaces, size_t *ret_routes)
{
	size_t before = findings->n;
	int r;

	*ret_interfaces = 0;
	*ret_routes = v->n_prefixes * (1 + v->n_vrf_tables);
	if (unsettled(v))
		return 1;
	r = audit(v, findings, ret_interfaces);
	if (r || !repair || findings->n == before)
		return r;

	/* The usual reaction to a notification repairs everything. */
	struct findings after = { 0 };

	devices_forgive(v);
	devices_mark_all(v);
	v->routes_dirty = true;
	devices_sync(v);
	r = audit(v, &after, ret_interfaces);
	if (!r)
		findings_mark_repaired(findings, before, &after);
	findings_free(&after);
	return r;
}
