/* SPDX-License-Identifier: BSD-2-Clause */
#include "ipfix.h"

#include <errno.h>
#include <string.h>

#include "ipfix_encode.h"
#include "ipfix_socket.h"
#include "log.h"

/* Complaints about the collector are no more frequent than this. */
#define COMPLAINT_INTERVAL_MS 60000U

/* Templates follow a refusal no more often than this. */
#define REFUSAL_INTERVAL_MS 500U /* below the second at which a quiet exporter sends */

/* A clock that is behind by more was set back; by less, it is only read in another way. */
#define CLOCK_SLACK_MS 1000U

struct sequence {
	uint32_t domain_id;
	uint32_t next;
};

struct ipfix {
	struct config_ipfix settings;
	struct ipfix_socket socket;
	struct ipfix_figures figures;
	struct sequence *sequences; /* of every domain that ever was */
	size_t n_sequences;
	size_t sequence; /* the one of settings.domain_id */
	uint64_t now_ms;
	uint64_t templates_ms;	/* when they were last sent */
	uint64_t complained_ms; /* 0: never */
	bool templates_due;	/* no data record before them */
	bool refused;		/* the collector may not have seen the last ones */
	uint32_t last_records;	/* data records of the message sent last */
	struct ipfix_message template;
	struct ipfix_message data[N_IPFIX_LAYOUTS]; /* under construction */
};

int ipfix_new(struct ipfix **ret)
{
	struct ipfix *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->socket.fd = -1;
	for (int layout = 0; layout < N_IPFIX_LAYOUTS; layout++)
		ipfix_begin_data(&x->data[layout], layout);
	*ret = x;
	return 0;
}

static void advance_clock(struct ipfix *x, uint64_t now_ms)
{
	if (now_ms > x->now_ms || now_ms + CLOCK_SLACK_MS < x->now_ms)
		x->now_ms = now_ms;
}

static void complain(struct ipfix *x, const char *what)
{
	char addr[ADDR_TEXT];

	if (x->complained_ms && x->now_ms - x->complained_ms < COMPLAINT_INTERVAL_MS)
		return;
	x->complained_ms = x->now_ms;
	log_warning("ipfix: collector %s:%u: %s; %llu records lost so far, `detnatctl ipfix set` changes the collector",
		    addr_format(x->settings.collector.addr, addr), x->settings.collector.port, what,
		    (unsigned long long)x->figures.records_lost);
}

/* Takes note of an ICMP error: the latest message at least was in vain. */
static void note_refusal(struct ipfix *x)
{
	if (!x->socket.refused)
		return;
	x->socket.refused = false;
	x->refused = true;
	x->figures.records_lost += x->last_records;
	x->last_records = 0;
	complain(x, "refuses messages, nothing seems to listen there");
}

static int transmit(struct ipfix *x, struct ipfix_message *m)
{
	struct sequence *sequence = &x->sequences[x->sequence];

	ipfix_finish(m, (uint32_t)(x->now_ms / 1000), sequence->next, x->settings.domain_id);
	sequence->next += m->records;

	int r = ipfix_socket_send(&x->socket, m->octets, m->length);

	note_refusal(x);
	if (r) {
		x->figures.records_lost += m->records;
		if (!x->socket.connected)
			x->templates_due =
				true; /* connected again, it may have another source, a stranger to the collector */
		complain(x, strerror(-r));
		return r;
	}
	x->figures.messages_sent++;
	x->figures.records_sent += m->records;
	x->last_records = m->records;
	return 0;
}

static size_t message_limit(const struct ipfix *x)
{
	return x->settings.path_mtu - IPFIX_PACKET_HEADERS;
}

/* Sends the templates of the events asked for, in as few messages as hold them. */
static int send_templates(struct ipfix *x)
{
	struct ipfix_message *m = &x->template;
	bool any = false;
	int r;

	x->refused = false;
	ipfix_begin_templates(m);
	for (int layout = 0; layout < N_IPFIX_LAYOUTS; layout++) {
		if (!(x->settings.events & ipfix_layout_event(layout)))
			continue;
		if (!ipfix_template_fits(m, layout, message_limit(x))) {
			r = transmit(x, m);
			if (r)
				return r;
			ipfix_begin_templates(m);
		}
		ipfix_add_template(m, layout);
		any = true;
	}
	r = any ? transmit(x, m) : 0;
	if (r)
		return r;
	x->templates_due = false;
	x->templates_ms = x->now_ms;
	return 0;
}

static bool templates_wanted(const struct ipfix *x)
{
	uint64_t age_ms = x->now_ms - x->templates_ms; /* huge where the clock was set back */

	return x->templates_due || age_ms >= x->settings.template_interval * 1000ULL ||
	       (x->refused && age_ms >= REFUSAL_INTERVAL_MS);
}

/* Sends the records of a layout, unless the collector could not know what they mean. */
static void send_data(struct ipfix *x, enum ipfix_layout layout)
{
	struct ipfix_message *m = &x->data[layout];

	if (x->templates_due) {
		x->figures.records_lost += m->records;
		x->sequences[x->sequence].next += m->records;
	} else {
		transmit(x, m);
	}
	ipfix_begin_data(m, layout);
}

static void refresh_templates(struct ipfix *x)
{
	ipfix_socket_poll(&x->socket);
	note_refusal(x);
	if (templates_wanted(x))
		send_templates(x);
}

static void send_gathered(struct ipfix *x)
{
	bool any = false;

	for (int layout = 0; layout < N_IPFIX_LAYOUTS; layout++)
		any |= x->data[layout].records;
	if (!any)
		return;
	refresh_templates(x);
	for (int layout = 0; layout < N_IPFIX_LAYOUTS; layout++) {
		if (x->data[layout].records)
			send_data(x, layout);
	}
}

void ipfix_free(struct ipfix *x)
{
	if (!x)
		return;
	send_gathered(x);
	ipfix_socket_close(&x->socket);
	free(x->sequences);
	free(x);
}

static bool same_endpoint(struct endpoint a, struct endpoint b)
{
	return a.addr == b.addr && a.port == b.port;
}

static bool same_socket(const struct config_ipfix *a, const struct config_ipfix *b)
{
	return a->enabled == b->enabled && same_endpoint(a->source, b->source) &&
	       same_endpoint(a->collector, b->collector);
}

static bool same_settings(const struct config_ipfix *a, const struct config_ipfix *b)
{
	return same_socket(a, b) && a->domain_id == b->domain_id && a->path_mtu == b->path_mtu &&
	       a->template_interval == b->template_interval && a->events == b->events;
}

/* Index of a domain's sequence, made where there is none; -ENOMEM. */
static int find_sequence(struct ipfix *x, uint32_t domain_id)
{
	for (size_t i = 0; i < x->n_sequences; i++) {
		if (x->sequences[i].domain_id == domain_id)
			return (int)i;
	}

	struct sequence *grown = reallocarray(x->sequences, x->n_sequences + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	grown[x->n_sequences] = (struct sequence){ .domain_id = domain_id };
	x->sequences = grown;
	return (int)x->n_sequences++;
}

int ipfix_configure(struct ipfix *x, const struct config_ipfix *c, struct error *err)
{
	struct ipfix_socket fresh = { .fd = -1 };
	bool keep_socket = same_socket(&x->settings, c);
	int sequence = find_sequence(x, c->domain_id);

	if (c->enabled && (c->path_mtu < IPFIX_MIN_PATH_MTU || c->path_mtu > IPFIX_MAX_PATH_MTU))
		return error_set(err, -EINVAL, "ipfix.path_mtu: %u is not within %u..%u", c->path_mtu,
				 IPFIX_MIN_PATH_MTU, IPFIX_MAX_PATH_MTU);
	if (sequence < 0)
		return error_set(err, sequence, "out of memory");
	if (same_settings(&x->settings, c))
		return 0;
	if (c->enabled && !keep_socket) {
		int r = ipfix_socket_open(c, &x->socket, &fresh, err);

		if (r)
			return r;
	}

	send_gathered(x);
	if (!keep_socket) {
		ipfix_socket_close(&x->socket);
		x->socket = fresh;
		x->last_records = 0;
	}
	x->settings = *c;
	x->sequence = (size_t)sequence;
	x->templates_due = true;
	x->complained_ms = 0;
	return 0;
}

void ipfix_event(struct ipfix *x, const struct nat_event *e, uint64_t wall_ms)
{
	int layout = ipfix_layout_of(e);

	if (!x->settings.enabled || layout < 0 || !(x->settings.events & ipfix_layout_event(layout)))
		return;
	if (wall_ms > x->now_ms)
		x->now_ms = wall_ms;
	ipfix_add_record(&x->data[layout], e, wall_ms);
	if (!ipfix_record_fits(&x->data[layout], layout, message_limit(x))) {
		refresh_templates(x);
		send_data(x, layout);
	}
}

void ipfix_tick(struct ipfix *x, uint64_t now_ms)
{
	advance_clock(x, now_ms);
	send_gathered(x);
}

void ipfix_flush(struct ipfix *x, uint64_t now_ms)
{
	if (!x->settings.enabled)
		return;
	advance_clock(x, now_ms);
	ipfix_socket_poll(&x->socket);
	note_refusal(x);
	send_templates(x);
	for (int layout = 0; layout < N_IPFIX_LAYOUTS; layout++) {
		if (x->data[layout].records)
			send_data(x, layout);
	}
}

const struct config_ipfix *ipfix_settings(const struct ipfix *x)
{
	return &x->settings;
}

struct ipfix_figures ipfix_figures(const struct ipfix *x)
{
	return x->figures;
}
