/* SPDX-License-Identifier: BSD-2-Clause */
#include "ipfix/collector.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* What nothing more was said of for so long is over. */
#define COMPLAINT_US (60 * 1000000ULL)

/* A message that is sent so long after the last complaint shows that all is well. */
#define REFUSAL_US (2 * 1000000ULL)

/* Templates follow a refusal no more often than this. */
#define REFUSAL_INTERVAL_MS 500U /* below the second at which a quiet exporter sends */

/* A loss is told of so long after it, with what has been lost meanwhile. */
#define REPORT_INTERVAL_MS 2000U

int ipfix_collector_bind(struct ipfix_collector *c, struct endpoint source, const int *own, size_t n_own,
			 struct error *err)
{
	int r = ipfix_socket_open(&c->to, source, own, n_own, &c->socket, err);

	if (!r) {
		ipfix_collector_mended(c);
		return 0;
	}
	c->socket.fd = -1;
	ipfix_collector_complain(c, err->text);
	return r;
}

int ipfix_collector_new(struct ipfix_shared *shared, const struct collector_endpoint *to, struct endpoint source,
			bool wait, const int *own, size_t n_own, struct ipfix_collector **ret, struct error *err)
{
	struct ipfix_collector *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return error_set(err, -ENOMEM, "out of memory");
	c->shared = shared;
	c->to = *to;
	c->templates_due = true;
	ipfix_queue_init(&c->queue);
	r = ipfix_collector_bind(c, source, own, n_own, err);
	if (r && !wait) {
		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

static bool is_tcp(const struct ipfix_collector *c)
{
	return c->to.transport == IPFIX_TCP;
}

void ipfix_collector_start(struct ipfix_collector *c)
{
	if (is_tcp(c))
		ipfix_tcp_start(c);
}

/* ---- accounts -------------------------------------------------------------------------------------------------- */

void ipfix_collector_complain(struct ipfix_collector *c, const char *what)
{
	c->complained_ms = c->shared->now_ms ? c->shared->now_ms : 1;
	c->complained_us = monotonic_us();
	error_set(&c->complaint, 0, "%s", what);
}

void ipfix_collector_mended(struct ipfix_collector *c)
{
	c->complained_ms = 0;
}

const char *ipfix_collector_trouble(const struct ipfix_collector *c)
{
	return c->complained_ms && monotonic_us() - c->complained_us < COMPLAINT_US ? c->complaint.text : NULL;
}

void ipfix_collector_sent(struct ipfix_collector *c, uint16_t events)
{
	c->figures.messages_sent++;
	c->figures.records_sent += events;
	c->last_events = events;
	/* A refusal comes behind the message that it is of. */
	if (monotonic_us() - c->complained_us > REFUSAL_US)
		ipfix_collector_mended(c);
}

static void note_loss(struct ipfix_collector *c, uint64_t events)
{
	uint64_t now_ms = c->shared->now_ms;

	if (!events)
		return;
	c->figures.records_lost += events;
	c->losses.lost += events;
	c->losses.last_ms = now_ms;
	if (!c->losses.first_ms)
		c->losses.first_ms = now_ms;
}

void ipfix_collector_lost(struct ipfix_collector *c, uint32_t records, uint64_t events)
{
	c->skipped += records;
	note_loss(c, events);
}

/* Of one without a socket it is known why. */
static void complain_of(struct ipfix_collector *c, int r)
{
	if (c->socket.fd >= 0)
		ipfix_collector_complain(c, r == -ENOSPC ? "all of its queue is taken" : strerror(-r));
}

static int put(struct ipfix_collector *c, struct ipfix_message *m)
{
	return is_tcp(c) ? ipfix_tcp_put(c, m) : ipfix_udp_put(c, m);
}

static void drain(struct ipfix_collector *c)
{
	if (is_tcp(c))
		ipfix_tcp_drain(c);
	else
		ipfix_udp_drain(c);
}

static size_t message_limit(const struct ipfix_collector *c)
{
	return c->shared->settings.path_mtu - IPFIX_PACKET_HEADERS;
}

/* ---- templates --------------------------------------------------------------------------------------------------- */

bool ipfix_collector_next_templates(const struct ipfix_collector *c, uint8_t events, struct ipfix_message *m,
				    unsigned *layout)
{
	bool any = false;

	ipfix_begin_templates(m);
	for (; *layout < N_IPFIX_LAYOUTS; (*layout)++) {
		if (!(events & ipfix_layout_event(*layout)))
			continue;
		if (!ipfix_template_fits(m, *layout, message_limit(c)))
			break;
		ipfix_add_template(m, *layout);
		any = true;
	}
	ipfix_finish(m, c->shared->settings.domain_id);
	return any;
}

int ipfix_collector_send_templates(struct ipfix_collector *c)
{
	struct ipfix_shared *s = c->shared;
	unsigned layout = 0;

	if (!is_tcp(c))
		ipfix_udp_poll(c);
	c->refused = false;
	c->announced |= s->settings.events;
	/* A connection to come begins with them. */
	if (is_tcp(c) && c->tcp.state != IPFIX_TCP_CONNECTED)
		return 0;
	while (ipfix_collector_next_templates(c, s->settings.events, &s->scratch, &layout)) {
		int r = put(c, &s->scratch);

		if (r) {
			complain_of(c, r);
			return r;
		}
	}
	c->templates_due = false;
	c->templates_ms = s->now_ms;
	return 0;
}

/* Over TCP they arrive, so there is no need to say them again (RFC 7011 section 8). */
static bool templates_wanted(const struct ipfix_collector *c)
{
	const struct ipfix_shared *s = c->shared;
	uint64_t age_ms = s->now_ms - c->templates_ms; /* huge where the clock was set back */

	if (c->templates_due || is_tcp(c))
		return c->templates_due;
	return age_ms >= s->settings.template_interval * 1000ULL || (c->refused && age_ms >= REFUSAL_INTERVAL_MS);
}

void ipfix_collector_refresh(struct ipfix_collector *c)
{
	if (!is_tcp(c))
		ipfix_udp_poll(c);
	if (templates_wanted(c))
		ipfix_collector_send_templates(c);
}

/* ---- data -------------------------------------------------------------------------------------------------------- */

void ipfix_collector_send(struct ipfix_collector *c, struct ipfix_message *m)
{
	int r = 0;

	/* A collector that could not know what the records mean does not get them. */
	if (!c->templates_due || (is_tcp(c) && c->tcp.state != IPFIX_TCP_CONNECTED)) {
		r = put(c, m);
		if (!r)
			return;
	}
	ipfix_collector_lost(c, m->records, m->events);
	if (r)
		complain_of(c, r);
}

/* ---- losses ------------------------------------------------------------------------------------------------------ */

static bool send_report(struct ipfix_collector *c, enum ipfix_report report, const struct ipfix_losses *losses)
{
	struct ipfix_shared *s = c->shared;

	ipfix_make_report(&s->scratch, report, losses);
	ipfix_finish(&s->scratch, s->settings.domain_id);
	if (put(c, &s->scratch)) {
		ipfix_collector_lost(c, s->scratch.records, 0);
		return false;
	}
	c->told[report] = losses->lost;
	return true;
}

static struct ipfix_losses sum_of(const struct ipfix_losses *a, const struct ipfix_losses *b)
{
	struct ipfix_losses sum = { .lost = a->lost + b->lost };

	sum.first_ms = !a->lost || (b->lost && b->first_ms < a->first_ms) ? b->first_ms : a->first_ms;
	sum.last_ms = a->last_ms > b->last_ms ? a->last_ms : b->last_ms;
	return sum;
}

/*
 * Tells the collector of losses when there are new ones, and again every template_interval (RFC 7011 section 4.3 asks
 * for regular reports). A collector of everything has no report to read.
 */
static void report_losses(struct ipfix_collector *c)
{
	struct ipfix_shared *s = c->shared;
	struct ipfix_losses metering = s->ring, exporting = sum_of(&s->ring, &c->losses);
	bool new = exporting.lost != c->told[IPFIX_REPORT_EXPORTING];
	uint64_t interval_ms = new ? REPORT_INTERVAL_MS : s->settings.template_interval * 1000ULL;

	if (!exporting.lost || (is_tcp(c) && c->tcp.state != IPFIX_TCP_CONNECTED))
		return;
	if (new && !c->told_ms)
		c->told_ms = s->now_ms;
	if (s->now_ms - c->told_ms < interval_ms || c->templates_due)
		return;
	c->told_ms = s->now_ms;
	metering.scope = s->settings.domain_id;
	exporting.scope = (uint32_t)getpid();
	if (metering.lost)
		send_report(c, IPFIX_REPORT_METERING, &metering);
	send_report(c, IPFIX_REPORT_EXPORTING, &exporting);
}

void ipfix_collector_tick(struct ipfix_collector *c)
{
	if (is_tcp(c))
		ipfix_tcp_tick(c);
	drain(c);
	report_losses(c);
}

/* ---- changes and end -----------------------------------------------------------------------------------------------
 */

/* What is not sent yet is lost; but for a message of which a part is. */
static void lose_unsent(struct ipfix_collector *c)
{
	struct ipfix_queue *q = &c->queue;

	while (q->unsent && !c->tcp.partial) {
		struct ipfix_entry *e = ipfix_queue_take_unsent(q);

		ipfix_collector_lost(c, e->records, e->events);
		free(e);
	}
}

uint32_t ipfix_collector_end_domain(struct ipfix_collector *c)
{
	drain(c);
	lose_unsent(c);
	return c->sequence + c->skipped;
}

void ipfix_collector_begin_domain(struct ipfix_collector *c, uint32_t sequence)
{
	c->sequence = sequence;
	c->skipped = 0;
	c->templates_due = true;
}

static bool waits(const struct ipfix_collector *c)
{
	return c->queue.unsent && is_tcp(c) && c->tcp.state == IPFIX_TCP_CONNECTED;
}

void ipfix_collector_free(struct ipfix_collector *c, uint64_t end_us, struct ipfix_figures *ret)
{
	char to[COLLECTOR_TEXT];

	drain(c);
	while (waits(c) && monotonic_us() < end_us) {
		usleep(1000);
		drain(c);
	}
	if (c->queue.events) {
		log_warning("ipfix: collector %s: %llu records that waited for it are lost",
			    collector_format(c->to, to), (unsigned long long)c->queue.events);
		note_loss(c, c->queue.events);
	}
	if (ret)
		*ret = c->figures;
	ipfix_socket_close(&c->socket);
	ipfix_queue_clear(&c->queue);
	free(c);
}
