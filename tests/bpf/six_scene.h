/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by six.bpf.c and the tests that run it. */
#ifndef DETNAT_TEST_SIX_SCENE_H
#define DETNAT_TEST_SIX_SCENE_H

#include <detnat/prefix6.h>

/* What the tables would say of a packet. Addresses of IPv4 in host byte order. */
struct six_scene {
	struct record6 record;
	__u64 host[2]; /* octets as in a packet */
	__u32 virt;
	__u32 out_addr;
	__u32 mtu4;
	__u32 mtu6;
};

/* result: 0, an enum reason, or what leave.h says. */
struct six_outcome {
	__s32 result;
	__u32 pointer;
	__u32 is_error;
};

#endif
