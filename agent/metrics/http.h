/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small HTTP/1.1 server (RFC 9112): one address, GET and HEAD of one path, one request a connection.
 *
 * Bounded in all that a client can do, which libevent's evhttp is not: HTTP_MAX_CLIENTS connections, each
 * HTTP_MAX_AGE_S long at most whether it sends, reads or is silent, HTTP_MAX_HEADERS octets of request. When all
 * connections are taken the oldest one gives way, once it is HTTP_MIN_AGE_S old.
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

/* Appends the document to `out`; 0, or -errno for an answer of "internal server error". */
typedef int (*http_document)(struct evbuffer *out, void *arg);

struct http_site {
	const char *path; /* of the document, such as "/metrics"; outlives the server, as all here */
	const char *content_type;
	http_document document;
	void *arg;
};

/* -EADDRINUSE, -EADDRNOTAVAIL and so on. The base must outlive the result. */
int http_new(struct event_base *base, struct endpoint listen, const struct http_site *site, struct http **ret);
void http_free(struct http *h); /* closes all connections; NULL is allowed */

/* Whether an endpoint can be bound: 0 or -errno. */
int http_try(struct endpoint listen);

#endif
