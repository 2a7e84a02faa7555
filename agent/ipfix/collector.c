/* SPDX-License-Identifier: BSD-2-Clause */
#include "ipfix/collector.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* Trouble not noted again for this long is over. */
#define COMPLAINT_US (60 * 1000000ULL)

/* Templates are repeated after refusals at most this often. */
#define REFUSAL_INTERVAL_MS 500U /* below the second at which a quiet exporter sends */

/* Losses are reported this long after the first one. */
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
	c->transport = to->transport == IPFIX_TCP ? &ipfix_tcp : &ipfix_udp;
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

void ipfix_collector_start(struct ipfix_collector *c)
{
	c->transport->start(c);
}

const char *ipfix_collector_trouble(const struct ipfix_collector *c)
{
	return c->complained_ms && monotonic_us() - c->complained_us < COMPLAINT_US ? c->complaint.text : NULL;
}

/* Without a socket, the reason is known already. */
static void complain_of(struct ipfix_collector *c, int r)
{
	if (c->socket.fd >= 0)
		ipfix_collector_complain(c, r == -ENOSPC ? "all of its queue is taken" : strerror(-r));
}

int ipfix_collector_send_templates(struct ipfix_collector *c)
{
	struct ipfix_shared *s = c->shared;
	unsigned layout = 0;

	c->transport->poll(c);
	c->refused = false;
	c->announced |= s->settings.events;
	/* A new connection begins with them. */
	if (!c->transport->is_ready(c))
		return 0;
	while (ipfix_collector_next_templates(c, s->settings.events, &s->scratch, &layout)) {
		int r = c->transport->put(c, &s->scratch);

		if (r) {
			complain_of(c, r);
			return r;
		}
	}
	c->templates_due = false;
	c->templates_ms = s->now_ms;
	return 0;
}

/* A stream delivers them, so they are not repeated (RFC 7011 section 8). */
static bool templates_wanted(const struct ipfix_collector *c)
{
	const struct ipfix_shared *s = c->shared;
	uint64_t age_ms = s->now_ms - c->templates_ms; /* huge if the clock was set back */

	if (c->templates_due || c->transport->is_stream)
		return c->templates_due;
	return age_ms >= s->settings.template_interval * 1000ULL || (c->refused && age_ms >= REFUSAL_INTERVAL_MS);
}

void ipfix_collector_refresh(struct ipfix_collector *c)
{
	c->transport->poll(c);
	if (templates_wanted(c))
		ipfix_collector_send_templates(c);
}

void ipfix_collector_send(struct ipfix_collector *c, struct ipfix_message *m)
{
	int r = 0;

	/* Without templates a collector could not decode the records. */
	if (!c->templates_due || !c->transport->is_ready(c)) {
		r = c->transport->put(c, m);
		if (!r)
			return;
	}
	ipfix_collector_lost(c, m->records, m->events);
	if (r)
		complain_of(c, r);
}

static bool send_report(struct ipfix_collector *c, enum ipfix_report report, const struct ipfix_losses *losses)
{
	struct ipfix_shared *s = c->shared;

	ipfix_make_report(&s->scratch, report, losses);
	ipfix_finish(&s->scratch, s->settings.domain_id);
	if (c->transport->put(c, &s->scratch)) {
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
 * Reports losses to the collector when there are new ones, and every template_interval after that (RFC 7011 section 4.3
 * asks for regular reports). A collector that lost nothing gets no report.
 */
static void report_losses(struct ipfix_collector *c)
{
	struct ipfix_shared *s = c->shared;
	struct ipfix_losses metering = s->ring, exporting = sum_of(&s->ring, &c->losses);
	bool new = exporting.lost != c->told[IPFIX_REPORT_EXPORTING];
	uint64_t interval_ms = new ? REPORT_INTERVAL_MS : s->settings.template_interval * 1000ULL;

	if (!exporting.lost || !c->transport->is_ready(c))
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
	c->transport->tick(c);
	c->transport->drain(c);
	report_losses(c);
}

/* Drops the unsent messages, except one that has been sent in part. */
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
	c->transport->drain(c);
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
	return c->queue.unsent && c->transport->is_stream && c->transport->is_ready(c);
}

void ipfix_collector_free(struct ipfix_collector *c, uint64_t end_us, struct ipfix_figures *ret)
{
	char to[COLLECTOR_TEXT];

	c->transport->drain(c);
	while (waits(c) && monotonic_us() < end_us) {
		usleep(1000);
		c->transport->drain(c);
	}
	if (c->queue.events) {
		log_warning("ipfix: collector %s: %llu queued records are lost", collector_format(c->to, to),
			    (unsigned long long)c->queue.events);
		ipfix_collector_lost(c, 0, c->queue.events);
	}
	if (ret)
		*ret = c->figures;
	ipfix_socket_close(&c->socket);
	ipfix_queue_clear(&c->queue);
	free(c);
}
