/* SPDX-License-Identifier: BSD-2-Clause */
#include "punt/unsolicited_tcp.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include "base/log.h"
#include "host/raw_send.h"

#define WAIT_NS (UNSOLICITED_WAIT * NS_PER_S)

/* Between turns where there is more to take or to send. */
#define TURN_MS 2
/* Of a turn, so that it stays about a millisecond: SYNs taken, and SYNs whose wait ends. */
#define TAKEN_PER_TURN 128U
#define ENDED_PER_TURN 64U

#define PLACES_SHIFT 13U /* lists of what waits, by endpoints */

struct waiting {
	STAILQ_ENTRY(waiting) by_age;
	LIST_ENTRY(waiting) by_endpoints;
	struct unsolicited_syn syn;
};

STAILQ_HEAD(waiting_queue, waiting);
LIST_HEAD(waiting_list, waiting);

struct unsolicited {
	const struct datapath *d;
	int socket; /* -1 until the first answer */
	bool warned;
	struct ring_buffer *ring;
	struct event *readable;
	struct event *turn;
	struct waiting_queue queue; /* oldest first */
	struct waiting_list places[1U << PLACES_SHIFT];
	uint64_t seed[4]; /* of the hash, as strangers choose what is hashed */
	uint32_t n;
	unsigned taken;	    /* in this turn */
	uint64_t now_ns;    /* CLOCK_MONOTONIC, of this turn */
	uint64_t second_ns; /* when the second began whose answers are counted */
	uint32_t n_sent;    /* in that second */
};

/* ---- what waits ---------------------------------------------------------------------------------------------------
 */

/* Multiply-shift over three words: whoever does not know the seed finds no two endpoints that clash more than others.
 */
static struct waiting_list *place_of(struct unsolicited *u, const struct session_question *q)
{
	uint64_t hash = u->seed[0] + u->seed[1] * q->ext_addr + u->seed[2] * q->out_addr +
			u->seed[3] * ((uint32_t)q->ext_port << 16 | q->out_port);

	return &u->places[hash >> (64 - PLACES_SHIFT)];
}

static void take(struct unsolicited *u, const struct unsolicited_syn *s)
{
	struct waiting_list *place = place_of(u, &s->of);
	struct waiting *w;

	/* It lay in the ring buffer while there was no agent: its sender has given up, or tries again. */
	if (u->d->settings.unsolicited_tcp != UNSOLICITED_ANSWER || s->time_ns + WAIT_NS <= u->now_ns)
		return;
	LIST_FOREACH(w, place, by_endpoints)
	{
		if (!memcmp(&w->syn.of, &s->of, sizeof(s->of)))
			return;
	}
	w = u->n < UNSOLICITED_WAITING ? malloc(sizeof(*w)) : NULL;
	if (!w)
		return;
	w->syn = *s;
	STAILQ_INSERT_TAIL(&u->queue, w, by_age);
	LIST_INSERT_HEAD(place, w, by_endpoints);
	u->n++;
}

static struct waiting *oldest_off(struct unsolicited *u)
{
	struct waiting *w = STAILQ_FIRST(&u->queue);

	STAILQ_REMOVE_HEAD(&u->queue, by_age);
	LIST_REMOVE(w, by_endpoints);
	u->n--;
	return w;
}

/* ---- the end of a wait --------------------------------------------------------------------------------------------
 */

/* Whether the session is there by now; where that cannot be asked, nobody is told that it is not. */
static bool is_held(const struct unsolicited *u, const struct session_question *of)
{
	struct session_question question = *of;
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &question, .ctx_size_in = sizeof(question));

	return bpf_prog_test_run_opts(u->d->session_held, &run) || run.retval;
}

static bool may_send(struct unsolicited *u)
{
	if (u->now_ns - u->second_ns >= NS_PER_S) {
		u->second_ns = u->now_ns;
		u->n_sent = 0;
	}
	return u->n_sent < UNSOLICITED_PER_SECOND;
}

static int answer_send(struct unsolicited *u, const struct unsolicited_syn *s, uint32_t from)
{
	uint8_t packet[UNSOLICITED_ANSWER_MAX];
	size_t length = unsolicited_answer(s, from, packet);

	return raw_send(&u->socket, 0, packet, length);
}

static void end_wait(struct unsolicited *u, const struct unsolicited_syn *s)
{
	const struct device *in = s->ifindex < MAX_IFINDEX ? &u->d->device[s->ifindex] : NULL;
	int r;

	if (u->d->settings.unsolicited_tcp != UNSOLICITED_ANSWER || !in || !in->roles || !in->addr)
		return;
	if (is_held(u, &s->of))
		return;
	if (!may_send(u)) {
		datapath_count(u->d, REASON_icmp_withheld, 1);
		return;
	}
	r = answer_send(u, s, in->addr);
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
		struct waiting *w = oldest_off(u);

		end_wait(u, &w->syn);
		free(w);
	}
}

/* ---- a turn -------------------------------------------------------------------------------------------------------
 */

static int on_syn(void *arg, void *data, size_t size)
{
	const struct unsolicited_syn *s = data;
	struct unsolicited *u = arg;

	if (size >= sizeof(*s) && s->length >= UNSOLICITED_QUOTE_MIN && s->length <= UNSOLICITED_QUOTE_MAX)
		take(u, s);
	return ++u->taken < TAKEN_PER_TURN ? 0 : -ECANCELED;
}

static void next_turn_in(struct unsolicited *u, uint64_t ms)
{
	const struct timeval in = { .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	evtimer_add(u->turn, &in);
}

/* When something is to be taken, or a wait is over. A flood is taken no faster than this, and the loop serves others in
 * between. */
static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct unsolicited *u = arg;
	const struct waiting *w;

	u->taken = 0;
	u->now_ns = clock_ns(CLOCK_MONOTONIC);
	ring_buffer__consume(u->ring);
	end_waits(u);
	w = STAILQ_FIRST(&u->queue);
	if (u->taken || is_over(u, w)) {
		next_turn_in(u, TURN_MS);
		return;
	}
	event_add(u->readable, NULL);
	if (w)
		next_turn_in(u, (w->syn.time_ns + WAIT_NS - u->now_ns) / NS_PER_MS + 1);
}

/* ---- life ---------------------------------------------------------------------------------------------------------
 */

static int unsolicited_open(struct unsolicited *u, struct event_base *base)
{
	errno = 0;
	if (getrandom(u->seed, sizeof(u->seed), 0) != (ssize_t)sizeof(u->seed))
		return errno_or(EIO);
	u->ring = ring_buffer__new(u->d->unsolicited_syns, on_syn, u, NULL);
	if (!u->ring)
		return errno_or(ENOMEM);
	/* A turn adds it again when there is nothing left to take. */
	u->readable = event_new(base, ring_buffer__epoll_fd(u->ring), EV_READ, on_turn, u);
	u->turn = evtimer_new(base, on_turn, u);
	return u->readable && u->turn ? 0 : errno_or(ENOMEM);
}

int unsolicited_new(struct event_base *base, const struct datapath *d, struct unsolicited **ret, struct error *err)
{
	struct unsolicited *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return error_set(err, -ENOMEM, "out of memory");
	u->d = d;
	u->socket = -1;
	STAILQ_INIT(&u->queue);
	r = unsolicited_open(u, base);
	if (r) {
		unsolicited_free(u);
		return error_set(err, r, "cannot take SYNs from outside: %s", strerror(-r));
	}
	on_turn(-1, 0, u);
	*ret = u;
	return 0;
}

void unsolicited_free(struct unsolicited *u)
{
	if (!u)
		return;
	if (u->readable)
		event_free(u->readable);
	if (u->turn)
		event_free(u->turn);
	while (!STAILQ_EMPTY(&u->queue))
		free(oldest_off(u));
	ring_buffer__free(u->ring);
	close_fd(&u->socket);
	free(u);
}
