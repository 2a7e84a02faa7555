/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Encodes IPFIX messages (RFC 7011 section 3): NAT events (RFC 8158) and reports of losses (RFC 7011 sections 4.2 and
 * 4.3). Pure: writes to memory only.
 *
 * A message of templates or data records holds one set, so no set follows that would need alignment, and it is not
 * padded (section 3.3.1). A report of losses holds two: its options template, padded to a multiple of 4 octets, and its
 * record.
 */
#ifndef DETNAT_ENCODE_H
#define DETNAT_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <detnat/events.h>

/* IPv4 and UDP headers around a message. */
#define IPFIX_PACKET_HEADERS 28U
#define IPFIX_MIN_PATH_MTU   128U /* any template, record or report fits */
#define IPFIX_MAX_PATH_MTU   65535U
#define IPFIX_MAX_MESSAGE    (IPFIX_MAX_PATH_MTU - IPFIX_PACKET_HEADERS)

/* Layouts of data records. Their order determines the template ids, which never change: append only. */
enum ipfix_layout {
	IPFIX_LAYOUT_QUOTA,
	IPFIX_LAYOUT_PORTS,
	IPFIX_LAYOUT_SESSION,
	IPFIX_LAYOUT_FRAGMENTS,
	IPFIX_LAYOUT_ADDRESS,
	IPFIX_LAYOUT_PORTMAP,
	IPFIX_LAYOUT_BLOCK,
	/* The same with the number of the tenant. */
	IPFIX_LAYOUT_TENANT_QUOTA,
	IPFIX_LAYOUT_TENANT_PORTS,
	IPFIX_LAYOUT_TENANT_SESSION,
	IPFIX_LAYOUT_TENANT_FRAGMENTS,
	IPFIX_LAYOUT_TENANT_ADDRESS,
	IPFIX_LAYOUT_TENANT_PORTMAP,
	IPFIX_LAYOUT_TENANT_BLOCK,
	N_IPFIX_LAYOUTS
};

/* Whether records of a layout have the number of a tenant. */
static inline bool ipfix_layout_has_tenant(enum ipfix_layout layout)
{
	return layout >= IPFIX_LAYOUT_TENANT_QUOTA;
}

#define IPFIX_FIRST_TEMPLATE 256U

/* Reports of losses. Their order determines the ids of the options templates. */
enum ipfix_report {
	IPFIX_REPORT_EXPORTING, /* Exporting Process Reliability Statistics, RFC 7011 section 4.3 */
	IPFIX_REPORT_METERING,	/* Metering Process Reliability Statistics, RFC 7011 section 4.2 */
	N_IPFIX_REPORTS
};

#define IPFIX_FIRST_OPTIONS_TEMPLATE 512U

struct ipfix_losses {
	uint32_t scope;	   /* exporting process, or observation domain */
	uint64_t lost;	   /* records, or events */
	uint64_t first_ms; /* when the first and the last were lost, milliseconds since 1970 */
	uint64_t last_ms;
};

struct ipfix_message {
	uint16_t length;
	uint16_t records; /* data records in it, those of options templates included: what the sequence number counts */
	uint16_t events;  /* those that report events */
	uint16_t set;	  /* offset of its last set */
	uint8_t octets[IPFIX_MAX_MESSAGE];
};

/* Layout of the record that reports an event, with its tenant if that is not 0; or -1 if the event is not exported. */
int ipfix_layout_of(const struct nat_event *e);

/* The setting (enum ipfix_event) that enables a layout's records. */
uint8_t ipfix_layout_event(enum ipfix_layout layout);

/* Starts a message of templates. */
void ipfix_begin_templates(struct ipfix_message *m);

/* Whether another template fits in a message of at most `limit` octets. */
bool ipfix_template_fits(const struct ipfix_message *m, enum ipfix_layout layout, size_t limit);

/* Appends a layout's template, which must fit. */
void ipfix_add_template(struct ipfix_message *m, enum ipfix_layout layout);

/* Starts a message of data records of a layout. */
void ipfix_begin_data(struct ipfix_message *m, enum ipfix_layout layout);

/* Whether another record fits in a message of at most `limit` octets. */
bool ipfix_record_fits(const struct ipfix_message *m, enum ipfix_layout layout, size_t limit);

/* Appends the record of an event, which must be of the message's layout and fit. wall_ms: milliseconds since 1970. */
void ipfix_add_record(struct ipfix_message *m, const struct nat_event *e, uint64_t wall_ms);

/* Makes a message of a report: options template and record. At most 100 octets. */
void ipfix_make_report(struct ipfix_message *m, enum ipfix_report report, const struct ipfix_losses *losses);

/* Fills in lengths and domain; ipfix_stamp() fills in the rest when the message is sent. */
void ipfix_finish(struct ipfix_message *m, uint32_t domain_id);

/*
 * Fills in the rest of a message's header. sequence: data records of the domain in this stream before this message,
 * modulo 2^32.
 */
void ipfix_stamp(uint8_t *octets, uint32_t export_time_s, uint32_t sequence);

/* Observation domain of a finished message. */
uint32_t ipfix_domain_of(const uint8_t *octets);

#endif
