/* SPDX-License-Identifier: BSD-2-Clause */
#include "punt/sender.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <detnat/reasons.h>
#include <detnat/transmit.h>

#include "base/ip_checksum.h"
#include "base/log.h"
#include "host/raw_send.h"
#include "host/ring_reader.h"

/* Sized so that a turn takes about a millisecond. */
#define SENT_PER_TURN 128U
#define PAUSE_MS      1

struct transmit {
	const struct datapath *d;
	int socket;		/* for frames */
	struct raw_sockets raw; /* for packets */
	struct ring_reader *ring;
	unsigned lost; /* in this turn: could not be sent */
};

static int send_frame(const struct transmit *t, uint32_t ifindex, const uint8_t *frame, size_t length)
{
	const struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)ifindex, .sll_halen = ETH_ALEN };

	return sendto(t->socket, frame, length, MSG_DONTWAIT, (const struct sockaddr *)&to, sizeof(to)) < 0 ? -errno
													    : 0;
}

/* Whether an interface takes packets without an Ethernet header. */
static bool is_bare(const struct transmit *t, uint32_t ifindex)
{
	return ifindex < MAX_IFINDEX && t->d->device[ifindex].flags & DEVICE_BARE;
}

static int send_one(struct transmit *t, const struct transmission *f, const uint8_t *frame, size_t length)
{
	if (f->kind == TRANSMISSION_PACKET)
		return raw_send(&t->raw, f->ifindex, frame, length);
	if (is_bare(t, f->ifindex) && length > ETH_HLEN)
		return raw_send(&t->raw, f->ifindex, frame + ETH_HLEN, length - ETH_HLEN);
	return send_frame(t, f->ifindex, frame, length);
}

/* header: octets before the IP header. */
static int send_fragments(struct transmit *t, const struct transmission *f, size_t header)
{
	uint8_t frame[TRANSMIT_FRAME_MAX];
	size_t at = 0, length;
	int r = -EMSGSIZE;

	if (f->mtu > sizeof(frame) - ETH_HLEN)
		return r;
	memcpy(frame, f->frame, header);
	while ((length = ip_fragment_next(f->frame + header, f->length - header, f->mtu, &at, frame + header))) {
		r = send_one(t, f, frame, header + length);
		if (r)
			return r;
	}
	return r;
}

static int send_transmission(struct transmit *t, const struct transmission *f)
{
	size_t header = f->kind == TRANSMISSION_PACKET ? 0 : ETH_HLEN;

	if (f->mtu && f->length > header + f->mtu)
		return send_fragments(t, f, header);
	return send_one(t, f, f->frame, f->length);
}

static void on_transmission(void *arg, void *data, size_t size)
{
	const struct transmission *f = data;
	struct transmit *t = arg;

	if (size < offsetof(struct transmission, frame) || size - offsetof(struct transmission, frame) < f->length ||
	    send_transmission(t, f))
		t->lost++;
}

static uint64_t count_lost(void *arg, unsigned taken)
{
	struct transmit *t = arg;

	if (t->lost)
		datapath_count(t->d, REASON_redirect_errors, t->lost);
	t->lost = 0;
	return RING_READER_IDLE;
}

static const struct ring_reader_ops transmissions_ring = {
	.budget = SENT_PER_TURN,
	.pause_ms = PAUSE_MS,
	.sample = on_transmission,
	.turn_ended = count_lost,
};

static int transmit_open(struct transmit *t, struct event_base *base)
{
	/* Of protocol 0: it receives nothing. */
	t->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (t->socket < 0)
		return -errno;
	return ring_reader_new(base, t->d->transmissions, &transmissions_ring, t, &t->ring);
}

int transmit_new(struct event_base *base, const struct datapath *d, struct transmit **ret, struct error *err)
{
	struct transmit *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return error_set(err, -ENOMEM, "out of memory");
	t->d = d;
	t->raw = raw_sockets_none();
	r = transmit_open(t, base);
	if (r) {
		transmit_free(t);
		return error_set(err, r, "cannot prepare to send the frames that XDP cannot send: %s", strerror(-r));
	}
	ring_reader_turn(t->ring);
	*ret = t;
	return 0;
}

void transmit_free(struct transmit *t)
{
	if (!t)
		return;
	ring_reader_free(t->ring);
	close_fd(&t->socket);
	raw_sockets_close(&t->raw);
	free(t);
}

/* Options that later fragments do not carry become no-operations, so that the header keeps its length. */
static void drop_uncopied_options(uint8_t *options, size_t size)
{
	size_t length;

	for (size_t at = 0; at < size && options[at] != IPOPT_END; at += length) {
		length = options[at] == IPOPT_NOP ? 1 : at + 1 < size ? options[at + 1] : 0;
		if (options[at] != IPOPT_NOP && (length < 2 || length > size - at))
			return;
		if (!IPOPT_COPIED(options[at]))
			memset(options + at, IPOPT_NOP, length);
	}
}

static size_t ip4_fragment_next(const uint8_t *packet, size_t size, size_t mtu, size_t *at, uint8_t *ret)
{
	size_t header, payload, room, length;
	struct iphdr ip;
	uint16_t field;

	if (size < sizeof(ip))
		return 0;
	memcpy(&ip, packet, sizeof(ip));
	header = ip.ihl * 4UL;
	if (header < sizeof(ip) || ntohs(ip.tot_len) > size || ntohs(ip.tot_len) <= header || mtu < header + 8)
		return 0;
	payload = ntohs(ip.tot_len) - header;
	if (*at >= payload)
		return 0;
	room = (mtu - header) & ~(size_t)7;
	length = payload - *at <= mtu - header ? payload - *at : room;

	field = ntohs(ip.frag_off);
	field = (uint16_t)((field & ~IP_OFFMASK) | ((field & IP_OFFMASK) + *at / 8));
	if (*at + length < payload)
		field |= IP_MF;
	ip.frag_off = htons(field);
	ip.tot_len = htons((uint16_t)(header + length));
	ip.check = 0;
	memcpy(ret, &ip, sizeof(ip));
	memcpy(ret + sizeof(ip), packet + sizeof(ip), header - sizeof(ip));
	if (*at)
		drop_uncopied_options(ret + sizeof(ip), header - sizeof(ip));
	ip.check = ip_checksum(ret, header);
	memcpy(ret + offsetof(struct iphdr, check), &ip.check, sizeof(ip.check));
	memcpy(ret + header, packet + header + *at, length);
	*at += length;
	return header + length;
}

/* The datapath has put a fragment header into the packet, behind the IPv6 header. */
static size_t ip6_fragment_next(const uint8_t *packet, size_t size, size_t mtu, size_t *at, uint8_t *ret)
{
	struct {
		struct ip6_hdr ip;
		struct ip6_frag f;
	} h;
	size_t payload, length;
	uint16_t field;

	if (size < sizeof(h))
		return 0;
	memcpy(&h, packet, sizeof(h));
	payload = ntohs(h.ip.ip6_plen);
	if (h.ip.ip6_nxt != IPPROTO_FRAGMENT || sizeof(h.ip) + payload > size || payload <= sizeof(h.f) ||
	    mtu < sizeof(h) + 8)
		return 0;
	payload -= sizeof(h.f);
	if (*at >= payload)
		return 0;
	length = payload - *at <= mtu - sizeof(h) ? payload - *at : (mtu - sizeof(h)) & ~(size_t)7;

	field = (uint16_t)(ntohs(h.f.ip6f_offlg) + *at);
	h.f.ip6f_offlg = htons(field);
	if (*at + length < payload)
		h.f.ip6f_offlg |= IP6F_MORE_FRAG;
	h.ip.ip6_plen = htons((uint16_t)(sizeof(h.f) + length));
	memcpy(ret, &h, sizeof(h));
	memcpy(ret + sizeof(h), packet + sizeof(h) + *at, length);
	*at += length;
	return sizeof(h) + length;
}

size_t ip_fragment_next(const uint8_t *packet, size_t size, size_t mtu, size_t *at, uint8_t *ret)
{
	return size && packet[0] >> 4 == 6 ? ip6_fragment_next(packet, size, mtu, at, ret)
					   : ip4_fragment_next(packet, size, mtu, at, ret);
}
