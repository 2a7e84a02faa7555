/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_IP_CHECKSUM_H
#define DETNAT_IP_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The Internet checksum (RFC 1071) of size octets; data and result are in network byte order. */
static inline uint16_t ip_checksum(const uint8_t *data, size_t size)
{
	uint32_t sum = 0;
	uint16_t word;

	for (size_t i = 0; i < size; i += 2) {
		word = 0;
		memcpy(&word, data + i, size - i < 2 ? 1 : 2);
		sum += word;
	}
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

#endif
