/* SPDX-License-Identifier: BSD-2-Clause */
#include "punt/unsolicited_tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>

#include "base/hash.h"
#include "base/ip_checksum.h"
#include "base/log.h"
#include "datapath/held.h"
#include "host/raw_send.h"
#include "host/ring_reader.h"

#define WAIT_NS (UNSOLICITED_WAIT * NS_PER_S)

#define PAUSE_MS 2
/* SYNs taken from the ring buffer and waits ended in a turn, so that it takes about a millisecond. */
#define TAKEN_PER_TURN 128U
#define ENDED_PER_TURN 64U

struct waiting {
	struct hash_entry entry;
	STAILQ_ENTRY(waiting) by_age;
	struct unsolicited_syn syn;
};

STAILQ_HEAD(waiting_queue, waiting);

struct unsolicited {
	const struct datapath *d;
	struct raw_sockets sockets;
	bool warned;
	struct ring_reader *ring;
	struct waiting_queue queue; /* oldest first */
	struct hash_table by_endpoints;
	uint64_t now_ns;    /* CLOCK_MONOTONIC, of this turn */
	uint64_t second_ns; /* start of the second in which n_sent are counted */
	uint32_t n_sent;
};

static uint64_t hash(const void *entry)
{
	const struct session_question *q = &((const struct waiting *)entry)->syn.of;

	return HASH_OF((uint64_t)q->ext_addr << 32 | q->out_addr, (uint64_t)q->ext_port << 16 | q->out_port);
}

static bool same(const void *a, const void *b)
{
	const struct waiting *x = a, *y = b;

	return !memcmp(&x->syn.of, &y->syn.of, sizeof(x->syn.of));
}

static const struct hash_type waiting_syns = { sizeof(struct waiting), UNSOLICITED_WAITING, hash, same };

static void take(struct unsolicited *u, const struct unsolicited_syn *s)
{
	const struct waiting arrived = { .syn = *s };
	struct waiting *w;

	/* A SYN that lay in the ring buffer while no agent was running: its sender has given up or retries. */
	if (u->d->settings.unsolicited_tcp != UNSOLICITED_ANSWER || s->time_ns + WAIT_NS <= u->now_ns)
		return;
	if (hash_find(&waiting_syns, &u->by_endpoints, &arrived))
		return;
	w = hash_add(&waiting_syns, &u->by_endpoints, &arrived);
	if (w)
		STAILQ_INSERT_TAIL(&u->queue, w, by_age);
}

static bool may_send(struct unsolicited *u)
{
	if (u->now_ns - u->second_ns >= NS_PER_S) {
		u->second_ns = u->now_ns;
		u->n_sent = 0;
	}
	return u->n_sent < UNSOLICITED_PER_SECOND;
}

static int answer_send(struct unsolicited *u, const struct unsolicited_syn *s, const struct device *in)
{
	uint8_t packet[UNSOLICITED_ANSWER_MAX];
	size_t length = unsolicited_answer(s, in->addr, packet);

	/* Routed by the VRF that the SYN came in through. */
	return raw_send(&u->sockets, in->vrf, packet, length);
}

static void end_wait(struct unsolicited *u, const struct unsolicited_syn *s)
{
	const struct device *in = s->ifindex < MAX_IFINDEX ? &u->d->device[s->ifindex] : NULL;
	int r;

	if (u->d->settings.unsolicited_tcp != UNSOLICITED_ANSWER || !in || !in->roles || !in->addr)
		return;
	if (datapath_session_held(u->d, &s->of))
		return;
	if (!may_send(u)) {
		datapath_count(u->d, REASON_icmp_withheld, 1);
		return;
	}
	r = answer_send(u, s, in);
	if (!r) {
		u->n_sent++;
		datapath_count(u->d, REASON_sent_icmp_port, 1);
	} else if (!u->warned && (r == -EPERM || r == -EACCES)) {
		u->warned = true;
		log_warning("SYNs from outside cannot be answered: %s", strerror(-r));
	}
}

static bool is_over(const struct unsolicited *u, const struct waiting *w)
{
	return w && w->syn.time_ns + WAIT_NS <= u->now_ns;
}

static void end_waits(struct unsolicited *u)
{
	for (unsigned n = 0; n < ENDED_PER_TURN && is_over(u, STAILQ_FIRST(&u->queue)); n++) {
		struct waiting *w = STAILQ_FIRST(&u->queue);

		end_wait(u, &w->syn);
		STAILQ_REMOVE_HEAD(&u->queue, by_age);
		hash_del(&waiting_syns, &u->by_endpoints, w);
	}
}

static void begin_turn(void *arg)
{
	struct unsolicited *u = arg;

	u->now_ns = clock_ns(CLOCK_MONOTONIC);
}

static void on_syn(void *arg, void *data, size_t size)
{
	const struct unsolicited_syn *s = data;

	if (size >= sizeof(*s) && s->length >= UNSOLICITED_QUOTE_MIN && s->length <= UNSOLICITED_QUOTE_MAX)
		take(arg, s);
}

static uint64_t end_turn(void *arg, unsigned taken)
{
	struct unsolicited *u = arg;
	const struct waiting *w;

	end_waits(u);
	w = STAILQ_FIRST(&u->queue);
	if (!w)
		return RING_READER_IDLE;
	return is_over(u, w) ? 0 : (w->syn.time_ns + WAIT_NS - u->now_ns) / NS_PER_MS + 1;
}

static const struct ring_reader_ops syns_ring = {
	.budget = TAKEN_PER_TURN,
	.pause_ms = PAUSE_MS,
	.turn_begins = begin_turn,
	.sample = on_syn,
	.turn_ended = end_turn,
};

int unsolicited_new(struct event_base *base, const struct datapath *d, struct unsolicited **ret, struct error *err)
{
	struct unsolicited *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return error_set(err, -ENOMEM, "out of memory");
	u->d = d;
	u->sockets = raw_sockets_none();
	STAILQ_INIT(&u->queue);
	r = ring_reader_new(base, d->unsolicited_syns, &syns_ring, u, &u->ring);
	if (r) {
		unsolicited_free(u);
		return error_set(err, r, "cannot take SYNs from outside: %s", strerror(-r));
	}
	ring_reader_turn(u->ring);
	*ret = u;
	return 0;
}

void unsolicited_free(struct unsolicited *u)
{
	if (!u)
		return;
	hash_free(&u->by_endpoints);
	ring_reader_free(u->ring);
	raw_sockets_close(&u->sockets);
	free(u);
}

size_t unsolicited_answer(const struct unsolicited_syn *s, uint32_t from, uint8_t packet[UNSOLICITED_ANSWER_MAX])
{
	size_t quote = s->length < UNSOLICITED_QUOTE_MAX ? s->length : UNSOLICITED_QUOTE_MAX;
	size_t length = sizeof(struct iphdr) + sizeof(struct icmphdr) + quote;
	const struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tos = 0xc0, /* internetwork control (RFC 1812 section 4.3.2.5) */
		.tot_len = htons((uint16_t)length),
		.frag_off = htons(IP_DF),
		.ttl = 64,
		.protocol = IPPROTO_ICMP,
		.saddr = htonl(from),
		.daddr = htonl(s->of.ext_addr),
	};
	struct icmphdr icmp = { .type = ICMP_DEST_UNREACH, .code = ICMP_PORT_UNREACH };
	uint8_t *message = packet + sizeof(ip);

	memcpy(packet, &ip, sizeof(ip));
	memcpy(message, &icmp, sizeof(icmp));
	memcpy(message + sizeof(icmp), s->packet, quote);
	icmp.checksum = ip_checksum(message, sizeof(icmp) + quote);
	memcpy(message, &icmp, sizeof(icmp));
	return length;
}
