// SPDX-License-Identifier: BSD-2-Clause
/*
 * Captures in the classic format of pcap, of either byte order, with micro- or nanoseconds: Ethernet with VLAN tags,
 * Linux cooked (both versions), raw IP. Packets become flows in a cache of fixed size; a flow that another displaces is
 * passed on, and its next packet begins another, which the planner joins.
 */
#include <detnat/tcp_state.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/cleanup.h"
#include "traffic/reader.h"

#define MAX_PACKET  ((size_t)1 << 18)
#define CACHE_SHIFT 16U

struct cached {
	struct traffic_flow flow; /* proto 0: free */
};

struct source {
	int fd;
	uint8_t *buffer;
	size_t at, end;
	bool swapped, nano;
	uint32_t link;
};

/* At least `size` octets at source.at, if the file has them. Returns 1, 0 at its end, or -errno. */
static int fill(struct source *s, size_t size)
{
	while (s->end - s->at < size) {
		ssize_t n;

		if (s->at) {
			memmove(s->buffer, s->buffer + s->at, s->end - s->at);
			s->end -= s->at;
			s->at = 0;
		}
		n = read(s->fd, s->buffer + s->end, 2 * MAX_PACKET - s->end);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : 0;
		s->end += (size_t)n;
	}
	return 1;
}

static uint32_t u32_of(const struct source *s, const uint8_t *at)
{
	uint32_t n;

	memcpy(&n, at, sizeof(n));
	return s->swapped ? __builtin_bswap32(n) : n;
}

static uint16_t be16_at(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t be32_at(const uint8_t *at)
{
	return (uint32_t)be16_at(at) << 16 | be16_at(at + 2);
}

bool capture_begins(const void *begin, size_t size)
{
	uint32_t magic;

	if (size < 24)
		return false;
	memcpy(&magic, begin, sizeof(magic));
	return magic == 0xa1b2c3d4 || magic == 0xd4c3b2a1 || magic == 0xa1b23c4d || magic == 0x4d3cb2a1;
}

/* The place of the IPv4 header in a packet, or -1. */
static int ip_at(const struct source *s, const uint8_t *p, size_t size)
{
	size_t at;
	uint16_t type;

	switch (s->link) {
	case 1: /* Ethernet */
		at = 12;
		break;
	case 113: /* Linux cooked */
		at = 14;
		break;
	case 276: /* the same, version 2: the type comes first */
		if (size < 20)
			return -1;
		return be16_at(p) == 0x0800 ? 20 : -1;
	case 0: /* BSD loopback */
	case 108:
		return size > 4 && p[4] >> 4 == 4 ? 4 : -1;
	default: /* raw IP */
		return size && p[0] >> 4 == 4 ? 0 : -1;
	}
	while (at + 2 <= size) {
		type = be16_at(p + at);
		at += 2;
		if (type == 0x0800)
			return (int)at;
		if (type != 0x8100 && type != 0x88a8 && type != 0x9100)
			return -1;
		at += 2;
	}
	return -1;
}

static bool link_known(uint32_t link)
{
	return link == 1 || link == 113 || link == 276 || link == 101 || link == 12 || link == 14 || link == 228 ||
	       link == 0 || link == 108;
}

/* Reads a packet into a flow of its own. */
static enum line_is packet_parse(const uint8_t *p, size_t size, struct traffic_flow *f, uint8_t *ret_flags)
{
	size_t header;

	if (size < 20 || p[0] >> 4 != 4)
		return LINE_GARBAGE;
	header = (size_t)(p[0] & 15) * 4;
	if (header < 20)
		return LINE_GARBAGE;
	f->proto = p[9];
	f->src = be32_at(p + 12);
	f->dst = be32_at(p + 16);
	if (f->proto != 1 && f->proto != 6 && f->proto != 17)
		return LINE_OTHER;
	/* Later fragments belong to a session that the first one has opened. */
	if (be16_at(p + 6) & 0x1fff)
		return LINE_SILENT;
	if (size < header + 8)
		return LINE_GARBAGE;
	p += header;
	*ret_flags = 0;
	if (f->proto == 1) {
		if (p[0] != 8)
			return LINE_SILENT;
		f->sport = be16_at(p + 4);
		return LINE_TAKEN;
	}
	f->sport = be16_at(p);
	f->dport = be16_at(p + 2);
	if (f->proto == 6) {
		if (size < header + 14)
			return LINE_GARBAGE;
		*ret_flags = p[13];
	}
	return LINE_TAKEN;
}

static uint32_t place_of(uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport, uint8_t proto)
{
	uint64_t hash = HASH_OF((uint64_t)src << 32 | dst, (uint64_t)sport << 32 | (uint64_t)dport << 8 | proto);

	return (uint32_t)(hash >> (64 - CACHE_SHIFT));
}

static bool is_reverse(const struct traffic_flow *a, const struct traffic_flow *b)
{
	return a->proto == b->proto && a->src == b->dst && a->dst == b->src && a->sport == b->dport &&
	       a->dport == b->sport;
}

static bool is_same(const struct traffic_flow *a, const struct traffic_flow *b)
{
	return a->proto == b->proto && a->src == b->src && a->dst == b->dst && a->sport == b->sport &&
	       a->dport == b->dport;
}

static uint8_t first_state(uint8_t proto, uint8_t flags)
{
	return proto == 6 ? tcp_first_state(flags) : proto == 17 ? SESSION_UDP : SESSION_ICMP;
}

/* Joins a packet to the flows in the cache: to its own, and to that of the other direction as an answer. */
static enum line_is packet_take(struct reading *r, struct cached *cache, const struct traffic_flow *p, uint8_t flags)
{
	struct cached *own = &cache[place_of(p->src, p->dst, p->sport, p->dport, p->proto)];
	struct cached *other = &cache[place_of(p->dst, p->src, p->dport, p->sport, p->proto)];

	if (p->proto == 6 && is_reverse(&other->flow, p))
		other->flow.state = tcp_state_from_outside(other->flow.state, flags);
	if (is_same(&own->flow, p) && !(p->proto == 6 && tcp_reopens(own->flow.state, flags))) {
		own->flow.last_ms = p->first_ms > own->flow.last_ms ? p->first_ms : own->flow.last_ms;
		if (p->proto == 6)
			own->flow.state = tcp_state_from_inside(own->flow.state, flags);
		return LINE_TAKEN;
	}
	if (own->flow.proto && reading_take(r, &own->flow) == LINE_FAILED)
		return LINE_FAILED;
	own->flow = *p;
	own->flow.last_ms = p->first_ms;
	own->flow.state = first_state(p->proto, flags);
	return LINE_TAKEN;
}

static void note_packet(struct reading *r, enum line_is is)
{
	struct traffic_notes *n = r->notes;

	n->other += is == LINE_OTHER;
	if (is != LINE_GARBAGE)
		return;
	if (n->garbage < TRAFFIC_NAMED) {
		n->named[n->garbage].line = n->lines;
		strcpy(n->named[n->garbage].text, "a packet that is malformed or cut off before its ports");
	}
	n->garbage++;
}

/* Reads the packet after its header. 1: another may follow, 0: the file ends, or -errno. */
static int read_packet(struct source *s, struct reading *r, struct cached *cache)
{
	struct traffic_flow f = { 0 };
	uint32_t seconds, fraction, size;
	uint8_t flags = 0;
	enum line_is is;
	int at, full = fill(s, 16);

	if (full <= 0) {
		r->notes->cut |= s->end != s->at;
		return full;
	}
	seconds = u32_of(s, s->buffer + s->at);
	fraction = u32_of(s, s->buffer + s->at + 4);
	size = u32_of(s, s->buffer + s->at + 8);
	if (size > MAX_PACKET - 16)
		return -EBADMSG;
	full = fill(s, 16 + size);
	if (full <= 0) {
		r->notes->cut = true;
		return full;
	}
	f.first_ms = (int64_t)seconds * 1000 + fraction / (s->nano ? 1000000 : 1000);
	r->notes->lines++;
	r->notes->octets += 16 + size;
	at = ip_at(s, s->buffer + s->at + 16, size);
	is = at < 0 ? LINE_OTHER : packet_parse(s->buffer + s->at + 16 + at, size - (size_t)at, &f, &flags);
	if (is == LINE_TAKEN)
		is = packet_take(r, cache, &f, flags);
	s->at += 16 + size;
	note_packet(r, is);
	return is == LINE_FAILED ? r->error : 1;
}

int capture_read(int fd, const void *begin, size_t size, struct reading *r, const char *name, struct error *err)
{
	_cleanup_free_ uint8_t *buffer = malloc(2 * MAX_PACKET);
	_cleanup_free_ struct cached *cache = calloc(1U << CACHE_SHIFT, sizeof(*cache));
	struct source s = { .fd = fd, .buffer = buffer };
	uint32_t magic;
	int more = 1;

	if (!buffer || !cache)
		return error_set(err, -ENOMEM, "out of memory");
	memcpy(buffer, begin, size);
	s.end = size;
	memcpy(&magic, buffer, sizeof(magic));
	s.swapped = magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1;
	s.nano = magic == 0xa1b23c4d || magic == 0x4d3cb2a1;
	s.link = u32_of(&s, buffer + 20) & 0xffff;
	if (!link_known(s.link))
		return error_set(err, -EINVAL,
				 "%s: captured on a link of type %u; read are Ethernet, Linux cooked and raw IP", name,
				 s.link);
	s.at = 24;
	r->notes->format = "a capture";
	while (more > 0)
		more = read_packet(&s, r, cache);
	if (more == -EBADMSG)
		return error_set(err, more, "%s: packet %llu has an impossible length: the file is damaged", name,
				 (unsigned long long)r->notes->lines + 1);
	if (more < 0)
		return r->error ? more : error_set(err, more, "%s: %s", name, strerror(-more));
	for (uint32_t i = 0; i < 1U << CACHE_SHIFT; i++)
		if (cache[i].flow.proto && reading_take(r, &cache[i].flow) == LINE_FAILED)
			return r->error;
	return 0;
}
