/* SPDX-License-Identifier: BSD-2-Clause */
/* What a driver does to packets before anybody sees them, as `ethtool -k` shows it. */
#ifndef DETNAT_OFFLOADS_H
#define DETNAT_OFFLOADS_H

#include <stdbool.h>

#define OFFLOAD_GRO	     "rx-gro"
#define OFFLOAD_VLAN	     "rx-vlan-hw-parse"
#define OFFLOAD_SERVICE_VLAN "rx-vlan-stag-hw-parse"

/* Whether an offload is on; false also where the driver or the kernel does not know it. */
bool offload_is_on(const char *name, const char *offload);

#endif
