/* SPDX-License-Identifier: BSD-2-Clause */
/* A driver's name, offloads and receive queues, as ethtool shows them. */
#ifndef DETNAT_OFFLOADS_H
#define DETNAT_OFFLOADS_H

#include <stdbool.h>
#include <stdint.h>

#define OFFLOAD_GRO	     "rx-gro"
#define OFFLOAD_LRO	     "rx-lro"
#define OFFLOAD_GRO_HW	     "rx-gro-hw"
#define OFFLOAD_VLAN	     "rx-vlan-hw-parse"
#define OFFLOAD_SERVICE_VLAN "rx-vlan-stag-hw-parse"

/* Whether an offload is on; false also if the driver or the kernel does not know it. */
bool offload_is_on(const char *name, const char *offload);

#define DRIVER_NAME 32

/* Name of the driver; false if there is none. */
bool driver_name(const char *name, char ret[static DRIVER_NAME]);

/* Number of receive queues in use, and the driver's maximum. False if the driver does not say. */
bool receive_queues(const char *name, uint32_t *ret_used, uint32_t *ret_most);

#endif
