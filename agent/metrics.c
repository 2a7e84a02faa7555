/* SPDX-License-Identifier: BSD-2-Clause */
#include "metrics.h"

#include <errno.h>
#include <string.h>

#include "log.h"
#include "metrics_http.h"
#include "metrics_text.h"
#include "metrics_write.h"
#include "usage.h"

struct metrics {
	struct agent *agent;
	struct metrics_text *text;
	struct http *http; /* NULL: not served */
	struct endpoint listen;
};

static int document(struct evbuffer *out, void *arg)
{
	struct metrics *m = arg;

	return metrics_text(m->text, out);
}

static void on_usage(void *arg)
{
	struct metrics *m = arg;

	if (m->http)
		metrics_text_gather(m->text);
}

int metrics_new(struct agent *a, struct metrics **ret, struct error *err)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (!m)
		return error_set(err, -ENOMEM, "out of memory");
	m->agent = a;
	if (metrics_text_new(a, &m->text)) {
		free(m);
		return error_set(err, -ENOMEM, "out of memory");
	}
	usage_on_end(a->usage, on_usage, m);
	*ret = m;
	return 0;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	usage_on_end(m->agent->usage, NULL, NULL);
	http_free(m->http);
	metrics_text_free(m->text);
	free(m);
}

static int refuse(const struct config *c, int r, const char *name, struct error *err)
{
	char addr[ADDR_TEXT];

	return config_refuse(err, r, name, 0, "metrics.listen", "cannot listen on %s:%u: %s",
			     addr_format(c->metrics_listen.addr, addr), c->metrics_listen.port, strerror(-r));
}

int metrics_configure(struct metrics *m, const struct config *c, const char *name, struct error *err)
{
	const struct http_site site = { "/metrics", METRICS_CONTENT_TYPE, document, m };
	struct endpoint to = c->metrics_listen;
	struct http *http = NULL;
	char addr[ADDR_TEXT];
	int r;

	if (!c->metrics_enabled) {
		if (m->http)
			log_info("metrics are no longer served");
		http_free(take_pointer(m->http));
		return 0;
	}
	if (m->http && m->listen.addr == to.addr && m->listen.port == to.port)
		return 0;
	r = http_new(m->agent->base, to, &site, &http);
	/* One of the two addresses may be that of all interfaces. */
	if (r == -EADDRINUSE && m->http && m->listen.port == to.port) {
		http_free(take_pointer(m->http));
		r = http_new(m->agent->base, to, &site, &http);
		if (r)
			http_new(m->agent->base, m->listen, &site, &m->http);
	}
	if (r)
		return refuse(c, r, name, err);
	http_free(m->http);
	m->http = http;
	m->listen = to;
	log_info("metrics are served at http://%s:%u%s", addr_format(to.addr, addr), to.port, site.path);
	usage_hurry(m->agent->usage);
	return 0;
}

int metrics_check(const struct config *c, const struct config *running, const char *name, struct error *err)
{
	int r = c->metrics_enabled ? http_try(c->metrics_listen) : 0;

	if (r == -EADDRINUSE && running && running->metrics_enabled &&
	    running->metrics_listen.port == c->metrics_listen.port)
		return 0;
	return r ? refuse(c, r, name, err) : 0;
}
