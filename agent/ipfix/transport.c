/* SPDX-License-Identifier: BSD-2-Clause */
#include "ipfix/transport.h"

/* A message sent this long after the last complaint shows that the trouble is over. */
#define REFUSAL_US (2 * 1000000ULL)

void ipfix_collector_complain(struct ipfix_collector *c, const char *what)
{
	c->complained_ms = c->shared->now_ms ? c->shared->now_ms : 1;
	c->complained_us = monotonic_us();
	error_set(&c->complaint, 0, "%s", what);
}

void ipfix_collector_mended(struct ipfix_collector *c)
{
	c->complained_ms = 0;
}

void ipfix_collector_sent(struct ipfix_collector *c, uint16_t events)
{
	c->figures.messages_sent++;
	c->figures.records_sent += events;
	c->last_events = events;
	/* The ICMP error comes after the message that caused it was sent. */
	if (monotonic_us() - c->complained_us > REFUSAL_US)
		ipfix_collector_mended(c);
}

void ipfix_collector_lost(struct ipfix_collector *c, uint32_t records, uint64_t events)
{
	uint64_t now_ms = c->shared->now_ms;

	c->skipped += records;
	if (!events)
		return;
	c->figures.records_lost += events;
	c->losses.lost += events;
	c->losses.last_ms = now_ms;
	if (!c->losses.first_ms)
		c->losses.first_ms = now_ms;
}

static size_t message_limit(const struct ipfix_collector *c)
{
	return c->shared->settings.path_mtu - IPFIX_PACKET_HEADERS;
}

bool ipfix_collector_next_templates(const struct ipfix_collector *c, uint8_t events, struct ipfix_message *m,
				    unsigned *layout)
{
	bool any = false;

	ipfix_begin_templates(m);
	for (; *layout < N_IPFIX_LAYOUTS; (*layout)++) {
		if (!(events & ipfix_layout_event(*layout)))
			continue;
		if (!ipfix_template_fits(m, *layout, message_limit(c)))
			break;
		ipfix_add_template(m, *layout);
		any = true;
	}
	ipfix_finish(m, c->shared->settings.domain_id);
	return any;
}
