/* SPDX-License-Identifier: BSD-2-Clause */
/* Values that detnat-agent and detnatctl share: the usual paths, and the maximum length of a request. */
#ifndef DETNAT_DEFAULTS_H
#define DETNAT_DEFAULTS_H

#include <stdint.h>

#define DEFAULT_SOCKET	  "/run/detnat/agent.sock"
#define DEFAULT_STATE_DIR "/var/lib/detnat"

/* The least and the most slots that `auto` gives a subscriber. */
#define AUTO_MIN_SLOTS 128U
#define AUTO_MAX_SLOTS 1024U

/* What `auto` gives: the smallest power of two that is at least twice the ports of a host, within these. */
static inline uint32_t slots_for_ports(uint32_t ports)
{
	uint32_t slots = AUTO_MIN_SLOTS;

	while (slots < 2 * ports && slots < AUTO_MAX_SLOTS)
		slots *= 2;
	return slots;
}

/* Octets, newline included. */
#define CONTROL_MAX_LINE  (64U << 10)
#define CONTROL_MAX_BATCH (1U << 20) /* of a peer that may change the running state */

/* Blocks that grow: ports of a granted one, how many a subscriber may have, and when one is taken back. */
#define DEFAULT_GROWTH_BLOCK	  128U
#define DEFAULT_GROWTH_MAX_BLOCKS 4U
#define DEFAULT_GROWTH_IDLE_S	  300U
#define DEFAULT_GROWTH_REST_S	  120U /* RFC 6888 REQ-8 */

#endif
