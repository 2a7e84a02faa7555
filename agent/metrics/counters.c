/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "metrics/exposition.h"
#include "metrics/page.h"

/* The direction of a packet follows from the reason for most reasons. */
static const struct {
	enum reason reason;
	const char *labels;
} directions[] = {
	{ REASON_in2out_translated, "direction=\"out\",outcome=\"translated\"" },
	{ REASON_out2in_translated, "direction=\"in\",outcome=\"translated\"" },
	{ REASON_hairpin_translated, "direction=\"hairpin\",outcome=\"translated\"" },
	{ REASON_drop_quota, "direction=\"out\",outcome=\"dropped\"" },
	{ REASON_drop_quota_protocol, "direction=\"out\",outcome=\"dropped\"" },
	{ REASON_drop_rate, "direction=\"out\",outcome=\"dropped\"" },
	{ REASON_drop_ports_exhausted, "direction=\"out\",outcome=\"dropped\"" },
	{ REASON_drop_growth_exhausted, "direction=\"out\",outcome=\"dropped\"" },
	{ REASON_drop_overflow_full, "direction=\"out\",outcome=\"dropped\"" },
	{ REASON_drop_hosts, "direction=\"out\",outcome=\"dropped\"" },
	{ REASON_drop_busy, "direction=\"out\",outcome=\"dropped\"" },
	{ REASON_drop_no_mapping, "direction=\"out\",outcome=\"dropped\"" },
	{ REASON_drop_no_session, "direction=\"in\",outcome=\"dropped\"" },
	{ REASON_drop_fragment_sum, "direction=\"in\",outcome=\"dropped\"" },
	{ REASON_drop_inbound_limit, "direction=\"in\",outcome=\"dropped\"" },
	{ REASON_drop_inbound_quota, "direction=\"in\",outcome=\"dropped\"" },
	{ REASON_drop_inbound_slots, "direction=\"in\",outcome=\"dropped\"" },
	{ REASON_drop_portmap_filter, "direction=\"in\",outcome=\"dropped\"" },
	{ REASON_drop_direct_to_inside, "direction=\"in\",outcome=\"dropped\"" },
};

/* Counted by the reasons of translated packets. */
static const char *const volume_labels[] = {
	[REASON_in2out_translated] = "direction=\"out\"",
	[REASON_out2in_translated] = "direction=\"in\"",
	[REASON_hairpin_translated] = "direction=\"hairpin\"",
	[REASON_icmp_error_translated] = "direction=\"icmp_error\"",
};

static uint64_t counter(const struct counters *c, enum reason reason)
{
	return ((const uint64_t *)c)[reason];
}

static void write_directions(const struct counters *c, struct evbuffer *out)
{
	static const char name[] = "detnat_directed_packets_total";

	metrics_family(out, name, "counter",
		       "Packets of detnat_packets_total whose direction follows from the reason.");
	for (size_t i = 0; i < ARRAY_SIZE(directions); i++) {
		uint64_t sum = counter(c, directions[i].reason);

		/* Rows with the same labels are adjacent. */
		for (; i + 1 < ARRAY_SIZE(directions) && !strcmp(directions[i].labels, directions[i + 1].labels); i++)
			sum += counter(c, directions[i + 1].reason);
		metrics_sample(out, name, directions[i].labels, sum);
	}
}

/* The kind is the counter's name without its prefix "sent_". */
static void write_sent(struct evbuffer *out, const char *family, const char *name, uint64_t value)
{
	char labels[64];

	snprintf(labels, sizeof(labels), "kind=\"%s\"", name + strlen("sent_"));
	metrics_sample(out, family, labels, value);
}

void metrics_counters(const struct counters *c, struct evbuffer *out)
{
	static const char packets[] = "detnat_packets_total", sent[] = "detnat_sent_packets_total";
	static const char bytes[] = "detnat_translated_bytes_total";

	metrics_family(out, packets, "counter", "Packets by what became of them, at each hook that they crossed.");
#define X(name, text) metrics_sample(out, packets, "reason=\"" #name "\"", c->name);
	REASONS(X)
#undef X
	write_directions(c, out);
	metrics_family(out, bytes, "counter", "Bytes of the IP packets translated, headers included.");
	for (enum reason r = REASON_in2out_translated; r <= REASON_icmp_error_translated; r++)
		metrics_sample(out, bytes, volume_labels[r], counter(c, REASON_in2out_octets + r));
	metrics_family(out, sent, "counter", "Packets that detnat sent by itself.");
#define X(name, text) write_sent(out, sent, #name, c->name);
	SENT_KINDS(X)
#undef X
#define X(name, text) metrics_single(out, "detnat_" #name "_total", "counter", c->name, "Of the datapath: " text ".");
	INCIDENTS(X)
#undef X
}
