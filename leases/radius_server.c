/* SPDX-License-Identifier: BSD-2-Clause */
#include "radius_server.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/text.h"
#include "leases/accounting_servers.h"
#include "leases/lease_files.h"

/* Forged packets, and clocks, are logged so often. */
#define LOG_US 60000000ULL

int radius_server_new(const struct config_lease_source *rules, struct seen_records *seen, struct radius_server **ret)
{
	struct radius_server *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->rules = *rules;
	s->seen = seen;
	s->fd = -1;
	s->received.heard = TIME_NONE;
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
	accounting_servers_free(&s->senders);
	close_fd(&s->fd);
	radius_clients_forget(&s->clients);
	free(s);
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
	s->ended.refused += f.refused;
	radius_forward_free(s->forward);
	s->forward = NULL;
}

/* Requests that wait are named for both servers: others may listen here, or be forwarded to there. */
static int begin_forward(struct radius_server *s, const char *dir)
{
	const struct config_lease_source *rules = &s->rules;
	char path[PATH_MAX], listen[ADDR_TEXT], forward[ADDR_TEXT];

	if (snprintf(path, sizeof(path), "%s/" SPOOL_PREFIX "%s-%u-%s-%u", dir, addr_format(rules->listen.addr, listen),
		     rules->listen.port, addr_format(rules->forward.addr, forward),
		     rules->forward.port) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return radius_forward_new(rules->listen.addr, rules->forward, &s->clients.forward, path,
				  (struct forward_times){ monotonic_us(), time(NULL) }, &s->forward);
}

int radius_server_equip(struct radius_server *s, int fd, const struct radius_clients *clients, const char *dir)
{
	if (fd >= 0) {
		close_fd(&s->fd);
		s->fd = fd;
		s->small = true;
		radius_receive_anew(&s->received);
	}
	if (s->forward && !same_secret(&s->clients.forward, &clients->forward))
		end_forward(s);
	s->clients = *clients;
	if (s->fd >= 0 && radius_clients_filter(clients, s->fd))
		log_warning("leases: the kernel takes no filter of clients; others are discarded here");
	if (s->fd < 0 || !s->rules.forward.port || s->forward)
		return 0;
	return begin_forward(s, dir);
}

bool radius_server_ready(const struct radius_server *s)
{
	return s->fd >= 0 && s->clients.n && (!s->rules.forward.port || s->forward);
}

int radius_server_fd(const struct radius_server *s)
{
	return radius_server_ready(s) && s->n_waiting < RADIUS_WAITING ? s->fd : -1;
}

/* NULL if the address is no client's. */
static const struct radius_secret *secret_of(const struct radius_server *s, const struct sockaddr_in *from)
{
	int client = radius_clients_find(&s->clients, ntohl(from->sin_addr.s_addr));

	return client < 0 ? NULL : &s->clients.client[client].secret;
}

/* Names a request by its authenticator: a recording of it has the same, from wherever it is sent. */
static uint64_t packet_of(const uint8_t *packet)
{
	uint64_t name;

	memcpy(&name, packet + 4, sizeof(name));
	return be64toh(name);
}

static void answer(const struct radius_server *s, const struct sockaddr_in *to, const uint8_t *packet, size_t size,
		   struct identity_figures *f)
{
	uint8_t response[RADIUS_MAX];
	const struct radius_secret *secret = secret_of(s, to);
	size_t n;

	if (s->rules.passive || !secret)
		return;
	n = radius_answer(packet, size, secret, response);
	/* What the socket does not take is asked for again. */
	if (sendto(s->fd, response, n, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)to, sizeof(*to)) > 0)
		f->answers++;
}

static void tell_forged(struct radius_server *s, const struct sockaddr_in *from, struct identity_figures *f)
{
	char text[ADDR_TEXT];
	uint64_t now_us = monotonic_us();

	f->forged++;
	if (s->forged_us && now_us - s->forged_us < LOG_US)
		return;
	s->forged_us = now_us;
	log_warning(
		"leases: a RADIUS request of %s has a wrong authenticator: it is forged, or has another secret than "
		"this client",
		addr_format(ntohl(from->sin_addr.s_addr), text));
}

/* It was recorded when it came first. Answered, it goes no further. */
static void tell_loop(struct radius_server *s, const struct sockaddr_in *from, const uint8_t *packet, size_t size,
		      struct identity_figures *f)
{
	char text[ADDR_TEXT];

	if (!f->looped++)
		log_warning("leases: %s sends back what was forwarded to it: one of the two must not forward",
			    addr_format(ntohl(from->sin_addr.s_addr), text));
	answer(s, from, packet, size, f);
}

/* A request that is being taken. */
struct taking {
	struct radius_server *server;
	const struct sockaddr_in *from;
	const uint8_t *packet;
	size_t size;
	int64_t received;
	uint64_t now_us;
	uint64_t name;
	struct lease_writer *writer;
	struct accounting record; /* of an Accounting-Request */
	/* Of its records. */
	unsigned n, unseen;
	uint64_t key; /* of the first */
	bool waits;
};

static enum seen ask(struct taking *t, const struct lease_line *l, uint64_t *ret_key)
{
	const struct seen_record r = { l, t->name };
	enum seen seen = seen_ask(t->server->seen, &r);

	t->waits |= seen == SEEN_WAITING;
	*ret_key = seen_key(&r);
	return seen;
}

static void note(const struct taking *t, const struct lease_line *l)
{
	seen_note(t->server->seen, &(struct seen_record){ l, t->name }, t->now_us / 1000000);
}

static int look_at_line(void *arg, const struct lease_line *l)
{
	struct taking *t = arg;
	uint64_t key;

	t->unseen += ask(t, l, &key) == SEEN_NOT;
	t->key = t->n++ ? t->key : key;
	return 0;
}

/* Adds the line to the group unless it is there. */
static int add_line(void *arg, const struct lease_line *l)
{
	struct taking *t = arg;
	int r = 0;

	if (seen_ask(t->server->seen, &(struct seen_record){ l, t->name }) == SEEN_NOT)
		r = lease_writer_add(t->writer, l);
	if (!r)
		note(t, l);
	return r;
}

/* Dates that are not believed are not passed over in silence. */
static void tell_clock(struct taking *t)
{
	const struct accounting *a = &t->record;
	uint64_t *last_us = &t->server->clock_us;

	if (!a->stale && (a->early == TIME_NONE || a->time - a->early <= CLOCK_SLACK_S))
		return;
	if (*last_us && t->now_us - *last_us < LOG_US)
		return;
	*last_us = t->now_us;
	log_warning("leases: access server %s dates a record %lld s before it came, %s", QUOTED(a->server[0]),
		    (long long)(t->received - a->event),
		    a->stale ? "which is too old: it is not recorded"
			     : "and its clock is not known to be right: neither moment is certain");
}

static void read_request(struct taking *t)
{
	char from[ADDR_TEXT];

	if (t->packet[0] != RADIUS_ACCOUNTING_REQUEST)
		return;
	radius_read(t->packet, t->size, addr_format(ntohl(t->from->sin_addr.s_addr), from), &t->record);
	snprintf(t->record.tenant, sizeof(t->record.tenant), "%s", t->server->rules.tenant);
	t->record.packet = t->name;
	accounting_date(&t->server->senders, &t->record, t->received);
	tell_clock(t);
}

/* Until the group is on the disk. False: there is no memory, and the sender tries again. */
static bool wait_for_disk(struct taking *t)
{
	struct radius_server *s = t->server;
	uint8_t *copy = s->n_waiting < RADIUS_WAITING ? malloc(t->size) : NULL;
	unsigned n;

	if (!copy)
		return false;
	memcpy(copy, t->packet, t->size);
	if (accounting_lines(&t->record, add_line, t, &n)) {
		free(copy);
		return false;
	}
	note(t, NULL);
	s->waiting[s->n_waiting++] =
		(struct waiting){ *t->from, t->name, t->key, { t->now_us, t->received }, t->size, copy };
	return true;
}

/* A request that was recorded, but could not be forwarded, waits anew. */
static bool is_done(const struct taking *t)
{
	return !t->server->rules.forward.port || t->packet[0] != RADIUS_ACCOUNTING_REQUEST ||
	       seen_passed_on(t->server->seen, t->key);
}

/* A packet that is known says nothing new, not even where its server is. */
static void look(struct taking *t, unsigned *ret_n)
{
	enum seen packet = ask(t, NULL, &t->key);

	*ret_n = 0;
	if (packet != SEEN_NOT)
		return;
	read_request(t);
	accounting_lines(&t->record, look_at_line, t, ret_n);
	t->unseen += !*ret_n;
}

static void take_request(struct taking *t, struct identity_figures *f)
{
	unsigned n;

	look(t, &n);
	f->repeated += !t->unseen;
	if (!t->unseen && (t->waits || is_done(t))) {
		if (!t->waits)
			answer(t->server, t->from, t->packet, t->size, f);
		return;
	}
	if (!wait_for_disk(t)) {
		f->refused++;
		lease_writer_lose(t->writer, t->received);
		return;
	}
	f->requests += t->unseen != 0;
	f->idle += t->unseen && !n;
}

static void take_packet(struct radius_server *s, const struct sockaddr_in *from, const uint8_t *packet, size_t size,
			int64_t received, struct lease_writer *w, struct identity_figures *f)
{
	const struct radius_secret *secret = secret_of(s, from);

	/* One that came before the filter. */
	if (!secret)
		f->strangers++;
	else if (!radius_sound(packet, size, &size) || !radius_lengths_fit(packet, size) ||
		 (packet[0] != RADIUS_ACCOUNTING_REQUEST && packet[0] != RADIUS_STATUS_SERVER))
		f->malformed++;
	else if (!radius_request_genuine(packet, size, secret))
		tell_forged(s, from, f);
	else if (radius_forward_loops(packet, size))
		tell_loop(s, from, packet, size, f);
	else
		take_request(&(struct taking){ .server = s,
					       .from = from,
					       .packet = packet,
					       .size = size,
					       .received = received,
					       .now_us = monotonic_us(),
					       .name = packet_of(packet),
					       .writer = w },
			     f);
}

bool radius_server_receive(struct radius_server *s, struct lease_writer *w, struct identity_figures *f)
{
	return radius_receive(&s->received, s->fd, take_packet, s, w, f);
}

/* Hands all to the forwarder's file. Those that are not there are not answered: their senders try again. */
static void forward_all(struct radius_server *s)
{
	uint8_t marked[RADIUS_MAX];
	bool any = false;
	size_t size;

	for (unsigned i = 0; i < s->n_waiting; i++) {
		struct waiting *x = &s->waiting[i];

		if (x->packet[0] != RADIUS_ACCOUNTING_REQUEST)
			continue;
		size = radius_forward_mark(x->packet, x->size, marked);
		x->refused = radius_forward_put(s->forward, marked, size, x->received) != 0;
		any |= !x->refused;
	}
	if (!any || !radius_forward_sync(s->forward))
		return;
	for (unsigned i = 0; i < s->n_waiting; i++)
		s->waiting[i].refused = true;
}

void radius_server_written(struct radius_server *s, struct identity_figures *f)
{
	if (s->forward)
		forward_all(s);
	for (unsigned i = 0; i < s->n_waiting; i++) {
		struct waiting *x = &s->waiting[i];

		if (!x->refused)
			answer(s, &x->from, x->packet, x->size, f);
		if (s->forward && !x->refused) {
			seen_pass_on(s->seen, x->key);
			seen_pass_on(s->seen, seen_key(&(struct seen_record){ .packet = x->name }));
		}
		free(x->packet);
	}
	s->n_waiting = 0;
}

void radius_server_add_figures(const struct radius_server *s, struct identity_figures *f)
{
	struct forward_figures own = radius_forward_figures(s->forward);

	f->forwarded += s->ended.answered + own.answered;
	f->forward_lost += s->ended.refused + own.refused;
	f->forward_waiting += own.waiting;
}
