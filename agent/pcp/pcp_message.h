/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages of the Port Control Protocol, version 2 (RFC 6887 sections 7, 11, 12, 13 and 14), between octets and
 * structures. Pure functions. Addresses and ports are in host byte order; an IPv6 address that is not IPv4-mapped
 * belongs to no subscriber and is kept as 0.
 */
#ifndef DETNAT_PCP_MESSAGE_H
#define DETNAT_PCP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <detnat/portmaps.h>

#define PCP_VERSION	    2U
#define PCP_SERVER_PORT	    5351U
#define PCP_CLIENT_PORT	    5350U
#define PCP_MAX_MESSAGE	    1100U
#define PCP_HEADER	    24U
#define PCP_MAP_LENGTH	    36U
#define PCP_PEER_LENGTH	    56U
#define PCP_NONCE	    12U
#define PCP_RESPONSE	    0x80U /* the R bit, in the octet of the opcode */
#define PCP_OPTION_HEADER   4U
#define PCP_OPTION_OPTIONAL 0x80U /* set in the codes of options that a server may ignore */

/* X(constant, code, name, name in metrics) */
#define PCP_OPCODES(X)                 \
	X(PCP_ANNOUNCE, 0, "announce") \
	X(PCP_MAP, 1, "map")           \
	X(PCP_PEER, 2, "peer")

enum pcp_opcode {
#define X(constant, code, name) constant = code,
	PCP_OPCODES(X)
#undef X
		N_PCP_OPCODES
};

/* Seconds for which a client should expect the same error (section 7.4). */
#define PCP_SHORT_ERROR 30U
#define PCP_LONG_ERROR	1800U

/* X(constant, code, name, lifetime of the error in seconds) */
#define PCP_RESULTS(X)                                                                 \
	X(PCP_SUCCESS, 0, "success", 0)                                                \
	X(PCP_UNSUPP_VERSION, 1, "unsupp_version", PCP_LONG_ERROR)                     \
	X(PCP_NOT_AUTHORIZED, 2, "not_authorized", PCP_LONG_ERROR)                     \
	X(PCP_MALFORMED_REQUEST, 3, "malformed_request", PCP_LONG_ERROR)               \
	X(PCP_UNSUPP_OPCODE, 4, "unsupp_opcode", PCP_LONG_ERROR)                       \
	X(PCP_UNSUPP_OPTION, 5, "unsupp_option", PCP_LONG_ERROR)                       \
	X(PCP_MALFORMED_OPTION, 6, "malformed_option", PCP_LONG_ERROR)                 \
	X(PCP_NETWORK_FAILURE, 7, "network_failure", PCP_SHORT_ERROR)                  \
	X(PCP_NO_RESOURCES, 8, "no_resources", PCP_SHORT_ERROR)                        \
	X(PCP_UNSUPP_PROTOCOL, 9, "unsupp_protocol", PCP_LONG_ERROR)                   \
	X(PCP_USER_EX_QUOTA, 10, "user_ex_quota", PCP_SHORT_ERROR)                     \
	X(PCP_CANNOT_PROVIDE_EXTERNAL, 11, "cannot_provide_external", PCP_SHORT_ERROR) \
	X(PCP_ADDRESS_MISMATCH, 12, "address_mismatch", PCP_LONG_ERROR)                \
	X(PCP_EXCESSIVE_REMOTE_PEERS, 13, "excessive_remote_peers", PCP_LONG_ERROR)

enum pcp_result {
#define X(constant, code, name, lifetime) constant = code,
	PCP_RESULTS(X)
#undef X
		N_PCP_RESULTS
};

const char *pcp_result_name(enum pcp_result result);
const char *pcp_opcode_name(unsigned opcode); /* "other" for one that is not supported */
uint32_t pcp_error_lifetime(enum pcp_result result);

/* The contents of a request. Members that its opcode does not have, or of absent options, are 0. */
struct pcp_request {
	uint8_t opcode;
	uint32_t lifetime;
	/* MAP and PEER */
	uint8_t nonce[PCP_NONCE];
	uint8_t proto;
	uint16_t in_port;
	uint16_t suggested_port;
	uint32_t suggested_addr; /* 0: any, or an IPv6 address */
	bool suggests_ipv6;	 /* an IPv6 address that is neither unspecified nor IPv4-mapped */
	/* PEER */
	uint16_t peer_port;
	uint32_t peer_addr;
	/* Options */
	bool prefer_failure;
	bool has_third_party;
	uint32_t third_party; /* 0: an IPv6 address */
	/* FILTER */
	bool clears_filters;   /* removes the lease's filters first */
	bool too_many_filters; /* there are more than these */
	struct portmap_filters filters;
};

/*
 * A request without an answer: a response itself, one shorter than a header (section 8.2), or than two octets if the
 * version is another.
 */
#define PCP_SILENCE (-1)

/*
 * Parses a request of `source`, in the order of section 8.2. Returns PCP_SUCCESS with *ret_request, an error to answer
 * with, or PCP_SILENCE. third_party: the option of that name is accepted from this source; otherwise it is unsupported.
 */
int pcp_parse(const uint8_t *data, size_t size, uint32_t source, bool third_party, struct pcp_request *ret_request);

/* The contents of a success beyond those repeated from the request. */
struct pcp_assigned {
	uint32_t lifetime;
	uint32_t addr;
	uint16_t port;
	bool as_requested; /* address and port are those of the request, as in the answer to a deletion */
};

/*
 * Write the response to the request data[0..size) to out and return its length, a multiple of 4. A success repeats the
 * processed options; an error repeats the whole request (section 8.2), up to PCP_MAX_MESSAGE. parsed: pcp_parse()
 * accepted the request.
 */
size_t pcp_success(const uint8_t *data, size_t size, const struct pcp_request *request,
		   const struct pcp_assigned *assigned, uint32_t epoch, uint8_t out[static PCP_MAX_MESSAGE]);
size_t pcp_error(const uint8_t *data, size_t size, enum pcp_result result, bool parsed, uint32_t lifetime,
		 uint32_t epoch, uint8_t out[static PCP_MAX_MESSAGE]);

/* Writes an unsolicited ANNOUNCE response (section 14.1) and returns its length. */
size_t pcp_announcement(uint32_t epoch, uint8_t out[static PCP_MAX_MESSAGE]);

#endif
