// SPDX-License-Identifier: BSD-2-Clause
/* explain: the agent's findings about an address, and why its packets are dropped. */
#include <stdarg.h>
#include <string.h>

#include "command.h"
#include "json_get.h"

/* The lines of an explanation; format_rows() prepares the texts. */
static const struct column fields[] = {
	{ "Mapping", "mapping", cell_text, false, 0 },
	{ "Subscriber", "subscriber", cell_text, false, 0 },
	{ "Subscribers", "subscribers", cell_text, false, 0 },
	{ "Ports", "block", cell_text, false, 0 },
	{ "Portmaps", "portmaps", cell_text, false, 0 },
	{ "First choice", "first_choice", cell_text, false, 0 },
	{ "Sessions", "sessions", cell_text, false, 0 },
	{ "Hosts", "hosts", cell_text, false, 0 },
	{ "Not counted", "others", cell_text, false, 0 },
	{ "Owner", "owner", cell_text, false, 0 },
	{ "Ports in use", "ports_used", cell_text, false, 0 },
	{ "Slots", "slots", cell_text, false, 0 },
	{ "Refused packets", "refused", cell_text, false, 0 },
	{ "NAT type", "nat", cell_text, false, 0 },
	{ "Other protocols", "protocols", cell_text, false, 0 },
	{ "Way in", "way_in", cell_text, false, 0 },
	{ "Way out", "way_out", cell_text, false, 0 },
	{},
};

static void __attribute__((format(printf, 3, 4))) put(cJSON *lines, const char *key, const char *format, ...)
{
	char text[CELL_TEXT];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	cJSON_AddStringToObject(lines, key, text);
}

/* What consoles show for each type of NAT. */
static const char *console_words(const char *type, bool ipv6)
{
	static const struct {
		const char *type;
		const char *words;
	} consoles[] = {
		{ "open", "open; PlayStation type 2, Nintendo A or B" },
		{ "moderate", "moderate; PlayStation type 2, Nintendo B: strangers get in only through a portmap or "
			      "'mapping set --eif udp'" },
		{ "strict", "strict; PlayStation type 3, Nintendo C or D: 'mapping set --eim udp --eif udp' makes it "
			    "open" },
	};

	/* Mappings of IPv6 subscribers have no other. */
	if (ipv6)
		return "strict; PlayStation type 3, Nintendo C or D";
	for (size_t i = 0; i < ARRAY_SIZE(consoles); i++)
		if (!strcmp(consoles[i].type, type))
			return consoles[i].words;
	return type;
}

static void put_limits(cJSON *lines, const cJSON *limits)
{
	static const char *const names[] = { "tcp", "udp", "icmp" };
	char text[160];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const cJSON *of = json_get(limits, names[i]);

		if (of)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s %.0f of %.0f", n ? ", " : "", names[i],
					      json_number(of, "sessions"), json_number(of, "limit"));
	}
	if (json_get(limits, "tokens"))
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.0f of %.0f new sessions, %.0f a second",
				      n ? "; " : "", json_number(limits, "tokens"), json_number(limits, "new_burst"),
				      json_number(limits, "new_per_second"));
	if (n)
		put(lines, "limits", "%s", text);
}

/* The hosts of an IPv6 subscriber. */
static void put_hosts(cJSON *lines, const cJSON *s)
{
	const cJSON *hosts = json_get(s, "hosts"), *host;
	char text[CELL_TEXT];
	size_t n;

	if (!cJSON_IsArray(hosts))
		return;
	n = (size_t)snprintf(text, sizeof(text), "%d of %.0f", cJSON_GetArraySize(hosts),
			     json_number(s, "hosts_per_subscriber"));
	cJSON_ArrayForEach (host, hosts) {
		if (n < sizeof(text))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s %s %.0f",
					      host == hosts->child ? ":" : ",", json_text(host, "addr", "-"),
					      json_number(host, "sessions"));
	}
	put(lines, "hosts", "%s", text);
}

static void put_subscriber(cJSON *lines, const cJSON *s)
{
	const cJSON *busiest = json_get(s, "busiest");
	char beyond[64] = "", to[96] = "";

	put(lines, "subscriber", "%s", json_inside(s, "-"));
	put(lines, "block", "%s:<%.0f-%.0f>", json_text(s, "out_addr", "-"), json_number(s, "port_lo"),
	    json_number(s, "port_hi"));
	put(lines, "sessions", "%.0f of %.0f: tcp %.0f, udp %.0f, icmp %.0f", json_number(s, "sessions"),
	    json_number(s, "quota"), json_number(s, "tcp"), json_number(s, "udp"), json_number(s, "icmp"));
	put_hosts(lines, s);
	put_limits(lines, json_get(s, "limits"));
	if (json_number(s, "time_wait") + json_number(s, "expired") > 0)
		put(lines, "others", "%.0f in tcp-time-wait, %.0f expired", json_number(s, "time_wait"),
		    json_number(s, "expired"));
	if (cJSON_IsObject(busiest))
		snprintf(to, sizeof(to), "; most sessions go to %s %s:%.0f: %.0f", json_text(busiest, "proto", "-"),
			 json_text(busiest, "ext_addr", "-"), json_number(busiest, "ext_port"),
			 json_number(busiest, "sessions"));
	put(lines, "ports_used", "%.0f of %.0f%s", json_number(s, "ports_used"), json_number(s, "ports"), to);
	if (json_number(s, "overflow") > 0)
		snprintf(beyond, sizeof(beyond), ", and %.0f sessions beyond them", json_number(s, "overflow"));
	put(lines, "slots", "%.0f of %.0f in use%s", json_number(s, "slots") - json_number(s, "slots_free"),
	    json_number(s, "slots"), beyond);
	put(lines, "refused", "%.0f", json_number(s, "quota_exceeded"));
	if (json_get(s, "nat_type"))
		put(lines, "nat", "%s", console_words(json_text(s, "nat_type", "-"), !!json_get(s, "in_prefix")));
	if (json_get(s, "shares_address"))
		put(lines, "protocols", "%s",
		    json_get(s, "in_prefix")
			    ? "GRE (PPTP), ESP and the like are dropped, as nothing says which host an answer is for"
		    : cJSON_IsTrue(json_get(s, "shares_address"))
			    ? "GRE (PPTP), ESP and the like are dropped, as others share the outside address"
			    : "GRE (PPTP), ESP and the like are translated, as the outside address is its own");
}

static void put_pool(cJSON *lines, const cJSON *pool)
{
	double excepted = json_number(pool, "excepted");
	char others[48] = "";

	if (excepted > 0)
		snprintf(others, sizeof(others), " without %.0f exceptions", excepted);
	put(lines, "subscribers", "%.0f, %s to %s%s; with sessions %.0f, at their quota %.0f",
	    json_number(pool, "subscribers"), json_text(pool, "in_first", "-"), json_text(pool, "in_last", "-"), others,
	    json_number(pool, "active"), json_number(pool, "at_quota"));
	put(lines, "sessions", "%.0f", json_number(pool, "sessions"));
	put(lines, "refused", "%.0f", json_number(pool, "quota_exceeded"));
}

static void put_way(cJSON *lines, const char *key, const cJSON *way)
{
	const char *mac = json_text(way, "mac", NULL);
	double mtu = json_number(way, "mtu");
	char neighbour[64], length[32] = "";

	if (mac)
		snprintf(neighbour, sizeof(neighbour), " at %s", mac);
	else
		snprintf(neighbour, sizeof(neighbour), " (%s)", json_text(way, "neighbour", "-"));
	if (mtu > 0)
		snprintf(length, sizeof(length), ", MTU %.0f", mtu);
	put(lines, key, "to %s through %s%s, next hop %s%s; route from the %s", json_text(way, "addr", "-"),
	    json_text(way, "interface", "-"), length, json_text(way, "next_hop", "-"), neighbour,
	    json_text(way, "route_from", "-"));
}

/* Names and endpoints in one line. */
static void put_portmaps(cJSON *lines, const cJSON *portmaps)
{
	char text[CELL_TEXT] = "";
	const cJSON *m;
	size_t n = 0;

	cJSON_ArrayForEach (m, portmaps) {
		if (n < sizeof(text))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s %s:%.0f to port %.0f%s", n ? ", " : "",
					      json_text(m, "proto", "-"), json_text(m, "out_addr", "-"),
					      json_number(m, "out_port"), json_number(m, "in_port"),
					      cJSON_GetArraySize(json_get(m, "filters")) ? " with filters" : "");
	}
	if (n)
		put(lines, "portmaps", "%s", text);
}

/* The gateway that has opened, or continues, the sessions. */
static void put_owner(cJSON *lines, const cJSON *replication)
{
	char text[CELL_TEXT];
	const cJSON *copy;
	size_t n = (size_t)snprintf(text, sizeof(text), "%.0f sessions of this gateway's own",
				    json_number(replication, "own"));

	cJSON_ArrayForEach (copy, json_get(replication, "copies")) {
		if (n < sizeof(text))
			n += (size_t)snprintf(text + n, sizeof(text) - n, ", %.0f copies of %s",
					      json_number(copy, "sessions"), json_text(copy, "peer", "-"));
	}
	put(lines, "owner", "%s", text);
}

static void put_mapping(cJSON *lines, const cJSON *mapping)
{
	const char *name = json_text(mapping, "name", ""), *in = json_text(mapping, "in", "-"),
		   *colon = *name ? ": " : "";
	const char *tenant = json_text(mapping, "tenant", ""), *of = *tenant ? ", of the tenant " : "";
	double ratio = json_number(mapping, "sharing_ratio");

	if (cJSON_IsString(json_get(mapping, "out")))
		put(lines, "mapping", "%s%s%s to %s, %.0f subscriber%s an outside address%s%s", name, colon, in,
		    json_text(mapping, "out", "-"), ratio, ratio == 1 ? "" : "s", of, tenant);
	else
		put(lines, "mapping", "%s%s%s is not translated%s%s", name, colon, in, of, tenant);
}

static cJSON *lines_of(const cJSON *result)
{
	const cJSON *mapping = json_get(result, "mapping"), *item;
	cJSON *lines = cJSON_CreateObject();

	if (cJSON_IsObject(mapping))
		put_mapping(lines, mapping);
	if ((item = json_get(result, "subscriber")))
		put_subscriber(lines, item);
	if ((item = json_get(result, "replication")))
		put_owner(lines, item);
	put_portmaps(lines, json_get(result, "portmaps"));
	if ((item = json_get(result, "pool")))
		put_pool(lines, item);
	if ((item = json_get(result, "first_choice")))
		put(lines, "first_choice", "%s", json_text(result, "first_choice", "-"));
	if ((item = json_get(result, "way_in")))
		put_way(lines, "way_in", item);
	if ((item = json_get(result, "way_out")))
		put_way(lines, "way_out", item);
	return lines;
}

static void show_findings(struct writer *w, const cJSON *findings)
{
	const cJSON *f;

	if (!cJSON_GetArraySize(findings)) {
		writer_line(w, "%s", "");
		writer_line(w, "Nothing stands in the way of its packets.");
	}
	cJSON_ArrayForEach (f, findings) {
		bool drops = cJSON_IsTrue(json_get(f, "drops"));

		writer_line(w, "%s", "");
		writer_line(w, "%s (%s): %s", drops ? "DROPPED" : "Note", json_text(f, "reason", "-"),
			    json_text(f, "text", "-"));
		if (*json_text(f, "advice", "-"))
			writer_line(w, "    What to do: %s", json_text(f, "advice", "-"));
	}
}

/* Where it is, and the worst that stands in the way of its packets, with what to do. */
static void show_first(struct writer *w, const char *place, const char *where, const cJSON *findings)
{
	const cJSON *f, *worst = cJSON_GetArrayItem(findings, 0);
	const char *advice;

	cJSON_ArrayForEach (f, findings)
		worst = cJSON_IsTrue(json_get(worst, "drops")) || !cJSON_IsTrue(json_get(f, "drops")) ? worst : f;
	if (!worst) {
		writer_line(w, "%s is %s.", place, where);
		return;
	}
	advice = json_text(worst, "advice", "");
	writer_line(w, "%s is %s. %s (%s): %s%s%s", place, where,
		    cJSON_IsTrue(json_get(worst, "drops")) ? "DROPPED" : "Note", json_text(worst, "reason", "-"),
		    json_text(worst, "text", "-"), *advice ? "; " : "", advice);
}

static bool is_outside_host(const cJSON *result)
{
	return !strcmp(json_text(cJSON_GetArrayItem(json_get(result, "findings"), 0), "reason", ""), "outside");
}

static void show_explanation(struct writer *w, const cJSON *result, const cJSON *args)
{
	const cJSON *sessions = json_get(result, "sessions");
	const char *side = json_text(result, "side", "-"), *place = json_text(args, "place", "-");
	cJSON *lines = lines_of(result);

	if (!strcmp(side, "none"))
		writer_line(w, is_outside_host(result) ? "%s is a host outside." : "%s is in no mapping.", place);
	else
		show_first(w, place, !strcmp(side, "inside") ? "inside" : "outside, in the pool",
			   json_get(result, "findings"));
	writer_fields(w, fields, lines);
	cJSON_Delete(lines);
	if (cJSON_GetArraySize(sessions)) {
		double more = json_number(result, "matching") - cJSON_GetArraySize(sessions);

		writer_line(w, "%s", "");
		writer_table(w, session_columns, "", sessions);
		if (more > 0)
			writer_line(w, "... and %.0f more", more);
	}
	show_findings(w, json_get(result, "findings"));
}

/* An explanation is shown even if the address was not found. */
static int status_of(const cJSON *result, struct error *err)
{
	const char *addr = json_text(result, "addr", "-");
	bool ipv6 = strchr(addr, ':');

	if (cJSON_IsTrue(json_get(result, "found")))
		return EXIT_DONE;
	if (!strcmp(json_text(result, "side", "-"), "none"))
		return error_set(
			err, EXIT_REFUSED,
			is_outside_host(result) ? "%s is a host outside, in no mapping" : "%s is in no mapping", addr);
	return error_set(err, EXIT_REFUSED, ipv6 ? "[%s]:%.0f has no subscriber" : "%s:%.0f has no subscriber", addr,
			 json_number(result, "port"));
}

const struct view view_explain = { .show = show_explanation, .status = status_of };
