/* SPDX-License-Identifier: BSD-2-Clause */
#include "punt/sender.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <detnat/reasons.h>
#include <detnat/transmit.h>

#include "punt/ip_fragments.h"
#include "base/log.h"
#include "host/raw_send.h"

/* Of a turn, so that it stays about a millisecond; between turns where there is more to send. */
#define SENT_PER_TURN 128U
#define TURN_MS	      1

struct transmit {
	const struct datapath *d;
	int socket;	/* for frames */
	int raw_socket; /* for packets; -1 before the first */
	struct ring_buffer *ring;
	struct event *readable;
	struct event *turn;
	unsigned sent; /* in this turn */
	unsigned lost; /* of them, those that could not be sent */
};

static int send_frame(const struct transmit *t, uint32_t ifindex, const uint8_t *frame, size_t length)
{
	const struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)ifindex, .sll_halen = ETH_ALEN };

	return sendto(t->socket, frame, length, MSG_DONTWAIT, (const struct sockaddr *)&to, sizeof(to)) < 0 ? -errno
													    : 0;
}

static int send_fragments(const struct transmit *t, const struct transmission *f)
{
	uint8_t frame[TRANSMIT_FRAME_MAX];
	size_t at = 0, length;
	int r = -EMSGSIZE;

	if (f->mtu > sizeof(frame) - ETH_HLEN)
		return r;
	memcpy(frame, f->frame, ETH_HLEN);
	while ((length = ip_fragment_next(f->frame + ETH_HLEN, f->length - ETH_HLEN, f->mtu, &at, frame + ETH_HLEN))) {
		r = send_frame(t, f->ifindex, frame, ETH_HLEN + length);
		if (r)
			return r;
	}
	return r;
}

static int send_transmission(struct transmit *t, const struct transmission *f)
{
	if (f->kind == TRANSMISSION_PACKET)
		return raw_send(&t->raw_socket, f->ifindex, f->frame, f->length);
	if (f->mtu && f->length > ETH_HLEN + f->mtu)
		return send_fragments(t, f);
	return send_frame(t, f->ifindex, f->frame, f->length);
}

static int on_transmission(void *arg, void *data, size_t size)
{
	const struct transmission *f = data;
	struct transmit *t = arg;

	if (size < offsetof(struct transmission, frame) || size - offsetof(struct transmission, frame) < f->length ||
	    send_transmission(t, f))
		t->lost++;
	return ++t->sent < SENT_PER_TURN ? 0 : -ECANCELED;
}

/* A flood is sent no faster than this, and the loop serves others in between. */
static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval again = { .tv_usec = TURN_MS * 1000 };
	struct transmit *t = arg;

	t->sent = t->lost = 0;
	ring_buffer__consume(t->ring);
	if (t->lost)
		datapath_count(t->d, REASON_redirect_errors, t->lost);
	if (t->sent)
		evtimer_add(t->turn, &again);
	else
		event_add(t->readable, NULL);
}

static int transmit_open(struct transmit *t, struct event_base *base)
{
	/* Of protocol 0: it receives nothing. */
	t->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (t->socket < 0)
		return -errno;
	errno = 0;
	t->ring = ring_buffer__new(t->d->transmissions, on_transmission, t, NULL);
	if (!t->ring)
		return errno_or(ENOMEM);
	/* A turn adds it again when there is nothing left to send. */
	t->readable = event_new(base, ring_buffer__epoll_fd(t->ring), EV_READ, on_turn, t);
	t->turn = evtimer_new(base, on_turn, t);
	return t->readable && t->turn ? 0 : -ENOMEM;
}

int transmit_new(struct event_base *base, const struct datapath *d, struct transmit **ret, struct error *err)
{
	struct transmit *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return error_set(err, -ENOMEM, "out of memory");
	t->d = d;
	t->raw_socket = -1;
	r = transmit_open(t, base);
	if (r) {
		transmit_free(t);
		return error_set(err, r, "frames that XDP cannot send cannot be sent: %s", strerror(-r));
	}
	on_turn(-1, 0, t);
	*ret = t;
	return 0;
}

void transmit_free(struct transmit *t)
{
	if (!t)
		return;
	if (t->readable)
		event_free(t->readable);
	if (t->turn)
		event_free(t->turn);
	ring_buffer__free(t->ring);
	close_fd(&t->socket);
	close_fd(&t->raw_socket);
	free(t);
}
