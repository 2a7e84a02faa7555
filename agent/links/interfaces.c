/* SPDX-License-Identifier: BSD-2-Clause */
#include "links/interfaces.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <string.h>

#include "base/log.h"

uint64_t monotonic_s(void)
{
	return monotonic_us() / 1000000;
}

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

/* ---- records ---------------------------------------------------------------------------------------------------- */

bool device_store(struct device *place, const struct device *record)
{
	uint64_t now[4], wanted[4];
	bool changed = false;

	_Static_assert(offsetof(struct device, addr) == sizeof(now[0]) &&
			       offsetof(struct device, lower) == 2 * sizeof(now[0]) &&
			       offsetof(struct device, rp_filter) == 3 * sizeof(now[0]) &&
			       sizeof(struct device) == sizeof(now),
		       "four words hold all");
	memcpy(now, place, sizeof(now));
	memcpy(wanted, record, sizeof(wanted));
	/* The word with the roles last: it makes the others count. */
	for (int i = 3; i >= 0; i--) {
		if (now[i] == wanted[i])
			continue;
		__atomic_store_n((uint64_t *)place + i, wanted[i], __ATOMIC_RELEASE);
		changed = true;
	}
	return changed;
}

static struct device record_of(const struct interface *i, uint8_t flags)
{
	struct device record = {
		.roles = i->roles,
		.flags = flags,
		.addr = i->addr,
		.mtu = i->link.mtu,
		.lower = i->carrier ? i->link.lower : 0,
		.tag_tpid = i->link.vlan_tpid,
		.tag_id = i->link.vlan_id,
		.rp_filter = i->rp_filter,
	};

	memcpy(record.mac, i->link.mac, sizeof(record.mac));
	return record;
}

void interface_record_begin(struct devices *v, const struct interface *i)
{
	struct device *place = &v->datapath->device[i->link.ifindex];
	struct device record = record_of(i, place->flags);

	if (!record.addr)
		record.addr = place->addr;
	if (device_store(place, &record))
		monitor_raise_epoch(v->monitor);
}

/*
 * Native XDP hands frames to the driver of the way out, which takes them only if it has native XDP too; generic XDP
 * sends by way of the ordinary queue of any interface. So where the two are mixed, generic interfaces are served by the
 * kernel.
 */
static bool takes_redirects(const struct interfaces *all, const struct interface *i)
{
	const struct interface *sender = i->carrier ? interfaces_find_index(all, i->carrier) : i;
	bool any_native = false;

	for (size_t k = 0; k < all->count; k++)
		any_native |= all->list[k].attachment == DEVICE_XDP_NATIVE;
	if (i->attachment == DEVICE_ABSENT || !sender || sender->health.refusing)
		return false;
	return i->attachment == DEVICE_XDP_NATIVE || !any_native;
}

static uint8_t record_flags(const struct interfaces *all, const struct interface *i)
{
	uint8_t flags = 0;

	if (i->roles && takes_redirects(all, i))
		flags |= i->carrier ? DEVICE_TAGGED : DEVICE_REDIRECT;
	/* Generic XDP sends by the kernel's own queues, which take all. */
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
	return record_of(i, record_flags(all, i));
}

void interfaces_record(struct devices *v, struct interfaces *all)
{
	struct address *addresses = NULL;
	size_t n_addresses = 0;
	bool changed = false;
	struct rp_summary summary = { 0 };
	_cleanup_free_ struct rp_filters *filters = NULL;
	int r = rp_filters_read(v->netlink, &filters);

	if (r)
		log_debug("the reverse-path filters cannot be read: %s", strerror(-r));
	r = addresses_read(v->netlink, &addresses, &n_addresses);
	if (r)
		log_debug("the addresses cannot be read: %s", strerror(-r));
	interfaces_carry(all);
	for (size_t k = 0; k < all->count; k++) {
		struct interface *i = &all->list[k];

		/* One beyond the tables is not attached, and was complained of. */
		if (!i->link.ifindex || i->link.ifindex >= MAX_IFINDEX)
			continue;
		if (!r)
			i->addr = addresses_primary(addresses, n_addresses, i->link.ifindex);
		if (filters)
			i->rp_filter = rp_filter_of(filters, i->link.ifindex);
		rp_summary_add(&summary, i->roles, i->rp_filter);

		struct device record = interface_record(all, i);

		changed |= device_store(&v->datapath->device[i->link.ifindex], &record);
	}
	changed |= interfaces_record_ports(v, all);
	free(addresses);
	v->filters = summary;
	r = interfaces_tell_vlans(all, v->datapath->vlans);
	if (r)
		log_error("the datapath cannot be told of VLAN interfaces: %s", strerror(-r));
	r = interfaces_remember(all, v->names);
	if (r)
		log_error("the names of the interfaces cannot be remembered for a restart: %s", strerror(-r));
	if (changed)
		monitor_raise_epoch(v->monitor);
	if ((changed || v->tell_attachments) && v->attachments_changed)
		v->attachments_changed(v->attachments_changed_arg);
	v->tell_attachments = false;
}

/* ---- guard ------------------------------------------------------------------------------------------------------- */

static bool is_open(const struct interface *i)
{
	return i->roles && i->link.ifindex && i->attachment != DEVICE_ABSENT && !i->shut;
}

void interfaces_open(struct devices *v, const struct interfaces *all)
{
	_cleanup_free_ uint32_t *open = calloc(all->count + 1, sizeof(*open));
	size_t n = 0;

	for (size_t k = 0; open && k < all->count; k++)
		if (is_open(&all->list[k]))
			open[n++] = all->list[k].link.ifindex;
	guard_open(v->guard, open, n);
}

void interfaces_shut(struct devices *v, const struct interfaces *all)
{
	_cleanup_free_ uint32_t *kept = calloc(all->count + 1, sizeof(*kept));
	size_t n = 0;

	for (size_t k = 0; kept && k < all->count; k++) {
		uint32_t ifindex = all->list[k].link.ifindex;

		if (ifindex && ifindex < MAX_IFINDEX && v->datapath->device[ifindex].roles == all->list[k].roles)
			kept[n++] = ifindex;
	}
	guard_keep(v->guard, kept, n);
}

/* ---- attach and detach --------------------------------------------------------------------------------------------
 */

int interface_attach_tc(struct devices *v, struct interface *i, struct error *err)
{
	if (!(i->roles & DEVICE_OUTSIDE))
		return 0;
	i->made_clsact = v->datapath->device[i->link.ifindex].flags & DEVICE_CLSACT;
	return tc_attach(v->netlink, &i->link, v->datapath->tc_outside, &i->made_clsact, err);
}

int interface_program(const struct datapath *d, const struct interface *i)
{
	/* One without a role has VLAN interfaces; that of the outside does nothing else there. */
	return i->roles == DEVICE_INSIDE		 ? d->xdp_inside
	       : !i->roles || i->roles == DEVICE_OUTSIDE ? d->xdp_outside
							 : d->xdp_both;
}

int interface_attach_xdp(struct devices *v, struct interface *i, enum xdp_mode mode, struct error *err)
{
	const struct datapath *d = v->datapath;
	int fd = interface_program(d, i);
	bool native = false;
	int r = -EAGAIN;

	i->attached_s = monotonic_s();
	/* Its frames are seen below. */
	if (i->carrier)
		return xdp_detach(&i->link, &v->own);
	/* A bond sees the tags of frames only where XDP runs on its ports. */
	if (i->carrying && link_is_stacked(&i->link))
		mode = XDP_MODE_NATIVE;
	/* Generic was asked for until now; whether native is to be had only a trial tells. */
	if (v->applied && v->mode == XDP_MODE_SKB && mode == XDP_MODE_AUTO)
		r = xdp_attach(&i->link, fd, XDP_MODE_NATIVE, &v->own, &native, NULL);
	if (r && r != -ENODEV)
		r = xdp_attach(&i->link, fd, mode, &v->own, &native, err);
	if (r) {
		i->attachment = DEVICE_ABSENT;
		return r;
	}
	i->attachment = native ? DEVICE_XDP_NATIVE : DEVICE_XDP_SKB;
	return 0;
}

int interface_detach(struct netlink *n, struct datapath *d, const struct own_programs *own, uint32_t ifindex)
{
	static const struct device none;
	bool in_tables = d->device && ifindex < MAX_IFINDEX;
	bool made_clsact = in_tables && d->device[ifindex].flags & DEVICE_CLSACT;
	struct link l;
	int r = 0, tc;

	if (!link_by_index(n, ifindex, &l)) {
		r = xdp_detach(&l, own);
		tc = tc_detach(n, ifindex, made_clsact);
		if (!r)
			r = tc;
	}
	if (in_tables)
		device_store(&d->device[ifindex], &none);
	return r;
}

void interface_lost(struct devices *v, struct interface *i)
{
	guard_shut(v->guard, i->link.ifindex);
	interface_detach(v->netlink, v->datapath, &v->own, i->link.ifindex);
	redirects_stop(v->redirects, i->link.ifindex);
	monitor_raise_epoch(v->monitor);
	i->link = (struct link){ 0 };
	i->attachment = DEVICE_ABSENT;
	i->made_clsact = i->forwarding_off = i->shut = false;
	i->carrier = 0;
	i->health = (struct redirect_health){ 0 };
	i->problem[0] = i->name_note[0] = '\0';
	i->attached_s = 0;
	v->tell_attachments = true;
}

bool forwarding_is_off(const char *name)
{
	char path[64 + IFNAMSIZ], value = '1';

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/forwarding", name);

	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && read(fd, &value, 1) == 1 && value == '0';
}

static void warn_of_forwarding(const char *name)
{
	log_warning("%s: the kernel does not forward what comes in by it; set net.ipv4.ip_forward=1 (or "
		    "net/ipv4/conf/%s/forwarding=1) with sysctl",
		    name, name);
}

void interface_check_forwarding(struct interface *i)
{
	bool off = forwarding_is_off(i->link.name);

	if (off && !i->forwarding_off)
		warn_of_forwarding(i->link.name);
	i->forwarding_off = off;
}

void devices_check_forwarding(const struct config *c)
{
	for (size_t k = 0; k < c->n_interfaces; k++)
		if (forwarding_is_off(c->interfaces[k].name))
			warn_of_forwarding(c->interfaces[k].name);
}
