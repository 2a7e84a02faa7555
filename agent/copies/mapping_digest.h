/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_MAPPING_DIGEST_H
#define DETNAT_MAPPING_DIGEST_H

#include <stdint.h>

#include <detnat/tables.h>

/*
 * A digest of all that decides where a mapping has a session, and by which ports: gateways exchange sessions only of
 * mappings for which it is equal. Quota and timeouts may differ, and a mapping that drains is as it was.
 */
uint64_t mapping_digest(const struct mapping *record);

/* Goes on with a digest, which begins as 0. */
uint64_t digest_add(uint64_t digest, uint64_t value);

#endif
