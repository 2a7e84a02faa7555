// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The programs of detnat_tc.bpf.c for interfaces whose packets have no Ethernet header (PPP, WireGuard, tunnels). */
#define BARE 1
#include "programs/detnat_tc.bpf.c"
