/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagnosis/explain.h"

#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <string.h>

#include "diagnosis/doctor.h"
#include "diagnosis/explain_private.h"
#include "guard/guard.h"
#include "links/devices.h"
#include "routing/forwarding.h"
#include "routing/sources.h"

/* Older refusals, and older drops by the guard, are not reported. */
#define LATELY_S       600
#define GUARD_LATELY_S 60

/* Reports a mapping of the configuration file that covers an address but is not in force. */
static void add_file(const struct explanation *e, cJSON *list)
{
	_cleanup_config_ struct config *file = NULL;
	char in[ADDR_TEXT], out[ADDR_TEXT];

	if (!e->context->active->path || config_load(e->context->active->path, &file, NULL, NULL))
		return;
	for (size_t i = 0; i < file->n_mappings; i++) {
		const struct config_mapping *m = &file->mappings[i];

		if (!prefix_holds(m->in, e->asked.addr) && !prefix_holds(m->out, e->asked.addr))
			continue;
		explain_add(list, false, "mapping", "detnatctl reload makes the running state equal to the file",
			    "the configuration file has the mapping %s to %s, which is not in force: it was deleted, "
			    "or never loaded",
			    prefix_text(m->in, in), prefix_text(m->out, out));
	}
}

/*
 * Whether the route to an address leaves through an outside interface, unless that is only the default route of a
 * private address.
 */
static bool is_outside(const struct explanation *e)
{
	const struct kernel_way *way = &e->way_out;
	uint32_t ifindex = way->error || way->local ? 0 : way->ifindex;

	if (!ifindex || ifindex >= MAX_IFINDEX || e->context->datapath->device[ifindex].roles != DEVICE_OUTSIDE)
		return false;
	return way->next_hop == way->addr || !unmatched_drops(UNMATCHED_DROP_PRIVATE, e->asked.addr);
}

static void add_outside_host(const struct explanation *e, cJSON *list)
{
	char addr[ADDR_TEXT];

	explain_add(list, false, "outside", "explain a subscriber's address, or one of a pool",
		    "%s is a host outside, reached through %s: it needs no mapping; packets from it are let in where "
		    "they answer a session",
		    addr_format(e->asked.addr, addr), e->way_out.name);
}

static void add_unmapped(const struct explanation *e, cJSON *list)
{
	const struct config *c = e->context->active->config;
	char addr[ADDR_TEXT];

	addr_format(e->asked.addr, addr);
	if (is_outside(e))
		add_outside_host(e, list);
	else if (unmatched_drops(c->unmatched, e->asked.addr))
		explain_add(
			list, true, "drop_no_mapping",
			"detnatctl mapping add IN OUT covers it; or set unmatched to \"route\" in the configuration",
			"%s is in no mapping: packets from it that arrive through an inside interface and would leave "
			"through an outside one are dropped, as unmatched is \"%s\"",
			addr, word_text(unmatched_words, c->unmatched));
	else if (c->unmatched == UNMATCHED_STRICT)
		explain_add(list, false, "drop_spoofed", "detnatctl mapping add IN OUT translates it",
			    "%s is in no mapping: packets from it are routed unchanged where the route back to it is "
			    "through the interface through which they arrived, and otherwise dropped, as unmatched is "
			    "\"strict\"",
			    addr);
	else
		explain_add(list, false, "passed_untranslated", "detnatctl mapping add IN OUT translates it",
			    "%s is in no mapping: packets from it are routed unchanged, as unmatched is \"%s\"", addr,
			    word_text(unmatched_words, c->unmatched));
	add_file(e, list);
	if (e->way_out.local)
		explain_add(list, false, "passed_untranslated", "",
			    "%s is the gateway's own address: its traffic is untouched", addr);
}

static void add_role(const struct parts *a, cJSON *list, uint8_t role, const char *name)
{
	unsigned there = 0, absent = 0, down = 0;

	for (size_t i = 0; i < a->active->config->n_interfaces; i++) {
		const struct config_interface *c = &a->active->config->interfaces[i];

		if (!(c->roles & role))
			continue;
		if (devices_attachment(a->devices, c->name) != DEVICE_ABSENT) {
			there++;
			down += devices_is_down(a->devices, c->name);
			continue;
		}
		absent++;
		explain_add(list, true, "interface",
			    "bring it up, or remove it with detnatctl interface del; the log has the reason",
			    "the %s interface %s is absent or not attached: nothing that crosses it is translated",
			    name, c->name);
	}
	if (!there && !absent)
		explain_add(list, true, "interface", "detnatctl interface add NAME inside|outside",
			    "there is no %s interface: nothing is translated", name);
	if (there && down == there)
		explain_add(list, true, "interface", "bring one up; detnatctl interface list says why each is down",
			    "no %s interface is up: nothing is translated", name);
}

static void add_interfaces(const struct explanation *e, cJSON *list)
{
	const struct parts *a = e->context;

	add_role(a, list, DEVICE_INSIDE, "inside");
	add_role(a, list, DEVICE_OUTSIDE, "outside");
	for (size_t i = 0; i < a->active->config->n_interfaces; i++) {
		const char *name = a->active->config->interfaces[i].name, *link = devices_link_name(a->devices, name);
		bool grave;
		const char *problem = devices_problem(a->devices, name, &grave);

		if (link && forwarding_is_off(link))
			explain_add(list, true, "forwarding",
				    "sysctl net.ipv4.ip_forward=1, or for that interface only",
				    "the kernel does not forward packets that arrive through %s", link);
		if (problem && (link || grave))
			explain_add(list, grave, "interface", "", "%s: %s", name, problem);
	}
}

static bool guard_stands(const struct explanation *e)
{
	return e->context->active->config->guard && !guard_problem(e->context->guard);
}

static bool is_bypassed(const struct config *c, uint32_t addr)
{
	for (size_t i = 0; i < c->n_bypass; i++)
		if (prefix_holds(c->bypass[i], addr))
			return true;
	return false;
}

/* Reports a route through an interface that lacks the required role. */
static void add_wrong_role(const struct explanation *e, cJSON *list, const struct kernel_way *way, bool in,
			   uint8_t roles)
{
	const char *advice = "check the routes, or give the interface its role with detnatctl interface add";
	bool guarded = !roles && guard_stands(e) && (in || !is_bypassed(e->context->active->config, way->addr));
	char addr[ADDR_TEXT];

	addr_format(way->addr, addr);
	if (in && guarded)
		explain_add(list, true, "drop_guard_out", advice,
			    "packets to %s leave through %s, which is not an inside interface: packets from there "
			    "through it are not translated, and the guard drops them where they would leave",
			    addr, way->name);
	else if (in)
		explain_add(list, false, "route", advice,
			    "packets to %s leave through %s, which is not an inside interface: packets from there "
			    "through it are not translated",
			    addr, way->name);
	else if (guarded)
		explain_add(list, true, "drop_guard_out", advice,
			    "packets to %s leave through %s, which is not an outside interface: they are not "
			    "translated, and the guard drops them",
			    addr, way->name);
	else
		explain_add(
			list, false, "passed_untranslated", advice,
			"packets to %s leave through %s, which is not an outside interface: they are not translated",
			addr, way->name);
}

static void add_guard(const struct explanation *e, cJSON *list)
{
	const char *problem = guard_problem(e->context->guard);
	int64_t ago = guard_last_drop(e->context->guard);

	if (!e->context->active->config->guard)
		explain_add(list, false, "guard", "\"guard\": true in the configuration stops both",
			    "\"guard\" is false: packets routed past detnat's interfaces leave with their inside "
			    "source, and what comes straight to an inside address is let in");
	else if (problem)
		explain_add(list, false, "guard", "detnatctl status says more",
			    "the guard is not in place: %s; packets routed past detnat's interfaces leave with their "
			    "inside source",
			    problem);
	else if (ago >= 0 && ago <= GUARD_LATELY_S)
		explain_add(list, false, "drop_guard_out",
			    "detnatctl stats shows the direction; compare `ip route get` with detnatctl interface list",
			    "the guard has dropped packets of some subscriber %" PRId64
			    " s ago: they were routed past the interfaces that translate",
			    ago);
}

/* As in bpf/slow/in2out_tc.h. */
static bool is_from_anywhere(const struct datapath *d, uint32_t ifindex)
{
	return d->settings.inside_from == INSIDE_ANY ||
	       (d->settings.inside_from == INSIDE_BEYOND && ifindex >= MAX_IFINDEX);
}

static void add_way(const struct explanation *e, cJSON *list, const struct kernel_way *way, bool in)
{
	const struct datapath *d = e->context->datapath;
	uint8_t roles = way->ifindex && way->ifindex < MAX_IFINDEX ? d->device[way->ifindex].roles : 0;
	char addr[ADDR_TEXT], next_hop[ADDR_TEXT];

	addr_format(way->addr, addr);
	addr_format(way->next_hop, next_hop);
	if (way->error) {
		explain_add(list, true, in ? "route" : "drop_unreachable",
			    "add a route, or remove the one that refuses it", "the kernel has no route to %s: %s", addr,
			    strerror(-way->error));
		return;
	}
	if (way->local) {
		explain_add(list, false, "passed_untranslated",
			    in ? "give subscribers other addresses than the gateway" : "",
			    "%s is the gateway's own address: packets to and from it are not translated", addr);
		return;
	}
	if (!(roles & (in ? DEVICE_INSIDE : DEVICE_OUTSIDE)) && (!in || roles || !is_from_anywhere(d, way->ifindex)))
		add_wrong_role(e, list, way, in, roles);
	if (!way->up)
		explain_add(list, true, "interface", "check the cable and the switch",
			    "%s, through which %s is reached, is down", way->name, addr);
	if (way->neighbour == NEIGHBOUR_FAILED || way->neighbour == NEIGHBOUR_INCOMPLETE)
		explain_add(list, true, "neighbour", "is it on, at that address, and behind that interface? try arping",
			    "%s on %s does not answer to ARP: packets to %s wait for it and are dropped", next_hop,
			    way->name, addr);
}

static void add_quota(const struct explanation *e, cJSON *list)
{
	uint32_t sessions = explain_profile_sessions(&e->profile), quota = e->mapping->sessions_per_user;
	char addr[ADDR_TEXT];

	addr_format(e->in_addr, addr);
	if (sessions >= quota)
		explain_add(list, true, "drop_quota",
			    "detnatctl session list ADDR shows the sessions, session close ends some; "
			    "sessions_per_user raises the quota",
			    "%s is at its quota: %u of %u sessions, further ones are refused", addr, sessions, quota);
	else if (e->record.quota_refusal >= 0 && e->record.quota_refusal <= LATELY_S)
		explain_add(
			list, false, "drop_quota", "sessions_per_user raises the quota, session_slots the room",
			"sessions of %s were last refused for its quota, or for lack of room beyond its slots, %" PRId64
			" s ago",
			addr, e->record.quota_refusal);
}

/* Sessions of a protocol, and sessions per second. */
static void add_limits(const struct explanation *e, cJSON *list)
{
	static const char *const names[N_LIMITS] = { "TCP", "UDP", "ICMP" };
	const char *advice = "limits of the mapping sets others; detnatctl session list ADDR shows the sessions";
	struct subscriber_limits l;
	char addr[ADDR_TEXT];

	if (subscriber_limits_read(e->context->mappings, e->number, e->in_addr, &l))
		return;
	addr_format(e->in_addr, addr);
	for (unsigned i = 0; i < N_LIMITS; i++)
		if (l.limit.sessions[i] && !l.uncounted && l.sessions[i] >= l.limit.sessions[i])
			explain_add(list, true, "drop_quota_protocol", advice,
				    "%s is at its limit of %s: %u of %u sessions, further ones are refused", addr,
				    names[i], l.sessions[i], l.limit.sessions[i]);
	if (l.limit.interval_ns && !l.tokens)
		explain_add(list, true, "drop_rate", advice,
			    "%s has opened all the sessions that it may: %u a second, and %u after a pause", addr,
			    l.limit.rate, l.limit.burst);
	else if (l.rate_refusal >= 0 && l.rate_refusal <= LATELY_S)
		explain_add(list, false, "drop_rate", advice,
			    "sessions of %s were last refused as it opened more than %u a second %" PRId64 " s ago",
			    addr, l.limit.rate, l.rate_refusal);
	if (l.protocol_refusal >= 0 && l.protocol_refusal <= LATELY_S)
		explain_add(list, false, "drop_quota_protocol", advice,
			    "sessions of %s were last refused for the limit of their protocol %" PRId64 " s ago", addr,
			    l.protocol_refusal);
}

static void add_ports(const struct explanation *e, cJSON *list)
{
	const struct explain_destination *d = &e->busiest;
	uint32_t ports = e->mapping->geo.ports_per_host + explain_granted_ports(e);
	const char *advice = "a mapping to more outside addresses gives each subscriber more ports";
	const char *reason = "drop_ports_exhausted";
	bool refused = d->sessions >= ports && (!e->mapping->growth.block || explain_no_growth(e, &reason));
	char addr[ADDR_TEXT];

	if (refused)
		explain_add(list, true, reason, advice,
			    "all %u ports of %s are in use towards %s %s:%u: further sessions to it are refused", ports,
			    ports > e->mapping->geo.ports_per_host ? "its blocks" : "the block",
			    usage_protocol_text(d->proto), addr_format(d->ext.addr, addr), d->ext.port);
	else if (e->record.ports_refusal >= 0 && e->record.ports_refusal <= LATELY_S)
		explain_add(list, false, "drop_ports_exhausted", advice,
			    "a session was last refused for lack of a free port %" PRId64 " s ago",
			    e->record.ports_refusal);
}

/* Applies the admission rule of the datapath: a subscriber may have less than an eighth of the free room. */
static void add_overflow(const struct explanation *e, cJSON *list)
{
	const struct parts *a = e->context;
	const char *advice = "raise overflow_sessions, or session_slots of the mapping";
	int64_t used = __atomic_load_n(&a->datapath->global->overflow, __ATOMIC_RELAXED);
	int64_t limit = a->active->config->overflow_sessions, share = used < limit ? (limit - used + 7) / 8 : 0;

	if (!e->record.slots_free && used >= limit)
		explain_add(list, true, "drop_overflow_full", advice,
			    "its %u slots are full, and so is the room beyond them: %" PRId64 " of %" PRId64
			    " sessions of all subscribers",
			    e->record.slots, used, limit);
	else if (!e->record.slots_free && e->record.overflow >= share)
		explain_add(list, true, "drop_overflow_full", advice,
			    "its %u slots are full, and beyond them it has %u sessions: its share of the %" PRId64
			    " that are free",
			    e->record.slots, e->record.overflow, limit - used);
	else if (limit && used * 10 >= limit * 9)
		explain_add(list, false, "drop_overflow_full", advice,
			    "the room for sessions beyond the slots is nearly full: %" PRId64 " of %" PRId64, used,
			    limit);
}

/* reached: the port needs no session. */
static void add_port(const struct explanation *e, cJSON *list, bool reached)
{
	char addr[ADDR_TEXT];

	if (reached || !e->with_port || e->profile.n_match)
		return;
	addr_format(e->asked.addr, addr);
	if (e->side == EXPLAIN_OUTSIDE)
		explain_add(list, true, "drop_no_session",
			    "the subscriber opens a session, or leases the port through PCP; portmap add opens a port "
			    "for good, and in a mapping with inbound open all are",
			    "no session uses %s:%u: packets to it from outside are dropped", addr, e->asked.port);
	else
		explain_add(list, false, "session", "it is opened by the first packet from there to outside",
			    "there is no session of %s:%u", addr, e->asked.port);
}

static void add_no_subscriber(const struct explanation *e, cJSON *list)
{
	bool shared = explain_is_shared(e->context, e->number, e->asked);
	char addr[ADDR_TEXT], why[NO_BLOCK_TEXT];

	explain_add(list, true, "drop_no_session", "",
		    "%s:%u has no subscriber: %s; packets to it are dropped, unless the address is the gateway's own",
		    addr_format(e->asked.addr, addr), e->asked.port,
		    shared ? explain_not_granted(e->context, e->asked, why)
			   : explain_no_block(&e->mapping->geo, e->asked, why));
}

static void add_outside(const struct explanation *e, cJSON *list)
{
	if (!e->context->active->config->answer_arp)
		explain_add(list, false, "arp_answered",
			    "a router outside needs a route to the pool via the gateway's address",
			    "ARP requests for pool addresses are not answered, as answer_arp is false");
	if (e->pool.at_quota)
		explain_add(list, true, "drop_quota", "detnatctl top --by quota shows these subscribers",
			    "%u of its subscribers are at their quota: their further sessions are refused",
			    e->pool.at_quota);
}

static void add_machine_finding(void *arg, const char *subject, const char *text)
{
	explain_add(arg, false, subject, "", "%s", text);
}

/* Mechanisms that forwarding by XDP bypasses, and addresses of the machine in the pool. */
static void add_machine(const struct explanation *e, cJSON *list)
{
	const struct parts *a = e->context;
	const struct geometry *g = &e->mapping->geo;
	struct config_mapping mapping = {
		.in = geometry_in(g),
		.out = geometry_out(g),
	};
	struct config c = *a->active->config;

	c.mappings = &mapping;
	c.n_mappings = 1;
	if (devices_kernel_forwards(a->devices, a->active->config, NULL))
		c.forwarding = FORWARDING_KERNEL;
	doctor_explain(&c, add_machine_finding, list);
}

/* An interface with one of the roles, other than that of the route, whose reverse-path filter is strict; or NULL. */
static const char *strict_beside(const struct explanation *e, const struct kernel_way *way, uint8_t roles)
{
	const struct parts *a = e->context;

	for (size_t i = 0; i < a->active->config->n_interfaces; i++) {
		const struct config_interface *c = &a->active->config->interfaces[i];
		const char *link = devices_link_name(a->devices, c->name);
		uint32_t ifindex = link ? if_nametoindex(link) : 0;

		if (c->roles == roles && ifindex && ifindex < MAX_IFINDEX && ifindex != way->ifindex &&
		    a->datapath->device[ifindex].rp_filter == RP_FILTER_STRICT)
			return link;
	}
	return NULL;
}

/* Drops of packets that were, or would be, translated: the kernel's filter checks the route back to the sender. */
static void add_reverse_paths(const struct explanation *e, cJSON *list)
{
	const char *advice =
		"the filter must be 2 (loose) where packets come and go through several interfaces: sysctl "
		"net.ipv4.conf.NAME.rp_filter, and that of all, of which the greater counts";
	const char *inside = strict_beside(e, &e->way_in, DEVICE_INSIDE);
	const char *outside = e->way_out.addr ? strict_beside(e, &e->way_out, DEVICE_OUTSIDE) : NULL;
	char addr[ADDR_TEXT];

	if (inside && !e->way_in.error)
		explain_add(
			list, false, "drop_martian", advice,
			"packets from %s through %s are dropped, as rp_filter is 1 (strict) there and the route back "
			"is through %s",
			addr_format(e->in_addr, addr), inside, e->way_in.name);
	if (outside && !e->way_out.error)
		explain_add(list, false, "rp_filter", advice,
			    "answers of %s that come through %s are translated and then dropped by the kernel, whose "
			    "rp_filter is 1 (strict) there, as the route to their sender is through %s; nstat counts "
			    "them as TcpExtIPReversePathFilter",
			    addr_format(e->way_out.addr, addr), outside, e->way_out.name);
}

/* Fewer may come from a host that probes addresses. */
#define UNANSWERED 3U

static void add_unanswered(const struct explanation *e, cJSON *list)
{
	const struct geometry *g = &e->mapping->geo;
	uint32_t tcp = e->profile.sessions[USAGE_TCP];
	char addr[ADDR_TEXT], pool[ADDR_TEXT];

	if (tcp < UNANSWERED || e->profile.unanswered < tcp)
		return;
	explain_add(
		list, false, "unanswered",
		"does the upstream router have a route to the pool via this gateway, or ask for its addresses by ARP?",
		"none of the %u TCP sessions of %s was ever answered; answers go to the pool %s", tcp,
		addr_format(e->in_addr, addr), prefix_text(geometry_out(g), pool));
}

static void add_sessions(const struct explanation *e, cJSON *list)
{
	add_quota(e, list);
	add_limits(e, list);
	add_ports(e, list);
	explain_add_growth(e, list);
	add_overflow(e, list);
	explain_add_draining(e, e->in_addr, list);
	add_port(e, list, explain_add_reachable(e, list));
	add_unanswered(e, list);
}

cJSON *explain_findings(const struct explanation *e)
{
	cJSON *list = cJSON_CreateArray();

	if (!e->mapping) {
		add_unmapped(e, list);
		explain_add_draining(e, e->asked.addr, list);
		return list;
	}
	add_interfaces(e, list);
	add_guard(e, list);
	if (e->mapping->geo.out_plen == PLEN_NONE) {
		explain_add_untranslated(e, list);
		explain_add_draining(e, e->asked.addr, list);
		return list;
	}
	if (e->side == EXPLAIN_OUTSIDE)
		add_outside(e, list);
	if (e->subscriber) {
		add_way(e, list, &e->way_in, true);
		if (e->way_out.addr)
			add_way(e, list, &e->way_out, false);
		add_reverse_paths(e, list);
		if (e->mapping->geo.flags & MAPPING_OPEN) {
			explain_add_open(e, list);
			explain_add_draining(e, e->in_addr, list);
		} else {
			add_sessions(e, list);
		}
	} else if (e->kept) {
		explain_add_kept(e, list);
	} else if (e->with_port) {
		add_no_subscriber(e, list);
	}
	add_machine(e, list);
	return list;
}
