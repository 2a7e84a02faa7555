/* SPDX-License-Identifier: BSD-2-Clause */
/* Words for numbers in requests, answers and the output of detnatctl. Each list is defined only here. */
#ifndef DETNAT_WORDS_H
#define DETNAT_WORDS_H

#include <stddef.h>
#include <stdint.h>

/* Lists end with an entry without text. */
struct word {
	const char *text;
	uint32_t number;
};

/* Packets to a mapping's outside addresses that are let in. */
enum inbound {
	INBOUND_SESSIONS, /* those that answer a session */
	INBOUND_OPEN,	  /* everything, without sessions */
};

/* X(constant, word): what others write down about who had which address */
#define LEASE_FORMATS(X)                          \
	X(FREERADIUS_DETAIL, "freeradius-detail") \
	X(RADACCT_CSV, "radacct-csv")             \
	X(KEA, "kea")                             \
	X(MIKROTIK, "mikrotik")                   \
	X(DNSMASQ, "dnsmasq")                     \
	X(ISC_DHCPD, "isc-dhcpd")                 \
	X(ACCEL_PPP, "accel-ppp")

enum lease_format {
#define X(constant, word) FORMAT_##constant,
	LEASE_FORMATS(X)
#undef X
};

extern const struct word role_words[];	      /* inside, outside: DEVICE_INSIDE, DEVICE_OUTSIDE */
extern const struct word side_words[];	      /* in, out: DEVICE_INSIDE, DEVICE_OUTSIDE */
extern const struct word proto_words[];	      /* tcp, udp, icmp: the IP protocol */
extern const struct word binding_words[];     /* udp, tcp, icmp: BINDING_… */
extern const struct word portmap_words[];     /* tcp, udp, both: enum portmap_protos */
extern const struct word fate_words[];	      /* move, delete: enum portmaps_fate */
extern const struct word origin_words[];      /* static, pcp: enum portmap_origin */
extern const struct word order_words[];	      /* sessions, half-open and so on: enum top_order */
extern const struct word inbound_words[];     /* sessions, open: enum inbound */
extern const struct word block_order_words[]; /* sequential, netmap: 0, 1 */
extern const struct word notice_words[];      /* refusals, mappings and so on: enum notice_kind */
extern const struct word lease_words[];	      /* freeradius-detail, kea and so on: enum lease_format */
extern const struct word state_words[];	      /* the states of sessions, as they are shown; without numbers */

/* Plans of other systems that `import` reads. */
enum import_format {
	IMPORT_AUTO,
	IMPORT_TABLE,
	IMPORT_ROUTEROS,
	IMPORT_VPP,
	IMPORT_VYOS,
	IMPORT_JUNOS,
	IMPORT_FORTIOS,
	IMPORT_NFT,
	IMPORT_IPTABLES,
	IMPORT_NOKIA,
	IMPORT_H3C
};
extern const struct word import_format_words[];
extern const struct word whether_words[]; /* yes, no: 1, 0 */

/* Protocols of a portmap, or-ed. */
enum portmap_protos { PORTMAP_OF_TCP = 1, PORTMAP_OF_UDP = 2, PORTMAP_OF_BOTH = 3 };

/* The fate of portmaps whose subscriber loses the outside address that they name. */
enum portmaps_fate {
	PORTMAPS_IN_THE_WAY, /* the change is refused */
	PORTMAPS_MOVE,	     /* to the same ports of the new address */
	PORTMAPS_DELETE,
};

/* Looks up the number of a word. Returns 0, or -EINVAL if it is not in the list. */
int word_number(const struct word *words, const char *text, uint32_t *ret);

/* Returns the word for a number, or NULL. */
const char *word_text(const struct word *words, uint32_t number);

/* Returns "inside", "outside" or "both" for bits of DEVICE_INSIDE and DEVICE_OUTSIDE. */
const char *roles_text(uint32_t roles);

/* Joins all words of a list, with `last` between the last two and `between` between the others. */
void words_join(const struct word *words, const char *between, const char *last, char *text, size_t size);

#endif
