/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest's card has negotiated with its host, as far as XDP depends on it. */
#ifndef DETNAT_VIRTIO_H
#define DETNAT_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether the driver virtio_net takes an XDP program and never runs it: without mergeable buffers, and with buffers for
 * frames beyond 1500 octets, which it has where the host may merge segments. bits: the file `features` of the device, a
 * digit a feature. mtu: of the interface; a device that tells its MTU has buffers for that.
 */
bool virtio_bits_ignore_xdp(const char *bits, uint32_t mtu);

/* Whether its host may merge segments, which it stops while there is an XDP program. */
bool virtio_bits_merge(const char *bits);

/* The first of the same of an interface of this network namespace; false if it is no virtio card, or unknown. root:
 * before /sys. */
bool virtio_ignores_xdp(const char *root, const char *name, uint32_t mtu);
bool virtio_merges(const char *root, const char *name);

#endif
