// SPDX-License-Identifier: BSD-2-Clause
#include "respond.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define TYPE_TEXT    "text/plain; charset=utf-8"
#define TYPE_JSON    "application/json"
#define TYPE_PROBLEM "application/problem+json"
#define RETRY_S	     5U
#define SECURITY_POLICY                                                                                     \
	"default-src 'none'; script-src 'self'; style-src '%s'; img-src 'self' data:; connect-src 'self'; " \
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

static struct buffer page;
static char policy[sizeof(SECURITY_POLICY) + PAGE_POLICY_HASH];

int respond_begin(void)
{
	char hash[PAGE_POLICY_HASH];
	int r = page_make(&page, hash);

	if (!r)
		snprintf(policy, sizeof(policy), SECURITY_POLICY, hash);
	return r;
}

/* Queues a response with the headers that all have. The response is released. */
static enum MHD_Result respond(struct MHD_Connection *c, unsigned status, struct MHD_Response *r, const char *type)
{
	static const char *const headers[][2] = {
		{ "Content-Security-Policy", policy },
		{ "X-Content-Type-Options", "nosniff" },
		{ "X-Frame-Options", "DENY" },
		{ "Referrer-Policy", "no-referrer" },
		{ "Cross-Origin-Opener-Policy", "same-origin" },
		{ "Cross-Origin-Resource-Policy", "same-origin" },
		{ "Cache-Control", "no-store" },
		{ "Connection", "close" },
	};
	enum MHD_Result result;

	if (!r)
		return MHD_NO;
	if (type)
		MHD_add_response_header(r, "Content-Type", type);
	for (unsigned i = 0; i < sizeof(headers) / sizeof(*headers); i++)
		MHD_add_response_header(r, headers[i][0], headers[i][1]);
	result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

enum MHD_Result respond_page(struct MHD_Connection *c)
{
	return respond(c, MHD_HTTP_OK, MHD_create_response_from_buffer(page.size, page.data, MHD_RESPMEM_PERSISTENT),
		       "text/html; charset=utf-8");
}

enum MHD_Result respond_asset(struct MHD_Connection *c, const struct asset *a)
{
	size_t n = (size_t)(a->end - a->data);

	return respond(c, MHD_HTTP_OK,
		       MHD_create_response_from_buffer(n, (void *)(uintptr_t)a->data, MHD_RESPMEM_PERSISTENT), a->type);
}

/* A text that shows itself, with the letters escaped that JSON and HTML escape. */
static size_t escaped(const char *text, char *ret, size_t room)
{
	size_t n = 0;

	for (; *text && n + 8 < room; text++)
		if (strchr("\"\\<>&", *text))
			n += (size_t)snprintf(ret + n, room - n, "\\u%04x", (unsigned)(unsigned char)*text);
		else
			ret[n++] = *text;
	ret[n] = '\0';
	return n;
}

static size_t error_text(const char *path, unsigned status, const struct refusal *why, char *ret, size_t room)
{
	char shown[2048], json[3072];

	text_escape(shown, sizeof(shown), why->text, strlen(why->text));
	escaped(shown, json, sizeof(json));
	if (why->problem)
		return (size_t)snprintf(ret, room,
					"{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"detail\":\"%s\"}",
					MHD_get_reason_phrase_for(status), status, json);
	if (!strncmp(path, "/api/", 5))
		return (size_t)snprintf(ret, room, "{\"error\":\"%s\"}", json);
	return (size_t)snprintf(ret, room, "%s\n", shown);
}

/* What a status needs besides. */
static void add_headers(struct MHD_Response *r, unsigned status, const struct refusal *why)
{
	char seconds[16];

	if (!r)
		return;
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, "Allow", why->methods ? why->methods : "GET, HEAD, POST");
	if (status == MHD_HTTP_UNAUTHORIZED && why->problem)
		MHD_add_response_header(r, "WWW-Authenticate", "Bearer realm=\"detnat\"");
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE || status == MHD_HTTP_TOO_MANY_REQUESTS) {
		snprintf(seconds, sizeof(seconds), "%u", why->retry_s ? why->retry_s : RETRY_S);
		MHD_add_response_header(r, "Retry-After", seconds);
	}
}

enum MHD_Result respond_error(struct MHD_Connection *c, const char *path, unsigned status, const struct refusal *why)
{
	char text[4096];
	size_t n = error_text(path, status, why, text, sizeof(text));
	struct MHD_Response *r = MHD_create_response_from_buffer(n, text, MHD_RESPMEM_MUST_COPY);

	add_headers(r, status, why);
	return respond(c, status, r, why->problem ? TYPE_PROBLEM : !strncmp(path, "/api/", 5) ? TYPE_JSON : TYPE_TEXT);
}

/* The response closes the file, or frees the text. */
static struct MHD_Response *take_answer(struct ask_answer *a)
{
	struct MHD_Response *r;

	if (a->fd >= 0) {
		r = MHD_create_response_from_fd64(a->size, a->fd);
		a->fd = r ? -1 : a->fd;
		return r;
	}
	r = MHD_create_response_from_buffer(a->text.size, a->text.data, MHD_RESPMEM_MUST_FREE);
	if (r)
		a->text = (struct buffer){};
	return r;
}

enum MHD_Result respond_answer(struct MHD_Connection *c, unsigned status, struct call *call)
{
	bool unchanged = *call->mark && call->known && !strcmp(call->known, call->mark);
	struct MHD_Response *r = unchanged ? MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT)
					   : take_answer(&call->answer);
	char name[128];

	if (!r)
		return MHD_NO;
	if (*call->mark)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ETAG, call->mark);
	if (*call->file) {
		snprintf(name, sizeof(name), "attachment; filename=\"%s\"", call->file);
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_DISPOSITION, name);
	}
	if (unchanged)
		return respond(c, MHD_HTTP_NOT_MODIFIED, r, NULL);
	return respond(c, status, r, *call->file ? "application/x-tar" : TYPE_JSON);
}
