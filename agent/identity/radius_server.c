/* SPDX-License-Identifier: BSD-2-Clause */
#include "identity/radius_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/hash.h"
#include "base/log.h"
#include "identity/radius_forward.h"
#include "identity/seen_requests.h"

#define RECEIVE_BUFFER (8 << 20)
#define PER_TURN       64U
/* One octet more, so that longer packets show. */
#define PACKET_ROOM (RADIUS_MAX + 1)
/* Forged packets are logged so often. */
#define FORGED_LOG_US 60000000ULL

/* A request whose lines are on their way to the disk. */
struct waiting {
	struct sockaddr_in from;
	uint64_t key;
	uint64_t received_us;
	size_t size;
	uint8_t *packet;
};

/* Room for the packets of a turn. */
struct turn {
	struct mmsghdr message[PER_TURN];
	struct iovec iov[PER_TURN];
	struct sockaddr_in from[PER_TURN];
	union {
		struct cmsghdr header;
		uint8_t octet[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(uint32_t))];
	} control[PER_TURN];
	uint8_t packet[PER_TURN][PACKET_ROOM];
};

struct radius_server {
	struct config_lease_source rules;
	struct radius_secret secret;
	int fd; /* -1: none yet */
	struct radius_forward *forward;
	struct seen_requests seen;
	struct waiting waiting[RADIUS_WAITING];
	unsigned n_waiting;
	struct turn turn;
	uint32_t dropped; /* as the socket counts */
	int64_t heard;	  /* when the last packet was received */
	uint64_t forged_us;
	struct forward_figures ended; /* of forwarding with an earlier secret */
};

int radius_server_new(const struct config_lease_source *rules, struct radius_server **ret)
{
	struct radius_server *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->rules = *rules;
	s->fd = -1;
	s->heard = TIME_NONE;
	*ret = s;
	return 0;
}

void radius_server_free(struct radius_server *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->n_waiting; i++)
		free(s->waiting[i].packet);
	radius_forward_free(s->forward);
	seen_free(&s->seen);
	close_fd(&s->fd);
	explicit_bzero(&s->secret, sizeof(s->secret));
	free(s);
}

void radius_server_go_on(struct radius_server *s, const struct config_lease_source *rules)
{
	s->rules = *rules;
}

const struct config_lease_source *radius_server_rules(const struct radius_server *s)
{
	return &s->rules;
}

int radius_socket(struct endpoint listen)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const struct sockaddr_in at = { .sin_family = AF_INET,
					.sin_port = htons(listen.port),
					.sin_addr.s_addr = htonl(listen.addr) };
	const int on = 1, size = RECEIVE_BUFFER;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on)) ||
	    bind(fd, (const struct sockaddr *)&at, sizeof(at)))
		return -errno;
	/* Room for what comes while the disk is busy; without it, senders repeat more. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		log_debug("the receive buffer of RADIUS keeps its size: %s", strerror(errno));
	return take_fd(fd);
}

static bool same_secret(const struct radius_secret *a, const struct radius_secret *b)
{
	return a->size == b->size && !memcmp(a->octet, b->octet, a->size);
}

/* Keeps the counts of a forwarder that gives way to another. */
static void end_forward(struct radius_server *s)
{
	struct forward_figures f = radius_forward_figures(s->forward);

	s->ended.answered += f.answered;
	s->ended.lost += f.lost + f.waiting;
	radius_forward_free(s->forward);
	s->forward = NULL;
}

int radius_server_equip(struct radius_server *s, int fd, const struct radius_secret *secret)
{
	if (fd >= 0) {
		close_fd(&s->fd);
		s->fd = fd;
		s->dropped = 0;
	}
	if (s->forward && !same_secret(&s->secret, secret))
		end_forward(s);
	s->secret = *secret;
	if (s->fd < 0 || !s->rules.forward.port || s->forward)
		return 0;
	return radius_forward_new(s->rules.listen.addr, s->rules.forward, secret, &s->forward);
}

int radius_server_yield(struct radius_server *s)
{
	int fd = s->fd;

	s->fd = -1;
	return fd;
}

bool radius_server_bound(const struct radius_server *s)
{
	return s->fd >= 0;
}

bool radius_server_ready(const struct radius_server *s)
{
	return s->fd >= 0 && s->secret.size && (!s->rules.forward.port || s->forward);
}

int radius_server_fd(const struct radius_server *s)
{
	return radius_server_ready(s) && s->n_waiting < RADIUS_WAITING ? s->fd : -1;
}

int radius_server_forward_fd(const struct radius_server *s)
{
	return s->forward ? radius_forward_fd(s->forward) : -1;
}

static uint64_t key_of(const struct sockaddr_in *from, const uint8_t *packet)
{
	uint64_t words[3] = { (uint64_t)from->sin_addr.s_addr << 32 | (uint32_t)from->sin_port << 8 | packet[1] };

	memcpy(words + 1, packet + 4, RADIUS_AUTHENTICATOR);
	return hash_words(words, ARRAY_SIZE(words));
}

static void answer(const struct radius_server *s, const struct sockaddr_in *to, const uint8_t *packet, size_t size,
		   struct identity_figures *f)
{
	uint8_t response[RADIUS_MAX];
	size_t n;

	if (s->rules.passive)
		return;
	n = radius_answer(packet, size, &s->secret, response);
	/* What the socket does not take is asked for again. */
	if (sendto(s->fd, response, n, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)to, sizeof(*to)) > 0)
		f->answers++;
}

static void tell_forged(struct radius_server *s, const struct sockaddr_in *from, struct identity_figures *f)
{
	char text[ADDR_TEXT];
	uint64_t now_us = monotonic_us();

	f->forged++;
	if (s->forged_us && now_us - s->forged_us < FORGED_LOG_US)
		return;
	s->forged_us = now_us;
	log_warning("leases: a RADIUS request of %s has a wrong authenticator: it is forged, or its secret is not that "
		    "of %s",
		    addr_format(ntohl(from->sin_addr.s_addr), text), s->rules.secret_file);
}

/* Adds a request's lines to the group. False: it cannot be taken now. */
static bool add_lines(const struct sockaddr_in *from, const uint8_t *packet, size_t size, int64_t received,
		      struct lease_writer *w, struct identity_figures *f)
{
	char server[ADDR_TEXT];
	struct accounting a;
	unsigned n = 0;
	int r;

	if (packet[0] != RADIUS_ACCOUNTING_REQUEST)
		return true;
	radius_read(packet, size, addr_format(ntohl(from->sin_addr.s_addr), server), &a);
	r = accounting_lines(&a, received, lease_writer_add, w, &n);
	f->idle += !r && !n;
	return !r;
}

/* False: there is no memory. The lines are written all the same, and the sender tries again. */
static bool wait_for_disk(struct radius_server *s, const struct sockaddr_in *from, const uint8_t *packet, size_t size,
			  uint64_t key, uint64_t now_us)
{
	uint8_t *copy = malloc(size);

	if (!copy)
		return false;
	memcpy(copy, packet, size);
	s->waiting[s->n_waiting++] = (struct waiting){ *from, key, now_us, size, copy };
	seen_note(&s->seen, key, now_us, false);
	return true;
}

static void take_request(struct radius_server *s, const struct sockaddr_in *from, const uint8_t *packet, size_t size,
			 int64_t received, struct lease_writer *w, struct identity_figures *f)
{
	uint64_t now_us = monotonic_us(), key = key_of(from, packet);
	enum seen seen = seen_ask(&s->seen, key, now_us);

	if (seen != SEEN_NOT) {
		f->repeated++;
		if (seen == SEEN_ANSWERED)
			answer(s, from, packet, size, f);
		return;
	}
	if (s->n_waiting < RADIUS_WAITING && add_lines(from, packet, size, received, w, f) &&
	    wait_for_disk(s, from, packet, size, key, now_us)) {
		f->requests++;
		return;
	}
	f->refused++;
	lease_writer_lose(w, received);
}

static void take_packet(struct radius_server *s, const struct sockaddr_in *from, const uint8_t *packet, size_t size,
			int64_t received, struct lease_writer *w, struct identity_figures *f)
{
	if (!radius_sound(packet, size, &size) ||
	    (packet[0] != RADIUS_ACCOUNTING_REQUEST && packet[0] != RADIUS_STATUS_SERVER))
		f->malformed++;
	else if (!radius_request_genuine(packet, size, &s->secret))
		tell_forged(s, from, f);
	else
		take_request(s, from, packet, size, received, w, f);
}

/* When the kernel received a packet, and how many it had to drop by then. */
static int64_t read_control(struct msghdr *m, uint32_t *dropped)
{
	struct timespec t = { .tv_sec = 0 };

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_TIMESTAMPNS)
			memcpy(&t, CMSG_DATA(c), sizeof(t));
		else if (c->cmsg_type == SO_RXQ_OVFL)
			memcpy(dropped, CMSG_DATA(c), sizeof(*dropped));
	}
	return t.tv_sec ? t.tv_sec : time(NULL);
}

static void note_dropped(struct radius_server *s, uint32_t dropped, int64_t received, struct lease_writer *w,
			 struct identity_figures *f)
{
	if (dropped != s->dropped) {
		f->dropped += dropped - s->dropped;
		lease_writer_lose(w, s->heard == TIME_NONE ? received : s->heard);
	}
	s->dropped = dropped;
	s->heard = received;
}

static void prepare(struct turn *t)
{
	for (unsigned i = 0; i < PER_TURN; i++) {
		t->iov[i] = (struct iovec){ t->packet[i], PACKET_ROOM };
		t->message[i].msg_hdr = (struct msghdr){
			.msg_name = &t->from[i],
			.msg_namelen = sizeof(t->from[i]),
			.msg_iov = &t->iov[i],
			.msg_iovlen = 1,
			.msg_control = t->control[i].octet,
			.msg_controllen = sizeof(t->control[i]),
		};
	}
}

bool radius_server_receive(struct radius_server *s, struct lease_writer *w, struct identity_figures *f)
{
	struct turn *t = &s->turn;
	int n;

	prepare(t);
	n = recvmmsg(s->fd, t->message, PER_TURN, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		uint32_t dropped = s->dropped;
		int64_t received = read_control(&t->message[i].msg_hdr, &dropped);

		note_dropped(s, dropped, received, w, f);
		take_packet(s, &t->from[i], t->packet[i], t->message[i].msg_len, received, w, f);
	}
	return n == (int)PER_TURN;
}

void radius_server_written(struct radius_server *s, struct identity_figures *f)
{
	uint64_t now_us = monotonic_us();

	for (unsigned i = 0; i < s->n_waiting; i++) {
		struct waiting *x = &s->waiting[i];

		answer(s, &x->from, x->packet, x->size, f);
		seen_note(&s->seen, x->key, now_us, true);
		if (s->forward && x->packet[0] == RADIUS_ACCOUNTING_REQUEST)
			radius_forward_put(s->forward, x->packet, x->size, x->received_us);
		free(x->packet);
	}
	s->n_waiting = 0;
}

void radius_server_work(struct radius_server *s, uint64_t now_us)
{
	if (s->forward)
		radius_forward_work(s->forward, now_us);
}

uint64_t radius_server_due(const struct radius_server *s)
{
	return s->forward ? radius_forward_due(s->forward) : UINT64_MAX;
}

bool radius_server_stalled(const struct radius_server *s, uint64_t now_us)
{
	return s->forward && radius_forward_stalled(s->forward, now_us);
}

void radius_server_add_figures(const struct radius_server *s, struct identity_figures *f)
{
	struct forward_figures own = { 0 };

	if (s->forward)
		own = radius_forward_figures(s->forward);
	f->forwarded += s->ended.answered + own.answered;
	f->forward_lost += s->ended.lost + own.lost;
	f->forward_waiting += own.waiting;
}
