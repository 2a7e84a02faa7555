/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * FNV-1a: distinguishes files, records and names that no attacker chooses. A digest is the same in every process; where
 * hosts choose the keys of a table, see hash.h.
 */
#ifndef DETNAT_FNV_H
#define DETNAT_FNV_H

#include <stddef.h>
#include <stdint.h>

#define FNV1A_BEGIN   0xcbf29ce484222325ULL
#define FNV1A_PRIME   0x100000001b3ULL
#define FNV1A_BEGIN32 0x811c9dc5U

/* Continues a digest of 64 bits, which begins as FNV1A_BEGIN. */
static inline uint64_t fnv1a(uint64_t digest, const void *data, size_t size)
{
	const uint8_t *octet = data;

	for (size_t i = 0; i < size; i++)
		digest = (digest ^ octet[i]) * FNV1A_PRIME;
	return digest;
}

/* The same with 32 bits and FNV1A_BEGIN32. */
static inline uint32_t fnv1a_32(uint32_t digest, const void *data, size_t size)
{
	const uint8_t *octet = data;

	for (size_t i = 0; i < size; i++)
		digest = (digest ^ octet[i]) * 0x01000193U;
	return digest;
}

#endif
