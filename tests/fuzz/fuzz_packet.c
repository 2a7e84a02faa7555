// SPDX-License-Identifier: BSD-2-Clause
/*
 * Frames of any octets, by the datapath's own parser, option walker and rewriting, compiled for user space. The frame
 * ends where memory does, so that a read behind it is a fault; a rewriting keeps what the checksums add up to.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/ctx_xdp.h"

#include "base/count.h"
#include "packet/frame_sum.h"
#include "icmp/icmp_quote.h"
#include "packet/ip_options.h"
#include "translate/mss.h"
#include "translate/rewrite.h"

#define ROOM 65536U
#define MSS  1000
/* What an endpoint becomes. */
#define NEW_ADDR 0xcb007103U
#define NEW_PORT 40000U

static const struct option_kinds mss = { { 1 << 2 } };

/* A place that ends just before memory that nobody may touch, below 4 GiB. */
static uint8_t *frame_room(void)
{
	static uint8_t *room;

	if (!room) {
		room = mmap(NULL, ROOM + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
		if (room == MAP_FAILED || mprotect(room + ROOM, 4096, PROT_NONE))
			abort();
	}
	return room;
}

/* What header and transport add up to, checksums included: 0xffff where they are right. */
static uint32_t residue(ctx_t *ctx, const struct packet *p)
{
	struct iphdr *ip = ctx_data(ctx) + L3_OFFSET;
	__u64 sum = frame_sum(ctx, p->l4_offset, L3_OFFSET + p->length);
	__u32 header = csum_fold(frame_sum(ctx, L3_OFFSET, p->l4_offset)) % 0xffff;

	if (sum == FRAME_SUM_FAILED)
		abort();
	if (p->proto != IPPROTO_ICMP)
		sum += (__u64)ip->saddr + ip->daddr;
	return header << 16 | csum_fold(sum) % 0xffff;
}

/* Replaces one endpoint of a packet. */
static void replace(struct rewrite *w, int source)
{
	if (source) {
		w->src = NEW_ADDR;
		w->sport = NEW_PORT;
	} else {
		w->dst = NEW_ADDR;
		w->dport = NEW_PORT;
	}
}

static void check_rewriting(ctx_t *ctx, const struct packet *p, int source)
{
	struct rewrite w = rewrite_of(p);
	struct udphdr *udp = ctx_data(ctx) + p->l4_offset;
	int unsummed = p->proto == IPPROTO_UDP && !udp->check;
	uint32_t before = residue(ctx, p), after;
	struct packet again;

	replace(&w, source);
	if (rewrite(ctx, p, PACKET_SESSION, &w, 1))
		abort();
	after = residue(ctx, p);
	if (unsummed ? udp->check || (before ^ after) >> 16 : before != after)
		abort();
	if (parse(ctx, &again) != PACKET_SESSION || again.src != w.src || again.dst != w.dst)
		abort();
	if (p->proto != IPPROTO_ICMP && (again.sport != w.sport || again.dport != w.dport))
		abort();
}

/* An ICMP error, its quote with it, gets other addresses: what its checksums add up to stays. */
static void check_quote(ctx_t *ctx, const struct packet *p, __u8 echo_type)
{
	struct rewrite to = rewrite_of(p), quoted;
	enum quote_kind kind;
	struct icmp_quote q;
	uint32_t before;
	__u64 sum = 0;

	kind = quote_parse(ctx, p, echo_type, &q);
	if (kind == QUOTE_MALFORMED || kind == QUOTE_OTHER)
		return;
	if (q.l3_offset != p->l4_offset + sizeof(struct icmphdr) || q.l4_offset < q.l3_offset + 20 ||
	    q.l4_offset > q.l3_offset + 60 || q.l4_offset > q.end || q.end > L3_OFFSET + p->length ||
	    (kind == QUOTE_SESSION && q.l4_offset + QUOTED_TRANSPORT > L3_OFFSET + p->length))
		abort();
	quote_options_refusal(ctx, &q);
	icmp_checksum_holds(ctx, p);
	before = residue(ctx, p);
	quoted = rewrite_of_quote(&q);
	replace(&quoted, echo_type == ICMP_ECHO);
	to.src = 0xc6336407;
	to.dst = NEW_ADDR;
	if (quote_rewrite(ctx, &q, &quoted, &sum) || icmp_header_rewrite(ctx, p, &to, sum, 0))
		abort();
	if (residue(ctx, p) != before || quote_parse(ctx, p, echo_type, &q) != kind || q.reply.dst != quoted.src ||
	    q.reply.src != quoted.dst)
		abort();
}

/* A SYN whose MSS is lowered adds up to what it did. */
static void check_clamping(ctx_t *ctx, const struct packet *p, unsigned words)
{
	uint32_t before = residue(ctx, p);
	struct options *o;

	mss_clamp(ctx, p, 0);
	if (residue(ctx, p) != before)
		abort();
	if (options_find(ctx, p->l4_offset + 20, words * 4 - 20, &mss, &o) != OPTIONS_FOUND || o->octet[o->at + 1] != 4)
		return;
	if ((o->octet[o->at + 2] << 8 | o->octet[o->at + 3]) > MSS)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Settings are what an agent writes before it loads the programs, and constant from then on. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct settings *s = (struct settings *)(uintptr_t)&settings;
	uintptr_t page = (uintptr_t)s & ~4095UL;

	if (mprotect((void *)page, ((uintptr_t)(s + 1) - page + 4095) & ~4095UL, PROT_READ | PROT_WRITE))
		abort();
	/* A store to a constant is left out where the compiler knows that it is one. */
	barrier_var(s);
	s->tcp_mss_clamp = MSS;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *end = frame_room() + ROOM, *frame;
	struct xdp_md ctx = { 0 };
	struct options *o;
	struct packet p;

	if (size > ROOM)
		return 0;
	frame = end - size;
	memcpy(frame, data, size);
	ctx.data = (__u32)(uintptr_t)frame;
	ctx.data_end = (__u32)(uintptr_t)end;

	enum packet_kind kind = parse(&ctx, &p);

	if (kind == PACKET_NOT_IPV4 || kind == PACKET_BAD_HEADER)
		return 0;
	if (p.l4_offset < L3_OFFSET + 20 || p.l4_offset > L3_OFFSET + 60 || p.l4_offset > L3_OFFSET + p.length ||
	    L3_OFFSET + p.length > size)
		abort();
	options_refusal(&ctx, &p);
	if (kind == PACKET_ICMP_OTHER && is_icmp_error(&p)) {
		check_quote(&ctx, &p, ICMP_ECHO);
		check_quote(&ctx, &p, ICMP_ECHOREPLY);
	}
	if (kind != PACKET_SESSION)
		return 0;
	if (p.proto == IPPROTO_TCP &&
	    options_find(&ctx, p.l4_offset + 20, (frame[p.l4_offset + 12] >> 4) * 4U - 20, &mss, &o) == OPTIONS_FOUND &&
	    o->at + o->octet[o->at + 1] > 40)
		abort();
	if (p.fragment)
		return 0;
	if (p.proto == IPPROTO_TCP && p.flags & TCP_SYN)
		check_clamping(&ctx, &p, frame[p.l4_offset + 12] >> 4);
	check_rewriting(&ctx, &p, 1);
	check_rewriting(&ctx, &p, 0);
	return 0;
}
