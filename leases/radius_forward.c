/* SPDX-License-Identifier: BSD-2-Clause */
#include "radius_forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/base.h"
#include "base/log.h"
#include "request_spool.h"

#define IDENTIFIERS 256U

/* A request is sent as it is so many times; then it gets another identifier, and its delay is reckoned anew. */
#define TRIES	    5U
#define TRY_US	    1000000ULL
#define LONGEST_TRY 4U /* of the first */

struct forwarded {
	struct forwarded *next; /* in the queue */
	struct forward_times received;
	uint64_t number; /* in the file */
	uint64_t due_us;
	uint32_t before; /* seconds for which former agents held it */
	uint32_t held;	 /* seconds */
	unsigned tries;
	uint8_t authenticator[RADIUS_AUTHENTICATOR];
	size_t size;
	uint8_t request[];
};

struct radius_forward {
	int fd;
	struct request_spool *spool;
	struct radius_secret secret;
	struct forwarded *first, **end; /* without an identifier */
	struct forwarded *by_id[IDENTIFIERS];
	unsigned n_ids;
	uint8_t next_id;
	size_t octets;
	uint64_t due_us;
	uint64_t answered_us; /* when something was answered last, or began to wait */
	struct forward_figures figures;
};

static int open_socket(uint32_t from, struct endpoint to)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(from) };
	const struct sockaddr_in other = { .sin_family = AF_INET,
					   .sin_port = htons(to.port),
					   .sin_addr.s_addr = htonl(to.addr) };

	if (fd < 0 || bind(fd, (const struct sockaddr *)&own, sizeof(own)) ||
	    connect(fd, (const struct sockaddr *)&other, sizeof(other)))
		return -errno;
	return take_fd(fd);
}

static void enqueue(struct radius_forward *f, struct forwarded *x)
{
	x->next = NULL;
	*f->end = x;
	f->end = &x->next;
}

/* Queues a request that the file has. 0 or -ENOMEM. */
static int wait_for_server(struct radius_forward *f, const struct spooled *s, struct forward_times received,
			   uint32_t before)
{
	struct forwarded *x = malloc(sizeof(*x) + s->size);

	if (!x)
		return -ENOMEM;
	*x = (struct forwarded){ .received = received, .number = s->number, .before = before, .size = s->size };
	memcpy(x->request, s->request, s->size);
	if (!f->figures.waiting++)
		f->answered_us = received.now_us;
	f->octets += s->size;
	enqueue(f, x);
	f->due_us = received.now_us;
	return 0;
}

struct going_on {
	struct radius_forward *forward;
	struct forward_times times;
};

/* The file is the program's own, but what is in it goes through functions that need sound packets. */
static int go_on(void *arg, const struct spooled *s)
{
	const struct going_on *g = arg;
	int64_t before = g->times.now - s->received;
	size_t size;

	if (!radius_sound(s->request, s->size, &size) || size != s->size)
		return 0;
	before = before < 0 ? 0 : before > UINT32_MAX / 2 ? UINT32_MAX / 2 : before;
	return wait_for_server(g->forward, s, (struct forward_times){ g->times.now_us, s->received }, (uint32_t)before);
}

int radius_forward_new(uint32_t from, struct endpoint to, const struct radius_secret *secret, const char *path,
		       struct forward_times times, struct radius_forward **ret)
{
	struct radius_forward *f = calloc(1, sizeof(*f));
	struct going_on g = { f, times };
	int r;

	if (!f)
		return -ENOMEM;
	f->secret = *secret;
	f->end = &f->first;
	f->due_us = UINT64_MAX;
	f->fd = open_socket(from, to);
	r = f->fd < 0 ? f->fd : spool_open(path, go_on, &g, &f->spool);
	if (r) {
		radius_forward_free(f);
		return r;
	}
	*ret = f;
	return 0;
}

void radius_forward_free(struct radius_forward *f)
{
	if (!f)
		return;
	for (struct forwarded *x = f->first, *next; x; x = next) {
		next = x->next;
		free(x);
	}
	for (unsigned id = 0; id < IDENTIFIERS; id++)
		free(f->by_id[id]);
	close_fd(&f->fd);
	spool_free(f->spool);
	explicit_bzero(&f->secret, sizeof(f->secret));
	free(f);
}

int radius_forward_fd(const struct radius_forward *f)
{
	return f ? f->fd : -1;
}

static struct forwarded *dequeue(struct radius_forward *f)
{
	struct forwarded *x = f->first;

	f->first = x->next;
	if (!f->first)
		f->end = &f->first;
	return x;
}

static int put(struct radius_forward *f, const uint8_t *request, size_t size, struct forward_times received)
{
	struct spooled s = { .request = request, .size = size };
	int r = f->octets + size > FORWARD_ROOM ? -ENOBUFS
						: spool_add(f->spool, request, size, received.now, &s.number);

	if (r)
		return r;
	r = wait_for_server(f, &s, received, 0);
	if (r)
		spool_end(f->spool, s.number);
	return r;
}

/* Of this program; requests of an earlier one come back once. */
static const uint8_t *own_mark(void)
{
	static uint8_t mark[RADIUS_MARK];
	static bool made;

	if (!made)
		made = getrandom(mark, sizeof(mark), 0) == (ssize_t)sizeof(mark);
	return mark;
}

size_t radius_forward_mark(const uint8_t *request, size_t size, uint8_t ret[static RADIUS_MAX])
{
	size_t n = radius_mark(request, size, own_mark(), ret);

	if (n)
		return n;
	memcpy(ret, request, size);
	return size;
}

bool radius_forward_loops(const uint8_t *request, size_t size)
{
	return radius_loops(request, size, own_mark());
}

int radius_forward_put(struct radius_forward *f, const uint8_t *request, size_t size, struct forward_times received)
{
	int r = put(f, request, size, received);

	f->figures.refused += r != 0;
	return r;
}

int radius_forward_sync(struct radius_forward *f)
{
	return spool_sync(f->spool);
}

/* What the socket does not take now is sent when it is due again. */
static void send_request(const struct radius_forward *f, struct forwarded *x, uint8_t id, uint64_t now_us)
{
	unsigned wait = 1U << x->tries++;
	uint8_t packet[RADIUS_MAX];
	size_t size = radius_pass_on(x->request, x->size, id, x->held, &f->secret, packet);

	memcpy(x->authenticator, packet + 4, sizeof(x->authenticator));
	x->due_us = now_us + (wait < LONGEST_TRY ? wait : LONGEST_TRY) * TRY_US;
	if (send(f->fd, packet, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
}

/* Sends again what was not answered, or gives its identifier to others. */
static void look_after(struct radius_forward *f, uint8_t id, uint64_t now_us)
{
	struct forwarded *x = f->by_id[id];

	if (!x || x->due_us > now_us)
		return;
	if (x->tries < TRIES) {
		send_request(f, x, id, now_us);
		return;
	}
	f->by_id[id] = NULL;
	f->n_ids--;
	x->tries = 0;
	enqueue(f, x);
}

static void send_next(struct radius_forward *f, uint64_t now_us)
{
	struct forwarded *x = dequeue(f);

	while (f->by_id[f->next_id])
		f->next_id++;
	x->held = x->before + (uint32_t)((now_us - x->received.now_us) / 1000000);
	f->by_id[f->next_id] = x;
	f->n_ids++;
	send_request(f, x, f->next_id++, now_us);
}

static void take_response(struct radius_forward *f, const uint8_t *packet, size_t size, uint64_t now_us)
{
	struct forwarded *x;

	if (!radius_sound(packet, size, &size))
		return;
	x = f->by_id[packet[1]];
	if (!x || !radius_response_genuine(packet, size, packet[1], x->authenticator, &f->secret))
		return;
	f->by_id[packet[1]] = NULL;
	f->n_ids--;
	f->octets -= x->size;
	f->figures.waiting--;
	f->figures.answered++;
	f->answered_us = now_us;
	spool_end(f->spool, x->number);
	free(x);
}

/* An error belongs to an earlier packet, such as a port without a listener. */
static void receive(struct radius_forward *f, uint64_t now_us)
{
	uint8_t packet[RADIUS_MAX];
	ssize_t n;

	for (unsigned i = 0; i < IDENTIFIERS; i++) {
		n = recv(f->fd, packet, sizeof(packet), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n > 0)
			take_response(f, packet, (size_t)n, now_us);
	}
}

static uint64_t find_due(const struct radius_forward *f)
{
	uint64_t due = UINT64_MAX;

	for (unsigned id = 0; id < IDENTIFIERS; id++)
		if (f->by_id[id] && f->by_id[id]->due_us < due)
			due = f->by_id[id]->due_us;
	return due;
}

static struct spooled spooled_of(const struct forwarded *x)
{
	return (struct spooled){ x->number, x->received.now, x->request, x->size };
}

/* Those under way are older than those in the queue. */
static void renew_file(struct radius_forward *f)
{
	struct spooled *all = calloc(f->figures.waiting + 1, sizeof(*all));
	size_t n = 0;
	int r;

	if (!all)
		return;
	for (unsigned id = 0; id < IDENTIFIERS; id++)
		if (f->by_id[id])
			all[n++] = spooled_of(f->by_id[id]);
	for (const struct forwarded *x = f->first; x; x = x->next)
		all[n++] = spooled_of(x);
	r = spool_renew(f->spool, all, n);
	if (r)
		log_debug("the file of requests to be forwarded stays long: %s", strerror(-r));
	free(all);
}

void radius_forward_work(struct radius_forward *f, uint64_t now_us)
{
	if (!f)
		return;
	receive(f, now_us);
	if (spool_is_long(f->spool))
		renew_file(f);
	for (unsigned id = 0; id < IDENTIFIERS && now_us >= f->due_us; id++)
		look_after(f, (uint8_t)id, now_us);
	while (f->first && f->n_ids < IDENTIFIERS)
		send_next(f, now_us);
	f->due_us = find_due(f);
}

uint64_t radius_forward_due(const struct radius_forward *f)
{
	return f && f->figures.waiting ? f->due_us : UINT64_MAX;
}

struct forward_figures radius_forward_figures(const struct radius_forward *f)
{
	return f ? f->figures : (struct forward_figures){ 0 };
}

bool radius_forward_stalled(const struct radius_forward *f, uint64_t now_us)
{
	return f && f->figures.waiting && now_us - f->answered_us > FORWARD_STALLED_US;
}
