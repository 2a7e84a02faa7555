// SPDX-License-Identifier: BSD-2-Clause
#include "server.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/text.h"
#include "connections.h"
#include "pages.h"

#define IDLE_S	     10U
#define HEADERS_ROOM 32768U
#define THREAD_STACK (512U << 10)
#define USER_HEADER  "X-Remote-User"
#define TYPE_TEXT    "text/plain; charset=utf-8"
#define TYPE_JSON    "application/json"
#define SECURITY_POLICY                                                                                     \
	"default-src 'none'; script-src 'self'; style-src '%s'; img-src 'self' data:; connect-src 'self'; " \
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

static const struct ask_at *place;
static bool proxied;
static struct buffer page;
static char policy[sizeof(SECURITY_POLICY) + PAGE_POLICY_HASH];

/* A request under way; made with its headers. */
struct request {
	const struct route *route;
	const char *rest;
	struct call call;
	char user[USER_NAME_MAX + 1];
	unsigned refused; /* the status by which its headers refuse it, or 0 */
	const char *refused_text;
	bool too_long, no_room;
	size_t reserved; /* of BODIES_MAX */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static size_t n_reserved;

/* Takes a share of the memory for all bodies. */
static bool reserve(struct request *q, size_t size)
{
	bool room;

	pthread_mutex_lock(&mutex);
	room = n_reserved + size <= BODIES_MAX;
	n_reserved += room ? size : 0;
	pthread_mutex_unlock(&mutex);
	q->reserved += room ? size : 0;
	return room;
}

static void request_free(struct request *q)
{
	pthread_mutex_lock(&mutex);
	n_reserved -= q->reserved;
	pthread_mutex_unlock(&mutex);
	buffer_free(&q->call.body);
	buffer_free(&q->call.out);
	close_fd(&q->call.archive);
	free(q);
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
	MHD_add_response_header(r, "Content-Type", type);
	for (unsigned i = 0; i < sizeof(headers) / sizeof(*headers); i++)
		MHD_add_response_header(r, headers[i][0], headers[i][1]);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, "Allow", "GET, HEAD, POST");
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
		MHD_add_response_header(r, "Retry-After", "5");
	result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

/* {"error":"..."} of a text that shows itself, with the letters escaped that JSON and HTML escape. */
static size_t error_json(const char *text, char *ret, size_t room)
{
	size_t n = (size_t)snprintf(ret, room, "{\"error\":\"");

	for (; *text && n + 16 < room; text++)
		if (strchr("\"\\<>&", *text))
			n += (size_t)snprintf(ret + n, room - n, "\\u%04x", (unsigned)(unsigned char)*text);
		else
			ret[n++] = *text;
	return n + (size_t)snprintf(ret + n, room - n, "\"}");
}

/* Requests for /api get JSON, others plain text, in which no browser sees HTML. */
static enum MHD_Result respond_error(struct MHD_Connection *c, const char *path, unsigned status, const char *text)
{
	bool json = !strncmp(path, "/api/", 5);
	char shown[2048], room[4096];
	size_t n;

	text_escape(shown, sizeof(shown), text, strlen(text));
	n = json ? error_json(shown, room, sizeof(room)) : (size_t)snprintf(room, sizeof(room), "%s\n", shown);

	return respond(c, status, MHD_create_response_from_buffer(n, room, MHD_RESPMEM_MUST_COPY),
		       json ? TYPE_JSON : TYPE_TEXT);
}

static enum MHD_Result respond_asset(struct MHD_Connection *c, const struct asset *a)
{
	size_t n = (size_t)(a->end - a->data);

	return respond(c, MHD_HTTP_OK,
		       MHD_create_response_from_buffer(n, (void *)(uintptr_t)a->data, MHD_RESPMEM_PERSISTENT), a->type);
}

static enum MHD_Result respond_page(struct MHD_Connection *c)
{
	return respond(c, MHD_HTTP_OK, MHD_create_response_from_buffer(page.size, page.data, MHD_RESPMEM_PERSISTENT),
		       "text/html; charset=utf-8");
}

/* The only value of a header, "" for none, or NULL if it comes twice. */
struct header {
	const char *name, *value;
	unsigned n;
};

static enum MHD_Result count_header(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct header *h = arg;

	if (!strcasecmp(name, h->name)) {
		h->value = value ? value : "";
		h->n++;
	}
	return MHD_YES;
}

static const char *only_header(struct MHD_Connection *c, const char *name)
{
	struct header h = { .name = name, .value = "" };

	MHD_get_connection_values(c, MHD_HEADER_KIND, count_header, &h);
	return h.n > 1 ? NULL : h.value;
}

/* Whether the request names this machine: a page of elsewhere whose name leads to 127.0.0.1 does not. */
static bool is_for_loopback(struct MHD_Connection *c)
{
	const char *host = only_header(c, MHD_HTTP_HEADER_HOST);
	size_t n;

	if (!host)
		return false;
	n = strcspn(host, ":");
	return (n == 9 && !strncasecmp(host, "localhost", n)) ||
	       (n > 4 && !strncmp(host, "127.", 4) && strspn(host, "0123456789.") == n);
}

/* Whether a browser says that a page of elsewhere asks. */
static bool is_from_elsewhere(struct MHD_Connection *c)
{
	const char *site = only_header(c, "Sec-Fetch-Site");

	return !site || (*site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0);
}

/* Finds who asks and with what right. 0, or the status to answer with, and its text. */
static unsigned identify(struct MHD_Connection *c, struct request *q, const char **ret_text)
{
	const char *user;

	if (!proxied) {
		*ret_text = "this is not the name of a loopback address; open the page as http://127.0.0.1 or "
			    "http://localhost";
		q->call.right = RIGHT_STATE;
		return is_for_loopback(c) ? 0 : MHD_HTTP_MISDIRECTED_REQUEST;
	}
	user = only_header(c, USER_HEADER);
	*ret_text = "nobody is named: the proxy has to authenticate, and to set " USER_HEADER " once";
	if (!user || !*user)
		return MHD_HTTP_UNAUTHORIZED;
	*ret_text = "a user's name has 1 to 64 letters, digits and ._@+-";
	if (!user_name_valid(user))
		return MHD_HTTP_FORBIDDEN;
	snprintf(q->user, sizeof(q->user), "%s", user);
	q->call.right = user_right(user);
	*ret_text = "this user is in neither of the groups detnat-lea and detnat; an administrator can add him";
	return q->call.right == RIGHT_NONE ? MHD_HTTP_FORBIDDEN : 0;
}

/* Whether the method goes with the route. */
static bool method_fits(const char *method, bool post)
{
	return post ? !strcmp(method, MHD_HTTP_METHOD_POST)
		    : !strcmp(method, MHD_HTTP_METHOD_GET) || !strcmp(method, MHD_HTTP_METHOD_HEAD);
}

/* What speaks against the request, as its headers have it: 0, or the status and a text. */
static unsigned refuse(struct MHD_Connection *c, const char *path, const char *method, struct request *q,
		       const char **ret_text)
{
	unsigned status = identify(c, q, ret_text);
	const struct asset *asset = asset_find(path);

	if (status)
		return status;
	q->route = asset ? NULL : route_find(path, &q->rest);
	*ret_text = "there is no such page; the first one is /";
	if (!asset && !q->route)
		return MHD_HTTP_NOT_FOUND;
	*ret_text = "this path is not for this method";
	if (!method_fits(method, q->route && q->route->post))
		return MHD_HTTP_METHOD_NOT_ALLOWED;
	*ret_text = "a page of elsewhere may not ask here";
	if (q->route && !q->route->page && is_from_elsewhere(c))
		return MHD_HTTP_FORBIDDEN;
	*ret_text = "the state is for members of the group detnat; an administrator can add you";
	return q->route && q->call.right < q->route->right ? MHD_HTTP_FORBIDDEN : 0;
}

/*
 * What the headers refuse is answered after the body, too: a proxy that still sends takes a closed connection for a
 * failure, and tells its client 502.
 */
static enum MHD_Result begin(struct MHD_Connection *c, const char *path, const char *method, void **state)
{
	struct request *q = calloc(1, sizeof(*q));

	if (!q)
		return MHD_NO;
	*state = q;
	q->call.at = place;
	q->call.archive = -1;
	q->call.user = q->user;
	q->call.zone = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "zone");
	q->refused = refuse(c, path, method, q, &q->refused_text);
	return MHD_YES;
}

/* Keeps a piece of the body; what is beyond the limits is read and forgotten. */
static void take(struct request *q, const char *data, size_t size)
{
	if (q->refused || q->too_long || q->no_room || !q->route || !q->route->post)
		return;
	if (q->call.body.size + size > BODY_MAX)
		q->too_long = true;
	else if (!reserve(q, size) || buffer_add(&q->call.body, data, size, BODY_MAX))
		q->no_room = true;
}

/* The response closes the file. */
static enum MHD_Result respond_archive(struct MHD_Connection *c, struct request *q)
{
	struct MHD_Response *r = MHD_create_response_from_fd64(q->call.archive_size, q->call.archive);
	char name[128];

	if (!r)
		return MHD_NO;
	q->call.archive = -1;
	snprintf(name, sizeof(name), "attachment; filename=\"%s\"", q->call.file);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_DISPOSITION, name);
	return respond(c, MHD_HTTP_OK, r, "application/x-tar");
}

static enum MHD_Result respond_answer(struct MHD_Connection *c, const char *path, struct request *q)
{
	unsigned status = route_answer(q->route, q->rest, &q->call);
	struct MHD_Response *r;

	if (status != MHD_HTTP_OK)
		return respond_error(c, path, status, q->call.err.text);
	if (*q->call.file)
		return respond_archive(c, q);
	r = MHD_create_response_from_buffer(q->call.out.size, q->call.out.data, MHD_RESPMEM_MUST_FREE);
	if (!r)
		return MHD_NO;
	q->call.out = (struct buffer){};
	return respond(c, status, r, TYPE_JSON);
}

static enum MHD_Result answer(struct MHD_Connection *c, const char *path, struct request *q)
{
	if (q->refused)
		return respond_error(c, path, q->refused, q->refused_text);
	if (q->too_long)
		return respond_error(c, path, MHD_HTTP_CONTENT_TOO_LARGE,
				     "a complaint may have 10 MB; send it in pieces");
	if (q->no_room)
		return respond_error(c, path, MHD_HTTP_SERVICE_UNAVAILABLE,
				     "too many uploads at once; try again in some seconds");
	if (!q->route)
		return respond_asset(c, asset_find(path));
	return q->route->page ? respond_page(c) : respond_answer(c, path, q);
}

static struct connection *connection_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* Called with the headers, with each piece of the body, and at its end. */
static enum MHD_Result handle(void *arg, struct MHD_Connection *c, const char *path, const char *method,
			      const char *version, const char *data, size_t *size, void **state)
{
	struct request *q = *state;

	if (!q)
		return begin(c, path, method, state);
	if (*size) {
		take(q, data, *size);
		*size = 0;
		return MHD_YES;
	}
	if (!connection_of(c))
		return MHD_NO;
	connection_has_request(connection_of(c));
	return answer(c, path, q);
}

static void completed(void *arg, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode how)
{
	if (*state)
		request_free(*state);
	*state = NULL;
}

static void followed(void *arg, struct MHD_Connection *c, void **context, enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		*context = connection_begin(MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
	else if (*context)
		connection_end(*context);
}

int server_start(const struct listening *l, const struct ask_at *at, struct error *err)
{
	char hash[PAGE_POLICY_HASH];
	int r = page_make(&page, hash);

	r = r ? r : connections_watch();
	place = at;
	proxied = l->proxied;
	if (r)
		return error_set(err, r, "cannot start: %s", strerror(-r));
	snprintf(policy, sizeof(policy), SECURITY_POLICY, hash);
	if (!MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL,
			      NULL, handle, NULL, MHD_OPTION_LISTEN_SOCKET, l->fd, MHD_OPTION_CONNECTION_LIMIT,
			      CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
			      MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADERS_ROOM, MHD_OPTION_THREAD_STACK_SIZE,
			      (size_t)THREAD_STACK, MHD_OPTION_NOTIFY_COMPLETED, completed, NULL,
			      MHD_OPTION_NOTIFY_CONNECTION, followed, NULL, MHD_OPTION_END))
		return error_set(err, -EIO, "libmicrohttpd does not start: %s", strerror(errno));
	return 0;
}
