/* SPDX-License-Identifier: BSD-2-Clause */
/* Families with samples for each mapping or interface: one row each. */
#include <string.h>

#include "links/devices.h"
#include "base/virtual6.h"
#include "metrics/exposition.h"
#include "metrics/page.h"
#include "metrics/usage_monitor.h"
#include "proto/words.h"
#include "tables/mapping_drains.h"

#define LABELS_TEXT 320

struct item {
	const struct parts *from;
	const char *labels;
	struct mapping_usage usage;		  /* of a mapping */
	const struct mapping *mapping;		  /* or NULL */
	const struct config_interface *interface; /* or NULL */
	const struct mapping_drain *drain;	  /* or NULL */
	const char *family;
	struct evbuffer *out;
};

struct family {
	const char *name;
	const char *type;
	const char *help;
	void (*write)(const struct item *i);
};

static void sample(const struct item *i, uint64_t value)
{
	metrics_sample(i->out, i->family, i->labels, value);
}

static void write_sessions(const struct item *i)
{
	char labels[LABELS_TEXT];

	for (unsigned p = 0; p < N_USAGE_PROTOCOLS; p++) {
		snprintf(labels, sizeof(labels), "%s,protocol=\"%s\"", i->labels, usage_protocol_text(p));
		metrics_sample(i->out, i->family, labels, i->usage.sessions[p]);
	}
}

static void write_bindings(const struct item *i)
{
	char labels[LABELS_TEXT];

	for (unsigned p = 0; p < N_USAGE_PROTOCOLS; p++) {
		snprintf(labels, sizeof(labels), "%s,protocol=\"%s\"", i->labels, usage_protocol_text(p));
		metrics_sample(i->out, i->family, labels, i->usage.bindings[p]);
	}
}

static void write_unanswered(const struct item *i)
{
	sample(i, i->usage.unanswered);
}

static void write_capacity(const struct item *i)
{
	sample(i, i->mapping->geo.last_subscriber + 1ULL);
}

static void write_active(const struct item *i)
{
	sample(i, i->usage.subscribers);
}

static void write_at_quota(const struct item *i)
{
	sample(i, i->usage.at_quota);
}

static void write_exhausted(const struct item *i)
{
	sample(i, i->usage.exhausted);
}

static void write_quota(const struct item *i)
{
	sample(i, i->mapping->sessions_per_user);
}

static void write_ports(const struct item *i)
{
	sample(i, i->mapping->geo.ports_per_host);
}

static void write_memory(const struct item *i)
{
	const struct prefix in = geometry_in(&i->mapping->geo);

	uint32_t slots = i->mapping->first_bucket == NO_BUCKETS ? 0 : BUCKET_SLOTS << i->mapping->bucket_shift;

	sample(i, mappings_memory(in, slots) +
			  mappings_binding_memory(&i->mapping->geo, slots, i->mapping->bindings.protocols));
}

/* Buckets of a histogram are cumulative. */
static void write_histogram(const struct item *i, const struct usage_histogram *h)
{
	char name[96], labels[LABELS_TEXT];
	uint64_t n = 0;

	snprintf(name, sizeof(name), "%s_bucket", i->family);
	for (unsigned b = 0; b <= N_USAGE_BOUNDS; b++) {
		n += h->bucket[b];
		if (b < N_USAGE_BOUNDS)
			snprintf(labels, sizeof(labels), "%s,le=\"%g\"", i->labels, usage_bounds[b] / 100.0);
		else
			snprintf(labels, sizeof(labels), "%s,le=\"+Inf\"", i->labels);
		metrics_sample(i->out, name, labels, n);
	}
	snprintf(name, sizeof(name), "%s_sum", i->family);
	metrics_sample_seconds(i->out, name, i->labels, h->sum);
	snprintf(name, sizeof(name), "%s_count", i->family);
	metrics_sample(i->out, name, i->labels, n);
}

static void write_quota_utilization(const struct item *i)
{
	write_histogram(i, &i->usage.quota);
}

static void write_block_utilization(const struct item *i)
{
	write_histogram(i, &i->usage.block);
}

static void write_destination_utilization(const struct item *i)
{
	write_histogram(i, &i->usage.destination);
}

static void write_attached(const struct item *i)
{
	sample(i, devices_attachment(i->from->devices, i->interface->name) != DEVICE_ABSENT);
}

static void write_up(const struct item *i)
{
	const char *name = i->interface->name;

	sample(i,
	       devices_attachment(i->from->devices, name) != DEVICE_ABSENT && !devices_is_down(i->from->devices, name));
}

static void write_native(const struct item *i)
{
	sample(i, devices_attachment(i->from->devices, i->interface->name) == DEVICE_XDP_NATIVE);
}

static void write_redirects(const struct item *i)
{
	const char *why = devices_kernel_forwards(i->from->devices, i->from->active->config, i->interface->name);
	char labels[LABELS_TEXT];

	snprintf(labels, sizeof(labels), "%s,reason=\"%s\"", i->labels, why ? why : "");
	metrics_sample(i->out, i->family, labels, !why);
}

static void write_draining(const struct item *i)
{
	sample(i, i->drain->sessions == UINT64_MAX ? 0 : i->drain->sessions);
}

static void write_drain_left(const struct item *i)
{
	sample(i, mapping_drain_left(i->drain));
}

static const struct family of_mappings[] = {
	{ "detnat_sessions", "gauge",
	  "Sessions by mapping and protocol, without expired ones, those in time-wait and those that drain.",
	  write_sessions },
	{ "detnat_tcp_sessions_unanswered", "gauge",
	  "Sessions of TCP, by mapping, in which a second or more after the SYN from inside nothing has come back.",
	  write_unanswered },
	{ "detnat_bindings", "gauge",
	  "Outside ports that an inside port holds for all destinations (endpoint_independent), by mapping and "
	  "protocol, of subscribers that have sessions.",
	  write_bindings },
	{ "detnat_mapping_addresses", "gauge", "Inside addresses of the mapping, each a subscriber's.",
	  write_capacity },
	{ "detnat_mapping_ports_per_subscriber", "gauge", "Ports of a subscriber's block.", write_ports },
	{ "detnat_mapping_sessions_per_user", "gauge", "Session quota of a subscriber.", write_quota },
	{ "detnat_mapping_memory_bytes", "gauge", "Memory of the mapping's tables.", write_memory },
	{ "detnat_active_subscribers", "gauge", "Subscribers that have sessions.", write_active },
	{ "detnat_subscribers_at_quota", "gauge", "Subscribers that have as many sessions as they may.",
	  write_at_quota },
	{ "detnat_subscribers_port_exhausted", "gauge",
	  "Subscribers without a free port for their busiest destination; with endpoint_independent, for any.",
	  write_exhausted },
	{ "detnat_quota_utilization_ratio", "histogram",
	  "Subscribers that have sessions, by their sessions as share of their quota.", write_quota_utilization },
	{ "detnat_block_utilization_ratio", "histogram",
	  "Subscribers that have sessions, by ports in use as share of their block, in the protocol that uses most; "
	  "with endpoint_independent they are refused further inside ports at 1.",
	  write_block_utilization },
	{ "detnat_destination_utilization_ratio", "histogram",
	  "Subscribers that have sessions, by sessions to their busiest destination as share of the block's ports; at "
	  "1 they are refused more of them.",
	  write_destination_utilization },
};

static const struct family of_drains[] = {
	{ "detnat_mapping_draining_sessions", "gauge",
	  "Sessions that drain, at the last sweep, by inside addresses and the pool of the mapping that they are of; "
	  "detnat_sessions is without them.",
	  write_draining },
	{ "detnat_mapping_drain_left_seconds", "gauge", "Seconds after which what drains ends at the latest.",
	  write_drain_left },
};

static const struct family of_interfaces[] = {
	{ "detnat_interface_attached", "gauge", "Whether the datapath is attached to the interface.", write_attached },
	{ "detnat_interface_up", "gauge", "Whether the link of the interface is up.", write_up },
	{ "detnat_interface_native", "gauge", "Whether it is attached in the driver (native XDP).", write_native },
	{ "detnat_interface_redirects", "gauge",
	  "Whether XDP forwards what leaves by the interface (1), or the kernel (0); the reason says why the kernel.",
	  write_redirects },
};

#define N_OF_MAPPINGS ARRAY_SIZE(of_mappings)
#define N_OF_DRAINS   ARRAY_SIZE(of_drains)
#define N_FAMILIES    (N_OF_MAPPINGS + N_OF_DRAINS + ARRAY_SIZE(of_interfaces))

static void write_prefixes(char labels[static LABELS_TEXT], struct prefix in, struct prefix out)
{
	char inside[INSIDE_TEXT], outside[INSIDE_TEXT];

	snprintf(labels, LABELS_TEXT, "inside=\"%s\",outside=\"%s\"", inside_prefix_text(in, inside),
		 prefix_text(out, outside));
}

/* Adds a label, unless its value is "". The value is a name of the configuration, which needs no escapes. */
static void add_label(char labels[static LABELS_TEXT], const char *name, const char *value)
{
	size_t used = strlen(labels);

	if (*value)
		snprintf(&labels[used], LABELS_TEXT - used, ",%s=\"%s\"", name, value);
}

static void write_mapping(const struct parts *from, const struct family *f, int number, struct evbuffer *out)
{
	const struct mapping *map = mappings_get(from->mappings, number);
	const char *tenant = tenant_name(from->active->config, map->tenant);
	const struct prefix in = geometry_in(&map->geo);
	const struct prefix out_prefix = geometry_out(&map->geo);
	char labels[LABELS_TEXT];
	const struct item i = {
		.from = from,
		.labels = labels,
		.usage = session_usage_of(usage_last(from->usage), number),
		.mapping = map,
		.family = f->name,
		.out = out,
	};

	if (map->geo.out_plen == PLEN_NONE)
		return;
	write_prefixes(labels, in, out_prefix);
	add_label(labels, "mapping", config_mapping_name(from->active->config, tenant, in, out_prefix));
	add_label(labels, "tenant", tenant);
	f->write(&i);
}

static void write_interface(const struct parts *from, const struct family *f, int number, struct evbuffer *out)
{
	const struct config_interface *interface = &from->active->config->interfaces[number];
	const struct config_tenant *tenant = config_interface_tenant(from->active->config, interface);
	char name[4 * IFNAMSIZ + 4], labels[LABELS_TEXT];
	const struct item i = {
		.from = from,
		.labels = labels,
		.interface = interface,
		.family = f->name,
		.out = out,
	};

	metrics_escape(interface->name, name, sizeof(name));
	snprintf(labels, sizeof(labels), "interface=\"%s\",role=\"%s\"", name, roles_text(interface->roles));
	add_label(labels, "tenant", tenant ? tenant->name : "");
	f->write(&i);
}

static void write_drain(const struct parts *from, const struct family *f, int number, struct evbuffer *out)
{
	const struct mapping_drain *drain;
	const struct mapping *map;
	char labels[LABELS_TEXT];
	struct item i = { .from = from, .labels = labels, .family = f->name, .out = out };

	mappings_drains(from->mappings, &drain);
	i.drain = &drain[number];
	map = mappings_get(from->mappings, i.drain->number);
	write_prefixes(labels, i.drain->in, geometry_out(&map->geo));
	add_label(labels, "tenant", tenant_name(from->active->config, map->tenant));
	f->write(&i);
}

/* One kind of families: the items that they list, and how. */
struct kind {
	const struct family *families;
	size_t n;
	int (*next)(const struct parts *from, int item); /* the first from `item` on; -1: none */
	void (*write)(const struct parts *from, const struct family *f, int item, struct evbuffer *out);
};

static int next_mapping(const struct parts *from, int item)
{
	return mappings_next(from->mappings, item);
}

static int next_drain(const struct parts *from, int item)
{
	const struct mapping_drain *drain;

	return (size_t)item < mappings_drains(from->mappings, &drain) ? item : -1;
}

static int next_interface(const struct parts *from, int item)
{
	return (size_t)item < from->active->config->n_interfaces ? item : -1;
}

static const struct kind kinds[] = {
	{ of_mappings, N_OF_MAPPINGS, next_mapping, write_mapping },
	{ of_drains, N_OF_DRAINS, next_drain, write_drain },
	{ of_interfaces, ARRAY_SIZE(of_interfaces), next_interface, write_interface },
};

int metrics_lists_step(const struct parts *from, struct metrics_cursor *cursor, struct evbuffer *out)
{
	const struct kind *kind = kinds;
	unsigned family = (unsigned)cursor->family;
	int item;

	if (cursor->family == N_FAMILIES || !usage_last(from->usage))
		return 0;
	if (cursor->family < N_OF_MAPPINGS + N_OF_DRAINS && !from->active->config->metrics_per_mapping) {
		*cursor = (struct metrics_cursor){ .family = N_OF_MAPPINGS + N_OF_DRAINS };
		return 1;
	}
	while (family >= kind->n)
		family -= (unsigned)kind++->n;
	if (!cursor->begun)
		metrics_family(out, kind->families[family].name, kind->families[family].type,
			       kind->families[family].help);
	cursor->begun = true;
	item = kind->next(from, cursor->item);
	if (item < 0) {
		*cursor = (struct metrics_cursor){ .family = cursor->family + 1 };
		return 1;
	}
	kind->write(from, &kind->families[family], item, out);
	cursor->item = item + 1;
	return 1;
}
