/* SPDX-License-Identifier: BSD-2-Clause */
#include "pcp/pcp_message.h"

#include <string.h>

#include "base/base.h"
#include "tables/portmap_table.h"

/* Offsets in the header, and in the part after it of MAP and PEER, which begin alike. */
enum {
	AT_VERSION = 0,
	AT_OPCODE = 1,
	AT_RESULT = 3,
	AT_LIFETIME = 4,
	AT_CLIENT = 8, /* requests */
	AT_EPOCH = 8,  /* responses */
	AT_RESERVED = 12,
	AT_NONCE = PCP_HEADER,
	AT_PROTO = PCP_HEADER + 12,
	AT_IN_PORT = PCP_HEADER + 16,
	AT_OUT_PORT = PCP_HEADER + 18,
	AT_OUT_ADDR = PCP_HEADER + 20,
	AT_PEER_PORT = PCP_HEADER + 36,
	AT_PEER_ADDR = PCP_HEADER + 40,
};

#define ADDR_LENGTH 16U

enum option {
	OPTION_THIRD_PARTY = 1,
	OPTION_PREFER_FAILURE = 2,
	OPTION_FILTER = 3,
};

/* Of the option FILTER: its length, and offsets in it. */
#define FILTER_LENGTH 20U
#define FILTER_PLEN   1U
#define FILTER_PORT   2U
#define FILTER_ADDR   4U

/* Length of the common prefix of IPv4-mapped addresses. */
#define MAPPED_PLEN 96U

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

const char *pcp_result_name(enum pcp_result result)
{
	static const char *const names[] = {
#define X(constant, code, name, lifetime) [constant] = name,
		PCP_RESULTS(X)
#undef X
	};

	return names[result];
}

const char *pcp_opcode_name(unsigned opcode)
{
	static const char *const names[] = {
#define X(constant, code, name) [constant] = name,
		PCP_OPCODES(X)
#undef X
	};

	return opcode < N_PCP_OPCODES ? names[opcode] : "other";
}

uint32_t pcp_error_lifetime(enum pcp_result result)
{
	static const uint32_t lifetimes[] = {
#define X(constant, code, name, lifetime) [constant] = lifetime,
		PCP_RESULTS(X)
#undef X
	};

	return lifetimes[result];
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint16_t n)
{
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
}

static void put32(uint8_t *p, uint32_t n)
{
	put16(p, (uint16_t)(n >> 16));
	put16(p + 2, (uint16_t)n);
}

/* 0 for an address that is not IPv4-mapped. */
static uint32_t get_addr(const uint8_t *p)
{
	return memcmp(p, mapped_prefix, sizeof(mapped_prefix)) ? 0 : get32(p + sizeof(mapped_prefix));
}

static void put_addr(uint8_t *p, uint32_t addr)
{
	memcpy(p, mapped_prefix, sizeof(mapped_prefix));
	put32(p + sizeof(mapped_prefix), addr);
}

static bool is_ipv6(const uint8_t *p)
{
	static const uint8_t unspecified[ADDR_LENGTH];

	return memcmp(p, mapped_prefix, sizeof(mapped_prefix)) && memcmp(p, unspecified, sizeof(unspecified));
}

static size_t opcode_length(unsigned opcode)
{
	return opcode == PCP_MAP ? PCP_MAP_LENGTH : opcode == PCP_PEER ? PCP_PEER_LENGTH : 0;
}

struct option_place {
	uint8_t code;
	uint16_t length; /* without padding */
	const uint8_t *data;
};

/* Steps from one option to the next. False at the end, and if the options are malformed. */
static bool next_option(const uint8_t *data, size_t size, size_t *at, struct option_place *ret)
{
	size_t length;

	if (size - *at < PCP_OPTION_HEADER)
		return false;
	*ret = (struct option_place){ data[*at], get16(data + *at + 2), data + *at + PCP_OPTION_HEADER };
	length = PCP_OPTION_HEADER + ((ret->length + 3U) & ~3U);
	if (size - *at < length)
		return false;
	*at += length;
	return true;
}

/* Processes options of code < 128: section 7.3 leaves others to the server, which ignores them. */
static int take_third_party(const struct option_place *o, bool allowed, struct pcp_request *r)
{
	if (!allowed || r->opcode == PCP_ANNOUNCE)
		return PCP_UNSUPP_OPTION;
	if (o->length != ADDR_LENGTH || r->has_third_party)
		return PCP_MALFORMED_OPTION;
	r->has_third_party = true;
	r->third_party = get_addr(o->data);
	return PCP_SUCCESS;
}

/*
 * Section 13.3. An address that cannot be an IPv4 peer is refused like a prefix of the wrong length. A prefix length of
 * 0 removes all filters, including earlier ones in the request.
 */
static int take_filter(const struct option_place *o, struct pcp_request *r)
{
	uint8_t plen;

	if (o->length != FILTER_LENGTH || !r->lifetime)
		return PCP_MALFORMED_OPTION;
	plen = o->data[FILTER_PLEN];
	if (!plen) {
		r->clears_filters = true;
		r->too_many_filters = false;
		r->filters = (struct portmap_filters){ 0 };
		return PCP_SUCCESS;
	}
	if (plen < MAPPED_PLEN || plen > MAPPED_PLEN + 32 ||
	    memcmp(o->data + FILTER_ADDR, mapped_prefix, sizeof(mapped_prefix)))
		return PCP_MALFORMED_OPTION;
	if (!portmap_filters_add(&r->filters, get_addr(o->data + FILTER_ADDR), (uint8_t)(plen - MAPPED_PLEN),
				 get16(o->data + FILTER_PORT)))
		r->too_many_filters = true;
	return PCP_SUCCESS;
}

static int take_prefer_failure(const struct option_place *o, struct pcp_request *r)
{
	if (o->length || r->prefer_failure)
		return PCP_MALFORMED_OPTION;
	r->prefer_failure = true;
	return PCP_SUCCESS;
}

static int take_option(const struct option_place *o, bool third_party, struct pcp_request *r)
{
	if (o->code & PCP_OPTION_OPTIONAL)
		return PCP_SUCCESS;
	if (o->code == OPTION_THIRD_PARTY)
		return take_third_party(o, third_party, r);
	if (o->code == OPTION_PREFER_FAILURE && r->opcode == PCP_MAP)
		return take_prefer_failure(o, r);
	if (o->code == OPTION_FILTER && r->opcode == PCP_MAP)
		return take_filter(o, r);
	return PCP_UNSUPP_OPTION;
}

static int parse_options(const uint8_t *data, size_t size, size_t first, bool third_party, struct pcp_request *r)
{
	struct option_place o;
	size_t at = first;
	int result;

	/* Checks the structure of all options before the meaning of any (section 7.3). */
	while (next_option(data, size, &at, &o))
		;
	if (at != size)
		return PCP_MALFORMED_OPTION;
	for (at = first; next_option(data, size, &at, &o);) {
		result = take_option(&o, third_party, r);
		if (result)
			return result;
	}
	return PCP_SUCCESS;
}

/* Combinations that no opcode allows (sections 11.3, 12.3, 15.1). */
static bool is_contradictory(const struct pcp_request *r)
{
	if (r->opcode == PCP_MAP)
		return !r->proto && r->in_port;
	return r->opcode == PCP_PEER && (!r->proto || !r->in_port || !r->peer_port);
}

static void parse_opcode(const uint8_t *data, struct pcp_request *r)
{
	if (r->opcode == PCP_ANNOUNCE)
		return;
	memcpy(r->nonce, data + AT_NONCE, PCP_NONCE);
	r->proto = data[AT_PROTO];
	r->in_port = get16(data + AT_IN_PORT);
	r->suggested_port = get16(data + AT_OUT_PORT);
	r->suggested_addr = get_addr(data + AT_OUT_ADDR);
	r->suggests_ipv6 = is_ipv6(data + AT_OUT_ADDR);
	if (r->opcode == PCP_PEER) {
		r->peer_port = get16(data + AT_PEER_PORT);
		r->peer_addr = get_addr(data + AT_PEER_ADDR);
	}
}

int pcp_parse(const uint8_t *data, size_t size, uint32_t source, bool third_party, struct pcp_request *ret_request)
{
	struct pcp_request r = { 0 };
	int result;

	if (size < 2 || data[AT_OPCODE] & PCP_RESPONSE)
		return PCP_SILENCE;
	/* Requests of other versions may be short: those of NAT-PMP have 2 or 12 octets. */
	if (data[AT_VERSION] != PCP_VERSION)
		return PCP_UNSUPP_VERSION;
	if (size < PCP_HEADER)
		return PCP_SILENCE;
	r.opcode = data[AT_OPCODE];
	if (r.opcode >= N_PCP_OPCODES)
		return PCP_UNSUPP_OPCODE;
	if (size > PCP_MAX_MESSAGE || size % 4 || size < PCP_HEADER + opcode_length(r.opcode))
		return PCP_MALFORMED_REQUEST;
	if (get_addr(data + AT_CLIENT) != source)
		return PCP_ADDRESS_MISMATCH;
	r.lifetime = get32(data + AT_LIFETIME);
	parse_opcode(data, &r);
	result = parse_options(data, size, PCP_HEADER + opcode_length(r.opcode), third_party, &r);
	if (!result && is_contradictory(&r))
		result = PCP_MALFORMED_REQUEST;
	/* The option must name another host than the sender (section 13.1). */
	if (!result && r.has_third_party && r.third_party == source)
		result = PCP_MALFORMED_REQUEST;
	if (!result)
		*ret_request = r;
	return result;
}

static void put_header(uint8_t *out, enum pcp_result result, uint32_t lifetime, uint32_t epoch)
{
	out[AT_VERSION] = PCP_VERSION;
	out[AT_OPCODE] |= PCP_RESPONSE;
	out[2] = 0;
	out[AT_RESULT] = (uint8_t)result;
	put32(out + AT_LIFETIME, lifetime);
	put32(out + AT_EPOCH, epoch);
}

size_t pcp_success(const uint8_t *data, size_t size, const struct pcp_request *request,
		   const struct pcp_assigned *assigned, uint32_t epoch, uint8_t out[static PCP_MAX_MESSAGE])
{
	size_t first = PCP_HEADER + opcode_length(request->opcode), at = first, length = first;
	struct option_place o;

	memcpy(out, data, first);
	put_header(out, PCP_SUCCESS, assigned->lifetime, epoch);
	memset(out + AT_RESERVED, 0, PCP_HEADER - AT_RESERVED);
	if (request->opcode != PCP_ANNOUNCE) {
		memset(out + AT_PROTO + 1, 0, AT_IN_PORT - AT_PROTO - 1);
		if (!assigned->as_requested) {
			put16(out + AT_OUT_PORT, assigned->port);
			put_addr(out + AT_OUT_ADDR, assigned->addr);
		}
	}
	if (request->opcode == PCP_PEER)
		memset(out + AT_PEER_PORT + 2, 0, AT_PEER_ADDR - AT_PEER_PORT - 2);
	for (size_t before = at; next_option(data, size, &at, &o); before = at) {
		if (o.code & PCP_OPTION_OPTIONAL)
			continue;
		memcpy(out + length, data + before, at - before);
		length += at - before;
	}
	return length;
}

size_t pcp_error(const uint8_t *data, size_t size, enum pcp_result result, bool parsed, uint32_t lifetime,
		 uint32_t epoch, uint8_t out[static PCP_MAX_MESSAGE])
{
	size_t copied = size < PCP_MAX_MESSAGE ? size : PCP_MAX_MESSAGE;
	size_t length = copied < PCP_HEADER ? PCP_HEADER : (copied + 3) & ~(size_t)3;

	memcpy(out, data, copied);
	memset(out + copied, 0, length - copied);
	put_header(out, result, lifetime, epoch);
	/* If the request was not parsed, these octets of the client's address stay (section 7.2). */
	if (parsed)
		memset(out + AT_RESERVED, 0, PCP_HEADER - AT_RESERVED);
	return length;
}

size_t pcp_announcement(uint32_t epoch, uint8_t out[static PCP_MAX_MESSAGE])
{
	memset(out, 0, PCP_HEADER);
	put_header(out, PCP_SUCCESS, 0, epoch);
	return PCP_HEADER;
}
