/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IPFIX messages (RFC 7011 section 3) of NAT events (RFC 8158), written into memory; pure.
 *
 * A message holds one set, of templates or of data records of one kind. So there is no following set to align, and no
 * set is padded (section 3.3.1).
 */
#ifndef DETNAT_IPFIX_ENCODE_H
#define DETNAT_IPFIX_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <detnat/events.h>

/* IPv4 and UDP headers around a message. */
#define IPFIX_PACKET_HEADERS 28U
#define IPFIX_MIN_PATH_MTU   128U /* any template or record fits */
#define IPFIX_MAX_PATH_MTU   65535U
#define IPFIX_MAX_MESSAGE    (IPFIX_MAX_PATH_MTU - IPFIX_PACKET_HEADERS)

/* Layouts of data records. Their order gives the template ids, which never change: append only. */
enum ipfix_layout { IPFIX_LAYOUT_QUOTA, IPFIX_LAYOUT_PORTS, IPFIX_LAYOUT_SESSION, N_IPFIX_LAYOUTS };

#define IPFIX_FIRST_TEMPLATE 256U

struct ipfix_message {
	uint16_t length;
	uint16_t records; /* data records in it */
	uint8_t octets[IPFIX_MAX_MESSAGE];
};

/* Layout of the record that reports an event, or -1: none does. */
int ipfix_layout_of(const struct nat_event *e);

/* The setting (enum ipfix_event) that asks for a layout's records. */
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

/* Fills in the headers. sequence: data records of the domain before this message, modulo 2^32. */
void ipfix_finish(struct ipfix_message *m, uint32_t export_time_s, uint32_t sequence, uint32_t domain_id);

#endif
