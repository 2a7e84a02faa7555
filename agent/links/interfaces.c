/* SPDX-License-Identifier: BSD-2-Clause */
#include "links/interfaces.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <string.h>

#include "attach/share.h"
#include "datapath/map_keys.h"
#include "routing/forwarding.h"

struct interface *interfaces_find(const struct interfaces *all, const char *name)
{
	for (size_t i = 0; i < all->count; i++)
		if (!strcmp(all->list[i].name, name))
			return &all->list[i];
	return NULL;
}

struct interface *interfaces_find_index(const struct interfaces *all, uint32_t ifindex)
{
	for (size_t i = 0; ifindex && i < all->count; i++)
		if (all->list[i].link.ifindex == ifindex)
			return &all->list[i];
	return NULL;
}

bool device_store(const struct datapath *d, uint32_t ifindex, const struct device *record)
{
	struct device *place = &d->device[ifindex];
	uint64_t now[4], wanted[4];
	bool changed = false;

	_Static_assert(offsetof(struct device, addr) == sizeof(now[0]) &&
			       offsetof(struct device, lower) == 2 * sizeof(now[0]) &&
			       offsetof(struct device, rp_filter) == 3 * sizeof(now[0]) &&
			       sizeof(struct device) == sizeof(now),
		       "four words hold all");
	memcpy(now, place, sizeof(now));
	memcpy(wanted, record, sizeof(wanted));
	/* The word with the roles is stored last: it makes the others take effect. */
	for (int i = 3; i >= 0; i--) {
		if (now[i] == wanted[i])
			continue;
		__atomic_store_n((uint64_t *)place + i, wanted[i], __ATOMIC_RELEASE);
		changed = true;
	}
	if (d->fib)
		__atomic_store_n(&d->fib->station[ifindex], wanted[0], __ATOMIC_RELEASE);
	return changed;
}

struct device interface_record_with(const struct interface *i, uint8_t flags)
{
	struct device record = {
		.roles = i->misplaced ? 0 : i->roles,
		.flags = (uint8_t)(flags | (link_is_bare(&i->link) ? DEVICE_BARE : 0)),
		.addr = i->addr,
		.mtu = i->link.mtu,
		.lower = i->carrier ? i->link.lower : 0,
		.tag_tpid = i->link.vlan_tpid,
		.tag_id = i->link.vlan_id,
		.rp_filter = i->rp_filter,
		.tenant = i->tenant,
		.vrf = (uint16_t)link_vrf(&i->link),
	};

	memcpy(record.mac, i->link.mac, sizeof(record.mac));
	return record;
}

/*
 * Native XDP passes frames to the driver of the egress interface, which takes them only if it has native XDP too;
 * generic XDP sends through the ordinary queue of any interface. So if both are in use, the kernel serves the generic
 * interfaces. It serves those where tc sends, too, for what XDP receives; tc sends through any interface.
 */
const char *interface_unable(const struct interfaces *all, const struct interface *i)
{
	const struct interface *sender = i->carrier ? interfaces_find_index(all, i->carrier) : i;
	bool any_native = false;

	if (i->attachment == DEVICE_ABSENT || !sender)
		return "not attached";
	if (i->attachment == DEVICE_TC && !interface_wants_tc(i))
		return "no XDP";
	if (i->attachment == DEVICE_TC) {
		for (size_t k = 0; k < all->count; k++)
			if (interface_has_xdp(&all->list[k]))
				return "tc beside XDP";
		return NULL;
	}
	if (sender->health.refusing)
		return strcmp(sender->link.kind, "veth") ? "driver refuses frames" : "veth peer refuses frames";
	for (size_t k = 0; k < all->count && i->attachment != DEVICE_XDP_NATIVE; k++)
		any_native |= all->list[k].attachment == DEVICE_XDP_NATIVE;
	return i->attachment == DEVICE_XDP_NATIVE || !any_native ? NULL : "generic XDP beside native XDP";
}

static uint8_t flags_of(const struct interfaces *all, const struct interface *i)
{
	uint8_t flags = 0;

	if (i->roles && !i->misplaced && interface_has_xdp(i) && !interface_unable(all, i))
		flags |= i->carrier ? DEVICE_TAGGED : DEVICE_REDIRECT;
	/* Generic XDP sends through the kernel's queues, which take any frame. */
	if (i->attachment == DEVICE_XDP_SKB)
		flags |= DEVICE_FRAGS;
	if (i->attachment == DEVICE_XDP_NATIVE)
		flags |= DEVICE_NATIVE;
	if (i->made_clsact)
		flags |= DEVICE_CLSACT;
	if (i->attachment == DEVICE_XDP_SKB && !i->carrier && link_is_stacked(&i->link))
		flags |= DEVICE_MERGED;
	return flags;
}

struct device interface_record(const struct interfaces *all, const struct interface *i)
{
	return interface_record_with(i, flags_of(all, i));
}

/* The VRF that a link is in, by its name; "": none. */
static void name_vrf(struct netlink *n, const struct link *l, char name[static IFNAMSIZ])
{
	struct link vrf;

	name[0] = '\0';
	if (link_vrf(l) && !link_by_index(n, link_vrf(l), &vrf))
		memcpy(name, vrf.name, sizeof(vrf.name));
}

int interface_check_vrf(struct netlink *n, const struct interface *i, struct error *err)
{
	char now[IFNAMSIZ];
	struct link vrf;

	if (!i->tenant)
		return 0;
	name_vrf(n, &i->link, now);
	if (!strcmp(now, i->vrf))
		return 0;
	if (*i->vrf && (link_by_name(n, i->vrf, &vrf) || !link_is_vrf(&vrf)))
		return error_set(err, -ENODEV, "%s: there is no VRF %s yet, which is its tenant's", i->name, i->vrf);
	if (*i->vrf)
		return error_set(err, -EXDEV,
				 "%s: is not in %s, the VRF of its tenant: 'ip link set %s vrf %s' puts it there",
				 i->name, i->vrf, i->name, i->vrf);
	return error_set(err, -EXDEV,
			 "%s: is in the VRF %s, but its tenant has none: give the tenant the key 'vrf', or take the "
			 "interface out ('ip link set %s nomaster')",
			 i->name, now, i->name);
}

int interface_check(struct netlink *n, const struct interface *i, const struct own_programs *own, struct error *err)
{
	enum xdp_mode mode = i->xdp.mode;
	int r = i->without_xdp[0]			 ? link_check(&i->link, err)
		: i->xdp.dispatcher == DISPATCHER_LIBXDP ? xdp_check_link(&i->link, err)
							 : xdp_check(&i->link, own, err);

	if (!r)
		r = interface_check_vrf(n, i, err);
	if (!r && !i->without_xdp[0])
		r = xdp_settle_mode(&i->link, &mode, err);
	return r ? r : tc_check(n, &i->link, own, err);
}

enum entry interface_entry(const struct interface *i)
{
	/* An interface without a role carries VLAN interfaces; the outside program does nothing else there. */
	return i->roles == DEVICE_INSIDE		 ? ENTRY_INSIDE
	       : !i->roles || i->roles == DEVICE_OUTSIDE ? ENTRY_OUTSIDE
							 : ENTRY_BOTH;
}

int interface_program(const struct datapath *d, const struct interface *i)
{
#define X(name, entry, program) [entry] = d->name,
	const int programs[N_ENTRIES] = { XDP_ENTRY_PROGRAMS(X) };
#undef X

	return programs[interface_entry(i)];
}

int interface_tc_program(const struct datapath *d, const struct interface *i)
{
#define X(name, entry, program) [entry] = d->name,
	const int passing[N_ENTRIES] = { TC_ENTRY_PROGRAMS(X) }, sending[N_ENTRIES] = { REDIRECT_ENTRY_PROGRAMS(X) };
#undef X

	return (interface_wants_tc(i) ? sending : passing)[interface_entry(i)];
}

int interface_egress_program(const struct datapath *d, const struct interface *i)
{
	return link_is_bare(&i->link) ? d->tc_bare : d->tc_outside;
}

int interface_detach(struct netlink *n, struct datapath *d, struct own_programs *own, uint32_t ifindex,
		     struct error *err)
{
	static const struct device none;
	bool in_tables = d->device && ifindex < MAX_IFINDEX;
	bool made_clsact = in_tables && d->device[ifindex].flags & DEVICE_CLSACT;
	struct link l;
	int r = 0, tc;

	if (!link_by_index(n, ifindex, &l)) {
		if (own_programs_share(own, ifindex))
			r = share_detach(d, ifindex, own, err);
		else
			r = xdp_detach(&l, own);
		if (r && !own_programs_share(own, ifindex))
			error_set(err, r, "%s", strerror(-r));
		/* The qdisc goes with the last of them. */
		for (enum tc_side side = 0; side < N_TC_SIDES; side++) {
			tc = tc_detach(n, own, ifindex, side, made_clsact && side == N_TC_SIDES - 1);
			if (!r && tc)
				r = error_set(err, tc, "%s", strerror(-tc));
		}
	} else {
		share_forget(d, ifindex, own);
		for (enum tc_side side = 0; side < N_TC_SIDES; side++)
			tcx_detach(own->pin_path, ifindex, side);
	}
	if (in_tables)
		device_store(d, ifindex, &none);
	datapath_del_port(d, ifindex);
	return r;
}

void interface_check_forwarding(struct interface *i)
{
	bool off = forwarding_is_off(i->link.name);

	if (off && !i->forwarding_off)
		forwarding_warn(i->link.name);
	i->forwarding_off = off;
}

void interfaces_carry(struct interfaces *all)
{
	for (size_t k = 0; k < all->count; k++) {
		struct interface *i = &all->list[k];
		const struct interface *carrier = i->carrier ? interfaces_find_index(all, i->carrier) : NULL;

		if (i->carrier)
			i->attachment = carrier && i->link.ifindex ? carrier->attachment : DEVICE_ABSENT;
	}
}

/* Maintains the map `vlans`, by which the datapath finds VLAN interfaces by tag. */

/* The key for an interface's frames; false if it receives none. */
static bool key_of(const struct interface *i, struct vlan_key *ret)
{
	if (!i->carrier || !(i->link.flags & IFF_UP) || i->link.ifindex >= MAX_IFINDEX)
		return false;
	*ret = (struct vlan_key){ .lower = i->link.lower, .tpid = i->link.vlan_tpid, .id = i->link.vlan_id };
	return true;
}

static bool is_wanted(const void *key, const void *arg)
{
	const struct interfaces *all = arg;
	struct vlan_key wanted;

	for (size_t k = 0; k < all->count; k++)
		if (key_of(&all->list[k], &wanted) && !memcmp(key, &wanted, sizeof(wanted)))
			return true;
	return false;
}

int interfaces_tell_vlans(const struct interfaces *all, int vlans)
{
	struct vlan_key key;
	uint32_t ifindex;
	int failed = map_keep(vlans, sizeof(key), is_wanted, all);

	for (size_t k = 0; k < all->count; k++) {
		if (!key_of(&all->list[k], &key) ||
		    (!bpf_map_lookup_elem(vlans, &key, &ifindex) && ifindex == all->list[k].link.ifindex))
			continue;
		if (bpf_map_update_elem(vlans, &key, &all->list[k].link.ifindex, BPF_ANY))
			failed = -errno;
	}
	return failed;
}
