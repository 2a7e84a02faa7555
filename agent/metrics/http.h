/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private to metrics/: a small HTTP/1.1 server (RFC 9112). It has one address, serves GET and HEAD of one path, and
 * answers one request per connection.
 *
 * Unlike libevent's evhttp it bounds what clients can do: HTTP_MAX_CLIENTS connections, each of HTTP_MAX_AGE_S at most
 * whether it sends, reads or is idle, and HTTP_MAX_HEADERS octets of request. When all connections are in use, the
 * oldest one is closed, once it is HTTP_MIN_AGE_S old.
 */
#ifndef DETNAT_HTTP_H
#define DETNAT_HTTP_H

#include <event2/buffer.h>
#include <event2/event.h>

#include "config/config.h"

#define HTTP_MAX_CLIENTS 32U
#define HTTP_MAX_HEADERS 8192U
#define HTTP_MAX_AGE_S	 10U
#define HTTP_MIN_AGE_S	 1U

struct http;

/* One form of the document. */
struct http_form {
	const char *media_type; /* as clients name it in the header field Accept */
	const char *content_type;
};

/* Appends the document in a form to `out`: 0, or -errno, answered by "internal server error". */
typedef int (*http_document)(struct evbuffer *out, unsigned form, void *arg);

/* All members must outlive the server. */
struct http_site {
	const char *path; /* of the document, such as "/metrics" */
	/* A client gets the first form that it names; else the first of all. */
	const struct http_form *forms;
	unsigned n_forms;
	http_document document;
	void *arg;
};

/* -EADDRINUSE, -EADDRNOTAVAIL and so on. The base must outlive the result. */
int http_new(struct event_base *base, struct endpoint listen, const struct http_site *site, struct http **ret);
void http_free(struct http *h); /* closes all connections; NULL is allowed */

/* Whether an endpoint can be bound: 0 or -errno. */
int http_try(struct endpoint listen);

#endif
