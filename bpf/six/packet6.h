/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A packet of IPv6 as it came, and the chain of its extension headers (RFC 8200 section 4). It is kept per core until
 * the packet leaves: enter.h makes IPv4 of the packet in place, of which the host's address, the headers for the quotes
 * of our own errors, and the packet itself, to be restored, can no longer be seen.
 */
#ifndef DETNAT_PACKET6_H
#define DETNAT_PACKET6_H

#include <linux/ipv6.h>

#include <detnat/prefix6.h>

#include "packet/checksum.h"
#include "packet/parse.h"
#include "six/frame6.h"

#define ICMP6_DEST_UNREACH   1
#define ICMP6_PACKET_TOO_BIG 2
#define ICMP6_TIME_EXCEEDED  3
#define ICMP6_PARAMETER	     4
#define ICMP6_ECHO	     128
#define ICMP6_ECHOREPLY	     129

/* What is walked before the upper-layer header; longer chains are malformed. */
#define CHAIN6_HEADERS 8U
#define CHAIN6_OCTETS  256U

#define OPTION6_JUMBO 0xc2

/* The longest offset at which the headers of a packet, or of one quoted by it, are looked at. */
#define PACKET6_HEAD 1024U
/* The longest ICMPv6 error, less its header, and what a store at a masked offset may write behind it. */
#define PACKET6_MADE 4224U

/* Headers of a packet, or of one that an error quotes. Offsets are from the start of the frame. */
struct headers6 {
	__u64 src[2]; /* octets as in the packet */
	__u64 dst[2];
	__u32 at;      /* of the header */
	__u32 l4;      /* of the upper-layer header */
	__u32 end;     /* of the packet; in a quote, of what there is of it, with anything behind it */
	__u32 length;  /* octets of the upper layer, by the header */
	__u32 ident;   /* of the fragment header */
	__u32 refused; /* enum reason; 0: none */
	__u32 pointer; /* offset in the packet of the field in error, for an ICMPv6 parameter problem; 0: none */
	__u16 field;   /* fragment offset and IP_FLAG_MF, as IPv4 has them */
	__u8 has_fragment_header;
	__u8 proto; /* IPv6's number */
	__u8 traffic_class;
	__u8 hops;
	__u16 option; /* where the walk through options is */
};

/* Whom a packet is sent to. MTUs in octets, 0: not known. */
struct leave_to {
	__u64 addr[2]; /* the host's; octets as in a packet */
	__u32 mtu4;    /* of the way that errors come in by */
	__u32 mtu6;    /* of the link to the host */
};

/* A packet of IPv4. Offsets are from the start of the frame. */
struct leaving {
	__u64 addresses; /* sum of its pseudo header, as far as IPv6's has something else */
	__u32 src;	 /* host byte order */
	__u32 l4;
	__u32 length; /* octets of the upper layer */
	__u32 sent;   /* the same in the longest packet that leaves: a frame may be of several */
	__u32 total;
	__u16 ident;
	__u16 field; /* fragment offset and IP_FLAG_MF */
	__u8 df;
	__u8 proto;
	__u8 tos;
	__u8 ttl;
	__u8 is_error;
	__u8 pad[3];
};

/* The packet that an error quotes, as it is in packet6.head. */
struct leaving_quote {
	__u32 at; /* offsets in the frame */
	__u32 l4;
	__u32 end;
	__u32 length; /* octets of the upper layer, by the header */
	__u32 field;
};

/* Where the parts of an error are. Offsets in the frame that came, or in made[]. */
struct error_parts {
	__u32 upper;	 /* came: the quoted upper layer */
	__u32 upper_end; /* of what is there of it */
	__u32 expected;	 /* octets of the upper layer by the quoted header */
	__u32 end;	 /* of the error; an extension begins at upper_end */
	__u32 quote;	 /* made: the quote */
	__u32 headers;	 /* octets of its headers */
	__u32 room;	 /* octets that quote and extension may have */
	__u32 unit;	 /* of the length of an extended quote */
	__u32 extended;	 /* whether an extension may follow */
};

/* What has been made: octets. */
struct error_made {
	__u32 upper;	 /* of the quoted upper layer */
	__u32 quote;	 /* of the quote, filled up */
	__u32 extension; /* 0: none */
};

struct packet6 {
	struct headers6 whole;
	struct headers6 quoted; /* of an ICMPv6 error alone */

	/* For enter_packet(), from the caller. Host byte order. */
	__u32 virt;	   /* virtual address of the sender's subscriber */
	__u32 quoted_virt; /* of an error: of the subscriber whom the quoted packet went to */
	__u32 out_addr;	   /* the subscriber's outside address */
	__u32 mtu4;	   /* of the way out, for errors; 0: not known */
	__u32 mtu6;	   /* of the link inside; 0: not known */

	/* What leave_packet() reads of a packet of IPv4, and what an error is made of. Here, to save stack. */
	struct leaving in4;
	struct leaving_quote quote4;
	struct error_parts parts;
	struct error_made pieces;
	struct leave_to to;

	__u8 is_error; /* an ICMPv6 error, whose quote has been read */
	__u8 entered;  /* the packet of this core is IPv4 now, but was IPv6 */
	__u8 pad[2];
	__u32 shift;   /* by how much its start has moved */
	__u32 kept;    /* octets of head[] */
	__u8 align[2]; /* so that IP headers are aligned */
	__u8 head[PACKET6_HEAD + 64];
	__u8 made[PACKET6_MADE]; /* where headers and errors are made */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct packet6);
} packets6 SEC(".maps");

/* The packet of this core: what packet6_read() has read last. */
static __always_inline struct packet6 *packet6_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&packets6, &zero);
}

/* Says that the packet of this core has come as IPv4. */
static __always_inline void packet6_none(void)
{
	struct packet6 *s = packet6_get();

	if (s)
		*(volatile __u8 *)&s->entered = 0;
}

/* Returns 1 if the packet of this core has come as IPv6, and is IPv4 now. */
static __always_inline int packet6_entered(void)
{
	const struct packet6 *s = packet6_get();

	return s && *(const volatile __u8 *)&s->entered;
}

/* Returns 1 if it is an ICMPv6 error. */
static __always_inline int packet6_is_error(void)
{
	const struct packet6 *s = packet6_get();

	return s && *(const volatile __u8 *)&s->is_error;
}

static __always_inline __u32 be32_at(const __u8 *at)
{
	return bpf_ntohl(*(const __be32 *)at);
}

static __always_inline __u32 be16_at(const __u8 *at)
{
	return bpf_ntohs(*(const __be16 *)at);
}

/* Octets at an offset of the frame; up to 64 may be read. The verifier sees the bounds. */
static __always_inline __u8 *head6(struct packet6 *s, __u32 at)
{
	return s->head + (at & (PACKET6_HEAD - 1));
}

struct walk6 {
	struct packet6 *s;
	struct headers6 *h;
	__u32 end;
};

/* Looks at an option of a hop-by-hop header. Returns 1 to end the walk. */
static long option6_step(__u32 i, struct walk6 *w)
{
	volatile struct headers6 *h = w->h;
	__u32 at = h->option;
	const __u8 *option = head6(w->s, at);

	if (at >= w->end)
		return LOOP_END;
	if (option[0] == OPTION6_JUMBO) {
		h->refused = REASON_drop_malformed;
		return LOOP_END;
	}
	h->option = (__u16)(at + (!option[0] || at + 1 == w->end ? 1 : 2 + option[1]));
	return LOOP_ON;
}

/* Reads one extension header. Returns 1 to end the walk. */
static long chain6_step(__u32 i, struct walk6 *w)
{
	volatile struct headers6 *h = w->h;
	__u32 at = h->l4, size = 8;
	__u8 proto = h->proto;
	const __u8 *header = head6(w->s, at);

	if (proto != IPPROTO_HOPOPTS && proto != IPPROTO_ROUTING && proto != IPPROTO_DSTOPTS &&
	    proto != IPPROTO_FRAGMENT)
		return LOOP_END;
	if (h->has_fragment_header) {
		h->refused = REASON_drop_protocol;
		return LOOP_END;
	}
	if (proto != IPPROTO_FRAGMENT)
		size = (header[1] + 1U) * 8;
	if (i >= CHAIN6_HEADERS || at + 8 > h->end || at + size > h->end ||
	    at + size > h->at + sizeof(struct ipv6hdr) + CHAIN6_OCTETS) {
		h->refused = REASON_drop_malformed;
		return LOOP_END;
	}
	if (proto == IPPROTO_FRAGMENT) {
		__u32 field = be16_at(header + 2);

		h->has_fragment_header = 1;
		h->field = (__u16)(field >> 3 | (field & 1 ? IP_FLAG_MF : 0));
		h->ident = be32_at(header + 4);
	} else if (proto == IPPROTO_ROUTING && header[3]) {
		h->pointer = at + 3 - h->at;
		h->refused = REASON_drop_source_route;
		return LOOP_END;
	} else if (proto == IPPROTO_HOPOPTS) {
		h->option = (__u16)(at + 2);
		w->end = at + size;
		bpf_loop(CHAIN6_OCTETS, option6_step, w, 0);
		if (h->refused)
			return LOOP_END;
	}
	h->proto = header[0];
	h->l4 = at + size;
	return LOOP_ON;
}

/* Reads the headers at an offset of the frame, which has octets up to `end` of them. Returns 0, or the reason to drop.
 */
static __always_inline int headers6_read(struct packet6 *s, struct headers6 *h, __u32 at, __u32 end)
{
	const __u8 *ip = head6(s, at);
	struct walk6 w = { .s = s, .h = h };
	__u32 first;

	__builtin_memset(h, 0, sizeof(*h));
	if (at + sizeof(struct ipv6hdr) > end)
		return REASON_drop_malformed;
	first = be32_at(ip);
	if (first >> 28 != 6)
		return REASON_drop_malformed;
	h->traffic_class = (__u8)(first >> 20);
	h->proto = ip[offsetof(struct ipv6hdr, nexthdr)];
	h->hops = ip[offsetof(struct ipv6hdr, hop_limit)];
	__builtin_memcpy(h->src, ip + offsetof(struct ipv6hdr, saddr), sizeof(h->src));
	__builtin_memcpy(h->dst, ip + offsetof(struct ipv6hdr, daddr), sizeof(h->dst));
	h->at = at;
	h->l4 = at + sizeof(struct ipv6hdr);
	h->end = end;
	h->length = h->l4 + be16_at(ip + offsetof(struct ipv6hdr, payload_len)); /* where it ends */
	bpf_loop(CHAIN6_HEADERS + 1, chain6_step, &w, 0);

	volatile struct headers6 *read = h;

	if (read->refused)
		return (int)read->refused;
	if (read->l4 > read->length)
		return REASON_drop_malformed;
	read->length -= read->l4;
	return 0;
}

/* Reads the headers in an ICMPv6 error. Returns 0, or the reason to drop it. */
static __always_inline int quote6_read(struct packet6 *s)
{
	__u32 at = s->whole.l4, end = s->whole.end, quote = at + sizeof(struct icmphdr), length;
	const __u8 *icmp = head6(s, at);

	if (quote > end)
		return REASON_drop_malformed;
	if (icmp[0] < ICMP6_DEST_UNREACH || icmp[0] > ICMP6_PARAMETER)
		return icmp[0] == ICMP6_ECHO || icmp[0] == ICMP6_ECHOREPLY ? 0 : REASON_drop_no_session;
	s->is_error = 1;
	/* The length of the quote in words of 8 octets, if an extension follows it (RFC 4884 section 4). */
	length = icmp[0] == ICMP6_DEST_UNREACH || icmp[0] == ICMP6_TIME_EXCEEDED ? icmp[4] * 8U : 0;
	return headers6_read(s, &s->quoted, quote, length && length < end - quote ? quote + length : end);
}

/*
 * Reads the packet of a frame without VLAN tags whose EtherType is that of IPv6. Returns 0 and fills in *packet6_get(),
 * or returns the reason to drop it; whole.pointer is then where an ICMPv6 parameter problem points, or 0. A packet that
 * is IPv4 in the wrong frame, cut, or a jumbogram is malformed.
 */
SUBPROGRAM int packet6_read(ctx_t *ctx)
{
	struct packet6 *s = packet6_get();
	__u64 length = ctx_length(ctx);
	__u32 end;
	int refused;

	if (!s)
		return REASON_drop_error;
	s->is_error = 0;
	s->entered = 0;
	s->whole.pointer = 0;
	if (length > PACKET6_HEAD)
		length = PACKET6_HEAD;
	barrier_var(length);
	if (length < L3_OFFSET + sizeof(struct ipv6hdr))
		return REASON_drop_malformed;
	s->kept = (__u32)length;
	length = KNOWN_LENGTH(length, PACKET6_HEAD - 1);
	if (ctx_load(ctx, 0, s->head, (__u32)length))
		return REASON_drop_error;
	end = L3_OFFSET + sizeof(struct ipv6hdr) + be16_at(s->head + L3_OFFSET + offsetof(struct ipv6hdr, payload_len));
	if (end > ctx_length(ctx))
		return REASON_drop_malformed;
	refused = headers6_read(s, &s->whole, L3_OFFSET, end);
	if (refused)
		return refused;
	return s->whole.proto == IPPROTO_ICMPV6 && !s->whole.field ? quote6_read(s) : 0;
}

/* Sum of the addresses of a pseudo header. */
static __always_inline __u64 addresses6_sum(const __u64 src[2], const __u64 dst[2])
{
	typedef __be32 __attribute__((may_alias)) word;
	const word *a = (const void *)src, *b = (const void *)dst;

	return (__u64)a[0] + a[1] + a[2] + a[3] + b[0] + b[1] + b[2] + b[3];
}

/* Sum of the rest of a pseudo header of ICMPv6, which IPv4's has nothing of. */
static __always_inline __u64 pseudo6_icmp(__u32 length)
{
	return (__u64)bpf_htonl(length) + bpf_htonl(IPPROTO_ICMPV6);
}

/* An address in a NAT64 prefix. addr: host byte order. */
static __always_inline void nat64_address(const struct record6 *r, __u32 addr, __u64 ret[2])
{
	struct address6 prefix = { be64_number(r->nat64[0]), be64_number(r->nat64[1]) };
	struct address6 a = nat64_embed(&prefix, r->nat64_plen, addr);

	ret[0] = be64_number(a.hi);
	ret[1] = be64_number(a.lo);
}

/* Whether an address is in a NAT64 prefix; octet u must be 0. */
static __always_inline int nat64_has(const struct record6 *r, const __u64 addr[2])
{
	return !(((addr[0] & r->nat64_mask[0]) ^ r->nat64[0]) | ((addr[1] & r->nat64_mask[1]) ^ r->nat64[1]));
}

static __always_inline __u32 nat64_address4(const struct record6 *r, const __u64 addr[2])
{
	struct address6 a = { be64_number(addr[0]), be64_number(addr[1]) };

	return nat64_extract(r->nat64_plen, &a);
}

#endif
