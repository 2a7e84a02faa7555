/* SPDX-License-Identifier: BSD-2-Clause */
/* The bindings of SUBSCRIBER in the fixture's mapping, for the suites binding and inbound. */
#ifndef DETNAT_TEST_BINDING_FIXTURE_H
#define DETNAT_TEST_BINDING_FIXTURE_H

#include <detnat/binding.h>

#include "fixture.h"

/* The entry of an outside port of SUBSCRIBER. */
uint64_t *entry_of(uint8_t proto, int out_port);

/* Puts the stamp of a binding so many seconds further into the past. */
void age_binding(uint8_t proto, int out_port, uint32_t seconds);

/* Binds all ports of a group of SUBSCRIBER but those in `but` to some inside ports, so many seconds ago. */
void fill_group(uint8_t proto, uint32_t group, unsigned but, uint32_t seconds_ago);

/* Changes the quota of the mapping. */
void set_quota(uint32_t sessions);

/* Turns endpoint-independent mapping and filtering of these protocols on or off. */
void set_protocols(uint8_t mapping, uint8_t filtering);

void sweep_sessions(void);

/* Runs a UDP packet from outside to a port of an outside address: the verdict. */
int stranger_to(uint32_t dst, uint32_t src, uint16_t sport, uint16_t dport);

/* The same of POOL. */
int stranger(uint32_t src, uint16_t sport, uint16_t dport);

#endif
