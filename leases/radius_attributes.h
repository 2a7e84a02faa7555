/* SPDX-License-Identifier: BSD-2-Clause */
/* The attributes of a RADIUS packet (RFC 2865 section 5). */
#ifndef DETNAT_RADIUS_ATTRIBUTES_H
#define DETNAT_RADIUS_ATTRIBUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Those that the server itself needs; accounting.h has what becomes lines. */
enum radius_attribute_type {
	ATTRIBUTE_PROXY_STATE = 33,
	ATTRIBUTE_ACCT_DELAY_TIME = 41,
	ATTRIBUTE_MESSAGE_AUTHENTICATOR = 80,
};

/* The value lies in the packet, behind its type and length. */
struct radius_attribute {
	uint8_t type;
	const uint8_t *value;
	size_t size; /* of the value, 0 to 253 */
};

/* Takes the attribute at an offset, which moves behind it. False: there is no whole one. */
static inline bool radius_attribute_next(const uint8_t *packet, size_t size, size_t *at, struct radius_attribute *ret)
{
	const uint8_t *a = packet + *at;

	if (size - *at < 2 || a[1] < 2 || a[1] > size - *at)
		return false;
	*ret = (struct radius_attribute){ a[0], a + 2, a[1] - 2U };
	*at += a[1];
	return true;
}

/* The next attribute of a type. */
static inline bool radius_attribute_find(const uint8_t *packet, size_t size, uint8_t type, size_t *at,
					 struct radius_attribute *ret)
{
	while (radius_attribute_next(packet, size, at, ret))
		if (ret->type == type)
			return true;
	return false;
}

/* An integer; 0 if the value does not have four octets. */
static inline uint32_t radius_attribute_number(const struct radius_attribute *a)
{
	const uint8_t *v = a->value;

	return a->size == 4 ? (uint32_t)v[0] << 24 | (uint32_t)v[1] << 16 | (uint32_t)v[2] << 8 | v[3] : 0;
}

#endif
