/* SPDX-License-Identifier: BSD-2-Clause */
/* What a driver says of itself and does to packets before anybody sees them, as ethtool shows it. */
#ifndef DETNAT_OFFLOADS_H
#define DETNAT_OFFLOADS_H

#include <stdbool.h>
#include <stdint.h>

#define OFFLOAD_GRO	     "rx-gro"
#define OFFLOAD_LRO	     "rx-lro"
#define OFFLOAD_GRO_HW	     "rx-gro-hw"
#define OFFLOAD_VLAN	     "rx-vlan-hw-parse"
#define OFFLOAD_SERVICE_VLAN "rx-vlan-stag-hw-parse"

/* Whether an offload is on; false also where the driver or the kernel does not know it. */
bool offload_is_on(const char *name, const char *offload);

#define DRIVER_NAME 32

/* Name of the driver; false where there is none. */
bool driver_name(const char *name, char ret[static DRIVER_NAME]);

/* Receive queues: how many are in use, and how many the driver could have. false where it does not say. */
bool receive_queues(const char *name, uint32_t *ret_used, uint32_t *ret_most);

#endif
