/* SPDX-License-Identifier: BSD-2-Clause */
/* A driver's XDP features, which the kernel reports from Linux 6.3 on (netlink family "netdev"). */
#ifndef DETNAT_DOCTOR_XDP_H
#define DETNAT_DOCTOR_XDP_H

#include <stdint.h>

/* Bits of enum netdev_xdp_act. */
#define XDP_FEATURE_BASIC    (1U << 0) /* XDP_PASS, XDP_DROP, XDP_TX, XDP_ABORTED */
#define XDP_FEATURE_REDIRECT (1U << 1)
#define XDP_FEATURE_TRANSMIT (1U << 2) /* accepts redirected frames */

/* 0, -ENOENT if the kernel does not report them, or another -errno. */
int xdp_features(uint32_t ifindex, uint64_t *ret);

#endif
