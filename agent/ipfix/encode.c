/* SPDX-License-Identifier: BSD-2-Clause */
#include "ipfix/encode.h"

#include <arpa/inet.h>
#include <string.h>

#include "config/config.h"

#define VERSION		10U
#define MESSAGE_HEADER	16U
#define SET_HEADER	4U
#define TEMPLATE_SET	2U
#define OPTIONS_SET	3U
#define TEMPLATE_HEADER 4U
#define FIELD_SPECIFIER 4U
#define ALIGNMENT	4U

/* natQuotaExceededEvent (RFC 8158 section 4.4). */
#define QUOTA_ENTRIES_PER_USER	3U
#define QUOTA_FRAGMENTS_PENDING 5U

/* Information elements: X(name, number, octets, value of event e at wall_ms). For ICMP the identifier is the port. */
#define ELEMENTS(X)                                               \
	X(PROTOCOL_IDENTIFIER, 4, 1, e->proto)                    \
	X(SOURCE_TRANSPORT_PORT, 7, 2, e->in_port)                \
	X(SOURCE_IPV4_ADDRESS, 8, 4, e->in_addr)                  \
	X(DESTINATION_TRANSPORT_PORT, 11, 2, e->ext_port)         \
	X(DESTINATION_IPV4_ADDRESS, 12, 4, e->ext_addr)           \
	X(POST_NAT_SOURCE_IPV4_ADDRESS, 225, 4, e->out_addr)      \
	X(POST_NAPT_SOURCE_TRANSPORT_PORT, 227, 2, e->out_port)   \
	X(NAT_EVENT, 230, 1, nat_event_value(e))                  \
	X(INGRESS_VRF_ID, 234, 4, e->tenant)                      \
	X(OBSERVATION_TIME_MILLISECONDS, 323, 8, wall_ms)         \
	X(PORT_RANGE_START, 361, 2, e->out_port)                  \
	X(PORT_RANGE_END, 362, 2, e->ext_port)                    \
	X(NAT_QUOTA_EXCEEDED_EVENT, 466, 4, quota_event_value(e)) \
	X(MAX_ENTRIES_PER_USER, 473, 4, e->limit)                 \
	X(MAX_FRAGMENTS_PENDING_REASSEMBLY, 475, 4, e->limit)

enum element {
#define X(name, number, octets, value) name = number,
	ELEMENTS(X)
#undef X
};

#define MAX_FIELDS 10

struct layout {
	uint8_t event;			 /* enum ipfix_event */
	uint16_t fields[MAX_FIELDS + 1]; /* ended by 0 */
};

/* The fields of a layout, and of the same with the tenant. */
#define LAYOUT(name, event, ...)                            \
	[IPFIX_LAYOUT_##name] = { event, { __VA_ARGS__ } }, \
	[IPFIX_LAYOUT_TENANT_##name] = { event, { __VA_ARGS__, INGRESS_VRF_ID } }

static const struct layout layouts[N_IPFIX_LAYOUTS] = {
	LAYOUT(QUOTA, IPFIX_QUOTA, OBSERVATION_TIME_MILLISECONDS, NAT_EVENT, NAT_QUOTA_EXCEEDED_EVENT,
	       MAX_ENTRIES_PER_USER, SOURCE_IPV4_ADDRESS),
	LAYOUT(PORTS, IPFIX_PORTS, OBSERVATION_TIME_MILLISECONDS, NAT_EVENT, POST_NAT_SOURCE_IPV4_ADDRESS,
	       PROTOCOL_IDENTIFIER, SOURCE_IPV4_ADDRESS),
	LAYOUT(SESSION, IPFIX_SESSIONS, OBSERVATION_TIME_MILLISECONDS, NAT_EVENT, SOURCE_IPV4_ADDRESS,
	       POST_NAT_SOURCE_IPV4_ADDRESS, SOURCE_TRANSPORT_PORT, POST_NAPT_SOURCE_TRANSPORT_PORT,
	       PROTOCOL_IDENTIFIER, DESTINATION_IPV4_ADDRESS, DESTINATION_TRANSPORT_PORT),
	LAYOUT(FRAGMENTS, IPFIX_FRAGMENTS, OBSERVATION_TIME_MILLISECONDS, NAT_EVENT, NAT_QUOTA_EXCEEDED_EVENT,
	       MAX_FRAGMENTS_PENDING_REASSEMBLY, SOURCE_IPV4_ADDRESS),
	LAYOUT(ADDRESS, IPFIX_ADDRESSES, OBSERVATION_TIME_MILLISECONDS, NAT_EVENT, SOURCE_IPV4_ADDRESS,
	       POST_NAT_SOURCE_IPV4_ADDRESS, PORT_RANGE_START, PORT_RANGE_END),
	LAYOUT(PORTMAP, IPFIX_PORTMAPS, OBSERVATION_TIME_MILLISECONDS, NAT_EVENT, SOURCE_IPV4_ADDRESS,
	       POST_NAT_SOURCE_IPV4_ADDRESS, PROTOCOL_IDENTIFIER, SOURCE_TRANSPORT_PORT,
	       POST_NAPT_SOURCE_TRANSPORT_PORT),
	LAYOUT(BLOCK, IPFIX_BLOCKS, OBSERVATION_TIME_MILLISECONDS, NAT_EVENT, SOURCE_IPV4_ADDRESS,
	       POST_NAT_SOURCE_IPV4_ADDRESS, PORT_RANGE_START, PORT_RANGE_END),
};

/* A field of a report: the element, its octets, its value. The first one is the scope. */
struct report_field {
	uint16_t number;
	uint16_t octets;
	uint64_t value;
};

#define REPORT_FIELDS 6

/* Values of natEvent (RFC 8158 section 4.3). */
static uint8_t nat_event_value(const struct nat_event *e)
{
	switch (e->type) {
	case EVENT_SESSION_OPENED:
		return 4;
	case EVENT_SESSION_CLOSED:
		return 5;
	case EVENT_PORTMAP_MADE:
		return 8;
	case EVENT_PORTMAP_ENDED:
		return 9;
	case EVENT_PORTS_EXHAUSTED:
		return 12;
	case EVENT_ADDRESS_BOUND:
		return 14;
	case EVENT_ADDRESS_UNBOUND:
		return 15;
	case EVENT_BLOCK_GRANTED:
		return 16;
	case EVENT_BLOCK_ENDED:
		return 17;
	default:
		return 13;
	}
}

static uint32_t quota_event_value(const struct nat_event *e)
{
	return e->type == EVENT_FRAGMENTS ? QUOTA_FRAGMENTS_PENDING : QUOTA_ENTRIES_PER_USER;
}

static uint8_t element_octets(uint16_t element)
{
	switch ((enum element)element) {
#define X(name, number, octets, value) \
	case name:                     \
		return octets;
		ELEMENTS(X)
#undef X
	}
	return 0;
}

static uint64_t element_value(uint16_t element, const struct nat_event *e, uint64_t wall_ms)
{
	switch ((enum element)element) {
#define X(name, number, octets, value) \
	case name:                     \
		return value;
		ELEMENTS(X)
#undef X
	}
	return 0;
}

static void put_at(struct ipfix_message *m, size_t offset, uint64_t value, unsigned octets)
{
	while (octets--) {
		m->octets[offset + octets] = (uint8_t)value;
		value >>= 8;
	}
}

static void put(struct ipfix_message *m, uint64_t value, unsigned octets)
{
	put_at(m, m->length, value, octets);
	m->length = (uint16_t)(m->length + octets);
}

/* Sets the length of the current set, which ends here. */
static void end_set(struct ipfix_message *m)
{
	put_at(m, m->set + 2U, m->length - (uint64_t)m->set, 2);
}

static void begin_set(struct ipfix_message *m, uint16_t set_id)
{
	m->set = m->length;
	put(m, set_id, 2);
	put(m, 0, 2);
}

static void begin(struct ipfix_message *m, uint16_t set_id)
{
	m->records = 0;
	m->events = 0;
	m->length = MESSAGE_HEADER;
	begin_set(m, set_id);
}

static unsigned n_fields(enum ipfix_layout layout)
{
	unsigned n = 0;

	while (layouts[layout].fields[n])
		n++;
	return n;
}

static size_t record_octets(enum ipfix_layout layout)
{
	size_t octets = 0;

	for (const uint16_t *field = layouts[layout].fields; *field; field++)
		octets += element_octets(*field);
	return octets;
}

static int layout_of(const struct nat_event *e)
{
	switch (e->type) {
	case EVENT_QUOTA:
	case EVENT_QUOTA_PROTOCOL:
	case EVENT_RATE:
		return IPFIX_LAYOUT_QUOTA;
	case EVENT_PORTS_EXHAUSTED:
		return IPFIX_LAYOUT_PORTS;
	case EVENT_SESSION_OPENED:
	case EVENT_SESSION_CLOSED:
		return IPFIX_LAYOUT_SESSION;
	case EVENT_FRAGMENTS:
		return IPFIX_LAYOUT_FRAGMENTS;
	case EVENT_ADDRESS_BOUND:
	case EVENT_ADDRESS_UNBOUND:
		return IPFIX_LAYOUT_ADDRESS;
	case EVENT_PORTMAP_MADE:
	case EVENT_PORTMAP_ENDED:
		return IPFIX_LAYOUT_PORTMAP;
	case EVENT_BLOCK_GRANTED:
	case EVENT_BLOCK_ENDED:
		return IPFIX_LAYOUT_BLOCK;
	default:
		return -1;
	}
}

int ipfix_layout_of(const struct nat_event *e)
{
	int layout = layout_of(e);

	return layout >= 0 && e->tenant ? layout + IPFIX_LAYOUT_TENANT_QUOTA : layout;
}

uint8_t ipfix_layout_event(enum ipfix_layout layout)
{
	return layouts[layout].event;
}

void ipfix_begin_templates(struct ipfix_message *m)
{
	begin(m, TEMPLATE_SET);
}

bool ipfix_template_fits(const struct ipfix_message *m, enum ipfix_layout layout, size_t limit)
{
	return m->length + TEMPLATE_HEADER + FIELD_SPECIFIER * n_fields(layout) <= limit;
}

void ipfix_add_template(struct ipfix_message *m, enum ipfix_layout layout)
{
	put(m, IPFIX_FIRST_TEMPLATE + layout, 2);
	put(m, n_fields(layout), 2);
	for (const uint16_t *field = layouts[layout].fields; *field; field++) {
		put(m, *field, 2);
		put(m, element_octets(*field), 2);
	}
}

void ipfix_begin_data(struct ipfix_message *m, enum ipfix_layout layout)
{
	begin(m, (uint16_t)(IPFIX_FIRST_TEMPLATE + layout));
}

bool ipfix_record_fits(const struct ipfix_message *m, enum ipfix_layout layout, size_t limit)
{
	return m->length + record_octets(layout) <= limit;
}

void ipfix_add_record(struct ipfix_message *m, const struct nat_event *e, uint64_t wall_ms)
{
	for (const uint16_t *field = layouts[ipfix_layout_of(e)].fields; *field; field++)
		put(m, element_value(*field, e, wall_ms), element_octets(*field));
	m->records++;
	m->events++;
}

static void report_fields(enum ipfix_report report, const struct ipfix_losses *l,
			  struct report_field ret[REPORT_FIELDS], unsigned *ret_n)
{
	/* A record stands for one packet of unknown length. Times are those of the first and the last loss. */
	const struct report_field exporting[] = {
		{ 144, 4, l->scope }, { 166, 8, l->lost },     { 167, 8, l->lost },
		{ 168, 8, 0 },	      { 323, 8, l->first_ms }, { 323, 8, l->last_ms },
	};
	const struct report_field metering[] = {
		{ 149, 4, l->scope },	 { 164, 8, l->lost },	 { 165, 8, 0 },
		{ 323, 8, l->first_ms }, { 323, 8, l->last_ms },
	};

	_Static_assert(ARRAY_SIZE(exporting) == REPORT_FIELDS, "the longer one");
	*ret_n = report == IPFIX_REPORT_EXPORTING ? ARRAY_SIZE(exporting) : ARRAY_SIZE(metering);
	memcpy(ret, report == IPFIX_REPORT_EXPORTING ? exporting : metering, *ret_n * sizeof(*ret));
}

void ipfix_make_report(struct ipfix_message *m, enum ipfix_report report, const struct ipfix_losses *losses)
{
	struct report_field fields[REPORT_FIELDS];
	unsigned n;

	report_fields(report, losses, fields, &n);
	begin(m, OPTIONS_SET);
	put(m, IPFIX_FIRST_OPTIONS_TEMPLATE + report, 2);
	put(m, n, 2);
	put(m, 1, 2); /* scope fields */
	for (unsigned i = 0; i < n; i++) {
		put(m, fields[i].number, 2);
		put(m, fields[i].octets, 2);
	}
	while (m->length % ALIGNMENT)
		put(m, 0, 1);
	end_set(m);
	begin_set(m, (uint16_t)(IPFIX_FIRST_OPTIONS_TEMPLATE + report));
	for (unsigned i = 0; i < n; i++)
		put(m, fields[i].value, fields[i].octets);
	m->records = 1;
}

void ipfix_finish(struct ipfix_message *m, uint32_t domain_id)
{
	end_set(m);
	put_at(m, 0, VERSION, 2);
	put_at(m, 2, m->length, 2);
	put_at(m, 12, domain_id, 4);
}

static void put_be32(uint8_t *at, uint32_t value)
{
	value = htonl(value);
	memcpy(at, &value, sizeof(value));
}

void ipfix_stamp(uint8_t *octets, uint32_t export_time_s, uint32_t sequence)
{
	put_be32(octets + 4, export_time_s);
	put_be32(octets + 8, sequence);
}

uint32_t ipfix_domain_of(const uint8_t *octets)
{
	uint32_t domain_id;

	memcpy(&domain_id, octets + 12, sizeof(domain_id));
	return ntohl(domain_id);
}
