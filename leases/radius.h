/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets of RADIUS accounting (RFC 2866): checked, read, answered and passed on. They may have any octets. Pure. */
#ifndef DETNAT_RADIUS_H
#define DETNAT_RADIUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "identity/secret_file.h"
#include "leases/accounting.h"

#define RADIUS_HEADER	     20U
#define RADIUS_MAX	     4096U /* octets of a packet */
#define RADIUS_AUTHENTICATOR 16U

enum radius_code {
	RADIUS_ACCOUNTING_REQUEST = 4,
	RADIUS_ACCOUNTING_RESPONSE = 5,
	RADIUS_STATUS_SERVER = 12, /* RFC 5997 */
};

/*
 * Whether octets are a packet whose attributes fill it: *ret_size is its length, as what follows is padding (RFC 2865
 * section 3).
 */
bool radius_sound(const uint8_t *packet, size_t size, size_t *ret_size);

/*
 * For well-formed packets: whether the sender of this request has the secret. RFC 2866 section 3 for accounting; the
 * Message-Authenticator of RFC 5997 section 2.1 for Status-Server, which must have one; false for other codes.
 */
bool radius_request_genuine(const uint8_t *packet, size_t size, const struct radius_secret *s);

/* The same for the response to a request with an identifier and an authenticator. */
bool radius_response_genuine(const uint8_t *packet, size_t size, uint8_t id,
			     const uint8_t authenticator[static RADIUS_AUTHENTICATOR], const struct radius_secret *s);

/*
 * Writes the Accounting-Response to a sound request, with its Proxy-State attributes in their order (RFC 2866 section
 * 5.13 refers to RFC 2865 section 5.33), and returns its length.
 */
size_t radius_answer(const uint8_t *request, size_t size, const struct radius_secret *s,
		     uint8_t ret[static RADIUS_MAX]);

/*
 * Writes a sound request as it goes to a further server: with an identifier of ours, Acct-Delay-Time larger by the
 * seconds for which it was held (RFC 2866 section 5.2), and without Message-Authenticator, which covers the former
 * identifier. Returns its length.
 */
size_t radius_pass_on(const uint8_t *request, size_t size, uint8_t id, uint32_t held, const struct radius_secret *s,
		      uint8_t ret[static RADIUS_MAX]);

/* What a server that forwards adds to requests, to know them again when they come back. */
#define RADIUS_MARK 16U

/* The most servers that a request has passed, each of which adds a Proxy-State. */
#define RADIUS_MAX_PROXIES 16U

/* Writes a sound request with the mark as its last Proxy-State. Returns its length; 0: there is no room. */
size_t radius_mark(const uint8_t *request, size_t size, const uint8_t mark[static RADIUS_MARK],
		   uint8_t ret[static RADIUS_MAX]);

/* Whether a sound request has the mark, or has passed too many servers. */
bool radius_loops(const uint8_t *packet, size_t size, const uint8_t mark[static RADIUS_MARK]);

/*
 * Whether each attribute of a sound packet has a length that its type can have; a request with another is discarded
 * (RFC 2866 section 5).
 */
bool radius_lengths_fit(const uint8_t *packet, size_t size);

/* Reads the attributes of a sound request, which accounting_date() is to date. from: who sent it. */
void radius_read(const uint8_t *packet, size_t size, const char *from, struct accounting *ret);

#endif
