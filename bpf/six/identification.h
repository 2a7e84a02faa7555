/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Identifications of the fragmented datagrams that leave. A fragment header has 32 bits, of which IPv4 takes the lower
 * 16: two datagrams of an outside address to one server could share them, and their fragments would be mixed up there
 * (RFC 6864). So the first of them takes the number, and the second another one.
 *
 * A datagram tries numbers in an order of its own, and takes the first that has been its own before, else the first
 * free one. An entry that has given way to others costs nothing, unless just then two datagrams would share a number.
 */
#ifndef DETNAT_IDENTIFICATION_H
#define DETNAT_IDENTIFICATION_H

#include <detnat/fragments.h>

#include "base/settings.h"
#include "six/packet6.h"

#define IDENTIFICATIONS	      16384U
#define IDENTIFICATIONS_TRIED 4U

struct identification_key {
	__u32 out_addr; /* host byte order */
	__u32 dst;
	__u16 ident;
	__u8 proto;
	__u8 pad;
};

/* Whose it is. The owner is compared as a whole. */
struct identification {
	__u64 src[2];
	__u32 ident; /* of its fragment header */
	__u32 since; /* tick of its last fragment */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, IDENTIFICATIONS);
	__type(key, struct identification_key);
	__type(value, struct identification);
} identifications SEC(".maps");

static __always_inline int identification_is_of(const struct identification *e, const struct headers6 *h)
{
	return e->src[0] == h->src[0] && e->src[1] == h->src[1] && e->ident == h->ident;
}

/* The number that a datagram tries as its i-th: 0 the lower half of its own. */
static __always_inline __u16 identification_tried(const struct headers6 *h, __u32 i)
{
	__u64 hash = (h->src[0] ^ h->src[1] ^ h->ident) * 0x9e3779b97f4a7c15ULL;

	return (__u16)(h->ident + i * ((__u32)(hash >> 48) | 1));
}

/*
 * The identification in IPv4 of a fragment of IPv6, host byte order. dst: translated. Returns it, or -1 if all that the
 * datagram may take are others'.
 */
static __always_inline int identification_get(const struct packet6 *s, __u32 dst)
{
	const struct headers6 *h = &s->whole;
	struct identification_key key = { .out_addr = s->out_addr, .dst = dst, .proto = h->proto };
	struct identification own = { .src = { h->src[0], h->src[1] }, .ident = h->ident, .since = now_ticks() };
	__u32 lifetime = FRAGMENT_LIFETIME * settings.hz >> TICK_SHIFT;
	int found = -1;

#pragma unroll
	for (__u32 i = 0; i < IDENTIFICATIONS_TRIED; i++) {
		struct identification *e;

		key.ident = identification_tried(h, i);
		e = bpf_map_lookup_elem(&identifications, &key);
		if (e && identification_is_of(e, h)) {
			*(volatile __u32 *)&e->since = own.since;
			return key.ident;
		}
		if (found < 0 && (!e || own.since - *(volatile __u32 *)&e->since > lifetime))
			found = key.ident;
	}
	if (found < 0)
		return -1;
	key.ident = (__u16)found;
	bpf_map_update_elem(&identifications, &key, &own, BPF_ANY);
	return found;
}

/*
 * A secret that all cores share. It is replaced whenever one of them has sent so many packets, before anyone outside
 * could work it out from the identifications made with it. 0: not drawn yet.
 */
#define IDENTIFICATION_SECRET_LASTS 1024U
static __u64 identification_secret SEC(".data.identification");

/*
 * The identification of a packet that is whole and may be cut behind us, as it has no DF: one that nobody can foresee
 * (RFC 6274 section 3.5.2). word: state of its session; count: packets of this core. The kernel's random numbers take
 * ten times as long.
 */
static __always_inline __u16 identification_of_whole(__u64 word, __u64 count)
{
	__u64 secret = LOAD(identification_secret), hash;

	if (unlikely(!secret || !(count & (IDENTIFICATION_SECRET_LASTS - 1)))) {
		secret = (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32() | 1;
		*(volatile __u64 *)&identification_secret = secret;
	}
	hash = (word + count) * secret;
	hash = (hash ^ hash >> 32) * secret;
	return (__u16)(hash >> 48);
}

#endif
