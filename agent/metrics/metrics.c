/* SPDX-License-Identifier: BSD-2-Clause */
#include "metrics/metrics.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/trouble.h"
#include "metrics/exposition.h"
#include "metrics/http.h"
#include "metrics/page.h"
#include "metrics/usage_monitor.h"

struct metrics {
	struct event_base *base;
	const struct parts *from;
	struct metrics_text *text;
	struct http *http; /* NULL: not served */
	struct endpoint listen;
	bool waits; /* for the address or port in listen, which is not available */
	struct event *retry;
};

static void on_retry(evutil_socket_t fd, short what, void *arg);

static const struct http_form forms[] = {
	[METRICS_PROMETHEUS] = { "text/plain", "text/plain; version=0.0.4; charset=utf-8" },
	[METRICS_OPENMETRICS] = { "application/openmetrics-text",
				  "application/openmetrics-text; version=1.0.0; charset=utf-8" },
};

static int document(struct evbuffer *out, unsigned form, void *arg)
{
	struct metrics *m = arg;

	return metrics_text(m->text, form, out);
}

static void on_usage(void *arg)
{
	struct metrics *m = arg;

	if (m->http)
		metrics_text_gather(m->text);
}

int metrics_new(struct event_base *base, const struct parts *from, struct metrics **ret, struct error *err)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (!m)
		return error_set(err, -ENOMEM, "out of memory");
	m->base = base;
	m->from = from;
	m->retry = evtimer_new(base, on_retry, m);
	if (!m->retry || metrics_text_new(base, from, &m->text)) {
		if (m->retry)
			event_free(m->retry);
		free(m);
		return error_set(err, -ENOMEM, "out of memory");
	}
	usage_on_end(from->usage, on_usage, m);
	*ret = m;
	return 0;
}

static void stop_waiting(struct metrics *m)
{
	m->waits = false;
	event_del(m->retry);
	trouble_clear(TROUBLE_METRICS);
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	usage_on_end(m->from->usage, NULL, NULL);
	stop_waiting(m);
	event_free(m->retry);
	http_free(m->http);
	metrics_text_free(m->text);
	free(m);
}

static int refuse(struct endpoint at, int r, unsigned line, const char *name, struct error *err)
{
	char addr[ADDR_TEXT];

	return config_refuse(err, r, name, line, "metrics.listen", "cannot listen on %s:%u: %s",
			     addr_format(at.addr, addr), at.port, strerror(-r));
}

static struct http_site site_of(struct metrics *m)
{
	return (struct http_site){ "/metrics", forms, ARRAY_SIZE(forms), document, m };
}

/* The metrics name no subscriber, but reveal the number of subscribers and their activity. */
static void warn_of_all_addresses(struct endpoint at)
{
	if (!at.addr)
		log_warning("metrics.listen: 0.0.0.0 is every address, those towards the internet and the subscribers "
			    "included; name the one that the monitoring uses, or keep others out with a firewall");
}

static void serve(struct metrics *m, struct http *http, struct endpoint at)
{
	char addr[ADDR_TEXT];

	stop_waiting(m);
	http_free(m->http);
	m->http = http;
	m->listen = at;
	log_info("metrics are served at http://%s:%u%s", addr_format(at.addr, addr), at.port, site_of(m).path);
	warn_of_all_addresses(at);
	usage_hurry(m->from->usage);
}

static void wait_for(struct metrics *m, struct endpoint at, int r)
{
	static const struct timeval second = { .tv_sec = 1 };
	struct error why = { 0 };

	http_free(take_pointer(m->http));
	m->listen = at;
	m->waits = true;
	refuse(at, r, 0, NULL, &why);
	trouble_set(TROUBLE_METRICS, "%s; tried again every second", why.text);
	evtimer_add(m->retry, &second);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct metrics *m = arg;
	const struct http_site site = site_of(m);
	struct http *http;
	int r = http_new(m->base, m->listen, &site, &http);

	if (!r) {
		serve(m, http, m->listen);
		return;
	}
	wait_for(m, m->listen, r);
}

int metrics_configure(struct metrics *m, const struct config *c, bool wait, const char *name, struct error *err)
{
	const struct http_site site = site_of(m);
	struct endpoint to = c->metrics_listen;
	struct http *http = NULL;
	int r;

	if (!c->metrics_enabled) {
		if (m->http)
			log_info("metrics are no longer served");
		stop_waiting(m);
		http_free(take_pointer(m->http));
		return 0;
	}
	if ((m->http || m->waits) && m->listen.addr == to.addr && m->listen.port == to.port)
		return 0;
	r = http_new(m->base, to, &site, &http);
	/* The old and the new address may collide, if one is 0.0.0.0. */
	if (r == -EADDRINUSE && m->http && m->listen.port == to.port) {
		http_free(take_pointer(m->http));
		r = http_new(m->base, to, &site, &http);
		if (r)
			http_new(m->base, m->listen, &site, &m->http);
	}
	if (!r) {
		serve(m, http, to);
		return 0;
	}
	if (!wait)
		return refuse(to, r, config_line(c, "metrics.listen"), name, err);
	wait_for(m, to, r);
	return 0;
}

int metrics_check(const struct config *c, const struct config *running, const char *name, struct error *err)
{
	int r = c->metrics_enabled ? http_try(c->metrics_listen) : 0;

	if (c->metrics_enabled)
		warn_of_all_addresses(c->metrics_listen);
	if (r == -EADDRINUSE && running && running->metrics_enabled &&
	    running->metrics_listen.port == c->metrics_listen.port)
		return 0;
	return r ? refuse(c->metrics_listen, r, config_line(c, "metrics.listen"), name, err) : 0;
}
