/* SPDX-License-Identifier: BSD-2-Clause */
#include "radius.h"

#include <nettle/hmac.h>
#include <nettle/md5.h>
#include <nettle/memops.h>
#include <string.h>

#include "radius_attributes.h"

static const uint8_t zeros[RADIUS_AUTHENTICATOR];

static size_t length_of(const uint8_t *packet)
{
	return (size_t)packet[2] << 8 | packet[3];
}

static void set_length(uint8_t *packet, size_t size)
{
	packet[2] = (uint8_t)(size >> 8);
	packet[3] = (uint8_t)size;
}

bool radius_sound(const uint8_t *packet, size_t size, size_t *ret_size)
{
	struct radius_attribute a;
	size_t length, at = RADIUS_HEADER;

	if (size < RADIUS_HEADER)
		return false;
	length = length_of(packet);
	if (length < RADIUS_HEADER || length > size || length > RADIUS_MAX)
		return false;
	while (radius_attribute_next(packet, length, &at, &a))
		;
	*ret_size = length;
	return at == length;
}

/* MD5 of a packet with this authenticator in place of its own, and of the secret. */
static void digest(const uint8_t *packet, size_t size, const uint8_t *authenticator, const struct radius_secret *s,
		   uint8_t ret[static MD5_DIGEST_SIZE])
{
	struct md5_ctx md5;

	md5_init(&md5);
	md5_update(&md5, 4, packet);
	md5_update(&md5, RADIUS_AUTHENTICATOR, authenticator);
	md5_update(&md5, size - RADIUS_HEADER, packet + RADIUS_HEADER);
	md5_update(&md5, s->size, s->octet);
	md5_digest(&md5, MD5_DIGEST_SIZE, ret);
}

static bool has_digest(const uint8_t *packet, size_t size, const uint8_t *authenticator, const struct radius_secret *s)
{
	uint8_t wanted[MD5_DIGEST_SIZE];

	digest(packet, size, authenticator, s, wanted);
	return memeql_sec(wanted, packet + 4, sizeof(wanted));
}

/* HMAC-MD5 of the packet with zeros in place of the attribute's value (RFC 3579 section 3.2). */
static bool has_message_authenticator(const uint8_t *packet, size_t size, const struct radius_secret *s)
{
	struct radius_attribute a;
	struct hmac_md5_ctx mac;
	uint8_t wanted[MD5_DIGEST_SIZE];
	size_t at = RADIUS_HEADER, before;

	if (!radius_attribute_find(packet, size, ATTRIBUTE_MESSAGE_AUTHENTICATOR, &at, &a) || a.size != sizeof(wanted))
		return false;
	before = (size_t)(a.value - packet);
	hmac_md5_set_key(&mac, s->size, s->octet);
	hmac_md5_update(&mac, before, packet);
	hmac_md5_update(&mac, sizeof(zeros), zeros);
	hmac_md5_update(&mac, size - before - a.size, a.value + a.size);
	hmac_md5_digest(&mac, sizeof(wanted), wanted);
	return memeql_sec(wanted, a.value, sizeof(wanted));
}

bool radius_request_genuine(const uint8_t *packet, size_t size, const struct radius_secret *s)
{
	if (packet[0] == RADIUS_STATUS_SERVER)
		return has_message_authenticator(packet, size, s);
	return packet[0] == RADIUS_ACCOUNTING_REQUEST && has_digest(packet, size, zeros, s);
}

bool radius_response_genuine(const uint8_t *packet, size_t size, uint8_t id,
			     const uint8_t authenticator[static RADIUS_AUTHENTICATOR], const struct radius_secret *s)
{
	return packet[0] == RADIUS_ACCOUNTING_RESPONSE && packet[1] == id && has_digest(packet, size, authenticator, s);
}

/* Ends a packet whose code, identifier and attributes are there. */
static size_t finish(uint8_t *packet, size_t size, const uint8_t *authenticator, const struct radius_secret *s)
{
	uint8_t sum[MD5_DIGEST_SIZE];

	set_length(packet, size);
	digest(packet, size, authenticator, s, sum);
	memcpy(packet + 4, sum, sizeof(sum));
	return size;
}

static size_t append(uint8_t *packet, size_t size, const struct radius_attribute *a)
{
	memcpy(packet + size, a->value - 2, a->size + 2);
	return size + a->size + 2;
}

size_t radius_answer(const uint8_t *request, size_t size, const struct radius_secret *s, uint8_t ret[static RADIUS_MAX])
{
	struct radius_attribute a;
	size_t at = RADIUS_HEADER, n = RADIUS_HEADER;

	ret[0] = RADIUS_ACCOUNTING_RESPONSE;
	ret[1] = request[1];
	while (radius_attribute_find(request, size, ATTRIBUTE_PROXY_STATE, &at, &a))
		n = append(ret, n, &a);
	return finish(ret, n, request + 4, s);
}

static void put_delay(uint8_t *value, uint32_t seconds)
{
	for (unsigned i = 0; i < 4; i++)
		value[i] = (uint8_t)(seconds >> (24 - 8 * i));
}

/* Makes Acct-Delay-Time larger, or adds it while there is room. */
static size_t add_delay(uint8_t *packet, size_t size, uint32_t held)
{
	struct radius_attribute a;
	size_t at = RADIUS_HEADER;
	uint32_t before;

	if (radius_attribute_find(packet, size, ATTRIBUTE_ACCT_DELAY_TIME, &at, &a) && a.size == 4) {
		before = radius_attribute_number(&a);
		put_delay(packet + (a.value - packet), before > UINT32_MAX - held ? UINT32_MAX : before + held);
		return size;
	}
	if (size + 6 > RADIUS_MAX)
		return size;
	packet[size] = ATTRIBUTE_ACCT_DELAY_TIME;
	packet[size + 1] = 6;
	put_delay(packet + size + 2, held);
	return size + 6;
}

size_t radius_pass_on(const uint8_t *request, size_t size, uint8_t id, uint32_t held, const struct radius_secret *s,
		      uint8_t ret[static RADIUS_MAX])
{
	struct radius_attribute a;
	size_t at = RADIUS_HEADER, n = RADIUS_HEADER;

	ret[0] = request[0];
	ret[1] = id;
	while (radius_attribute_next(request, size, &at, &a))
		if (a.type != ATTRIBUTE_MESSAGE_AUTHENTICATOR)
			n = append(ret, n, &a);
	if (held)
		n = add_delay(ret, n, held);
	return finish(ret, n, zeros, s);
}

size_t radius_mark(const uint8_t *request, size_t size, const uint8_t mark[static RADIUS_MARK],
		   uint8_t ret[static RADIUS_MAX])
{
	if (size + 2 + RADIUS_MARK > RADIUS_MAX)
		return 0;
	memcpy(ret, request, size);
	ret[size] = ATTRIBUTE_PROXY_STATE;
	ret[size + 1] = 2 + RADIUS_MARK;
	memcpy(ret + size + 2, mark, RADIUS_MARK);
	set_length(ret, size + 2 + RADIUS_MARK);
	return size + 2 + RADIUS_MARK;
}

bool radius_loops(const uint8_t *packet, size_t size, const uint8_t mark[static RADIUS_MARK])
{
	struct radius_attribute a;
	size_t at = RADIUS_HEADER;
	unsigned n = 0;

	while (radius_attribute_find(packet, size, ATTRIBUTE_PROXY_STATE, &at, &a))
		if (++n > RADIUS_MAX_PROXIES || (a.size == RADIUS_MARK && !memcmp(a.value, mark, RADIUS_MARK)))
			return true;
	return false;
}

bool radius_lengths_fit(const uint8_t *packet, size_t size)
{
	struct radius_attribute a;
	size_t at = RADIUS_HEADER;

	while (radius_attribute_next(packet, size, &at, &a))
		if (!accounting_fits(a.type, a.value, a.size))
			return false;
	return true;
}

void radius_read(const uint8_t *packet, size_t size, const char *from, struct accounting *ret)
{
	struct radius_attribute a;
	size_t at = RADIUS_HEADER;

	*ret = (struct accounting){ 0 };
	snprintf(ret->from, sizeof(ret->from), "%s", from);
	while (radius_attribute_next(packet, size, &at, &a))
		accounting_take(ret, a.type, a.value, a.size);
}
