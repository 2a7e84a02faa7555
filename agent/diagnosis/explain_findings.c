/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagnosis/explain.h"
#include "base/virtual6.h"

#include <inttypes.h>
#include <string.h>

#include <detnat/extents.h>

#include "diagnosis/doctor.h"
#include "diagnosis/explain_private.h"
#include "diagnosis/unanswered.h"
#include "links/devices.h"

/* Older refusals are not reported. */
#define LATELY_S 600

/* Reports a mapping of the configuration file that covers an address but is not in force. */
static void add_file(const struct explanation *e, cJSON *list)
{
	_cleanup_config_ struct config *file = NULL;
	char in[INSIDE_TEXT], out[INSIDE_TEXT];

	if (!e->context->active->path || config_load(e->context->active->path, &file, NULL, NULL))
		return;
	for (size_t i = 0; i < file->n_mappings; i++) {
		const struct config_mapping *m = &file->mappings[i];

		if (!prefix_holds(m->in, e->asked.addr) && !prefix_holds(m->out, e->asked.addr))
			continue;
		explain_add(list, false, "mapping", "detnatctl reload makes the running state equal to the file",
			    "the configuration file has the mapping %s to %s, which is not in force: it was deleted, "
			    "or never loaded",
			    inside_prefix_text(m->in, in), prefix_text(m->out, out));
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
	char addr[INSIDE_TEXT];

	explain_add(list, false, "outside", "explain a subscriber's address, or one of a pool",
		    "%s is a host outside, reached through %s: it needs no mapping; packets from it are let in where "
		    "they answer a session",
		    addr_format(e->asked.addr, addr), e->way_out.name);
}

static void add_unmapped(const struct explanation *e, cJSON *list)
{
	const struct config *c = e->context->active->config;
	char addr[INSIDE_TEXT];

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

static void add_quota(const struct explanation *e, cJSON *list)
{
	uint32_t sessions = explain_profile_sessions(&e->profile), quota = e->mapping->sessions_per_user;
	char addr[INSIDE_TEXT];

	inside_text(e->in_addr, addr);
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
	char addr[INSIDE_TEXT];

	if (subscriber_limits_read(e->context->mappings, e->number, e->in_addr, &l))
		return;
	inside_text(e->in_addr, addr);
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
	char addr[INSIDE_TEXT];

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

/* Applies the rule of the datapath, extent_take(), to the next extent of the subscriber. */
static void add_extents(const struct explanation *e, cJSON *list)
{
	const struct datapath *d = e->context->datapath;
	const char *advice = "raise overflow_sessions, or session_slots of the mapping";
	uint64_t all = d->settings.extent_buckets, used = datapath_extents_used(d);
	uint64_t left = used < all ? all - used : 0, has = e->record.extent_buckets;
	uint64_t next = has ? has << EXTENT_GROWS_BY : 1;

	if (!e->record.slots_free && !left)
		explain_add(list, true, "drop_overflow_full", advice,
			    "its %u slots are full, and so is the room beyond them: %" PRIu64 " of %" PRIu64
			    " buckets of all subscribers",
			    e->record.slots, used, all);
	else if (!e->record.slots_free && (next >> EXTENT_MAX_SHIFT > 1 ||
					   next * BUCKET_SLOTS > extent_share(all * BUCKET_SLOTS, left * BUCKET_SLOTS)))
		explain_add(list, true, "drop_overflow_full", advice,
			    "its %u slots are full, %" PRIu64 " buckets of them beyond its own: its share, as %" PRIu64
			    " are free",
			    e->record.slots, has, left);
	else if (all && used * 10 >= all * 9)
		explain_add(list, false, "drop_overflow_full", advice,
			    "the room for sessions beyond the slots is nearly full: %" PRIu64 " of %" PRIu64 " buckets",
			    used, all);
}

/* reached: the port needs no session. */
static void add_port(const struct explanation *e, cJSON *list, bool reached)
{
	char place[PLACE_TEXT];

	if (reached || !e->with_port || e->profile.n_match)
		return;
	explain_asked(e, place);
	if (e->side == EXPLAIN_OUTSIDE)
		explain_add(list, true, "drop_no_session",
			    explain_is_ipv6(e) ? "a host of the subscriber opens a session, and only from where that "
						 "goes are packets let in: IPv6 subscribers have no portmaps"
					       : "the subscriber opens a session, or leases the port through PCP; "
						 "portmap add opens a port for good, and in a mapping with inbound "
						 "open all are",
			    "no session uses %s: packets to it from outside are dropped", place);
	else
		explain_add(list, false, "session",
			    explain_is_ipv6(e)
				    ? "it is opened by the first packet from there to an IPv4 address in the "
				      "NAT64 prefix of its mapping"
				    : "it is opened by the first packet from there to outside",
			    "there is no session of %s", place);
}

/* Hosts of an IPv6 subscriber, which may be as many as its mapping says. */
static void add_hosts(const struct explanation *e, cJSON *list)
{
	char addr[INSIDE_TEXT];
	struct subscriber_hosts h;

	if (!explain_is_ipv6(e) || subscriber_hosts_read(e->context->mappings, e->in_addr, &h))
		return;
	if (h.n >= h.most)
		explain_add(list, false, "drop_hosts",
			    "hosts_per_subscriber of the mapping is their number, up to 64; detnatctl session flush "
			    "HOST ends the sessions of one",
			    "%u hosts of %s have sessions, as many as may: a further one is refused unless one of them "
			    "has been silent for a minute",
			    h.n, inside_text(e->in_addr, addr));
}

static void add_no_subscriber(const struct explanation *e, cJSON *list)
{
	bool shared = explain_is_shared(e->context, e->number, e->asked);
	char addr[INSIDE_TEXT], why[NO_BLOCK_TEXT];

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

static void add_machine_finding(void *arg, const char *check, enum doctor_level level, const char *text)
{
	explain_add(arg, level == DOCTOR_FAILURE, check, "", "%s", text);
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

/* Of a subscriber whom others answer: fewer may come from a host that probes addresses. */
#define UNANSWERED 3U

/* Whether packets are dropped for a reason that is known. */
static bool any_refused(const cJSON *list)
{
	const cJSON *f;

	cJSON_ArrayForEach (f, list)
		if (cJSON_IsTrue(cJSON_GetObjectItem(f, "drops")) ||
		    !strncmp(cJSON_GetStringValue(cJSON_GetObjectItem(f, "reason")), "drop_", 5))
			return true;
	return false;
}

static void add_unanswered(const struct explanation *e, cJSON *list)
{
	const struct geometry *g = &e->mapping->geo;
	uint32_t tcp = e->profile.sessions[USAGE_TCP], all = explain_profile_sessions(&e->profile);
	bool no_answer = tcp && e->profile.unanswered == tcp;
	char addr[INSIDE_TEXT], pool[INSIDE_TEXT];

	if (all && (nothing_came_back(e->context->datapath) || (no_answer && tcp == all)) && !any_refused(list)) {
		explain_add(list, false, "unanswered", "",
			    "No packet has come back to %s yet: does the upstream route %s to this gateway?",
			    addr_format(e->block.out_addr, addr), prefix_text(geometry_out(g), pool));
		return;
	}
	if (tcp < UNANSWERED || !no_answer)
		return;
	explain_add(
		list, false, "unanswered",
		"does the upstream router have a route to the pool via this gateway, or ask for its addresses by ARP?",
		"none of the %u TCP sessions of %s was ever answered; answers go to the pool %s", tcp,
		inside_text(e->in_addr, addr), prefix_text(geometry_out(g), pool));
}

static void add_sessions(const struct explanation *e, cJSON *list)
{
	add_quota(e, list);
	add_hosts(e, list);
	add_limits(e, list);
	add_ports(e, list);
	explain_add_growth(e, list);
	add_extents(e, list);
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
	explain_add_interfaces(e, list);
	explain_add_guard(e, list);
	if (e->mapping->geo.out_plen == PLEN_NONE) {
		explain_add_untranslated(e, list);
		explain_add_draining(e, e->asked.addr, list);
		return list;
	}
	if (e->side == EXPLAIN_OUTSIDE)
		add_outside(e, list);
	if (e->subscriber) {
		explain_add_ways(e, list);
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
	explain_add_lengths(e, list);
	return list;
}
