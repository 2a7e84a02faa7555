// SPDX-License-Identifier: BSD-2-Clause
#include "server.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api.h"
#include "client_address.h"
#include "connections.h"
#include "notes.h"
#include "respond.h"

#define IDLE_S	     10U
#define HEADERS_ROOM 32768U
#define THREAD_STACK (512U << 10)
#define USER_HEADER  "X-Remote-User"
#define FROM_HEADER  "X-Forwarded-For"
#define TYPE_FORM    "application/x-www-form-urlencoded"

static const struct ask_at *place;
static bool proxied;

/* A request under way; made with its headers. */
struct request {
	const struct route *route;
	const char *rest;
	struct call call;
	struct api_request api; /* with a route: a program's */
	char user[USER_NAME_MAX + 1];
	unsigned status; /* by which it is refused, or 0 */
	struct refusal refusal;
	bool counted;	   /* it has its share of the requests */
	uint64_t reserved; /* of SHARE_BODIES */
};

static void request_free(struct request *q)
{
	share_give(SHARE_BODIES, &q->call.who, q->reserved);
	share_give(SHARE_REQUESTS, &q->call.who, q->counted);
	buffer_free(&q->call.body);
	ask_answer_free(&q->call.answer);
	free(q);
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

/* Whether an origin, "https://desk.example.net:8443", is of the host that is asked, whose port a proxy may not pass. */
static bool is_of_host(const char *origin, const char *host)
{
	const char *name = strstr(origin, "://");
	size_t n = strcspn(host, ":");

	if (!name || !n)
		return false;
	name += 3;
	if (strncasecmp(name, host, n) != 0)
		return false;
	return host[n] ? !strcasecmp(name + n, host + n)
		       : !name[n] || (name[n] == ':' && strspn(name + n + 1, "0123456789") == strlen(name + n + 1));
}

/* Whether a browser says that a page of elsewhere asks. Older ones say it of a POST only, by its origin. */
static bool is_from_elsewhere(struct MHD_Connection *c, const char *method)
{
	const char *site = only_header(c, "Sec-Fetch-Site"), *origin = only_header(c, MHD_HTTP_HEADER_ORIGIN);
	const char *host = only_header(c, MHD_HTTP_HEADER_HOST);

	if (!site || !origin || !host)
		return true;
	if (*site)
		return strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0;
	return *origin && !strcmp(method, MHD_HTTP_METHOD_POST) && !is_of_host(origin, host);
}

/* Finds who asks and with what right. 0, or the status to answer with, and its text. */
static unsigned identify(struct MHD_Connection *c, struct request *q, const char **ret_text)
{
	const char *user;

	q->call.who = (struct asker){ "nobody", ASKING_NOBODY };
	q->call.whom = proxied ? "nobody" : "a user of this machine";
	if (!proxied) {
		*ret_text = "this is not the name of a loopback address; open the page as http://127.0.0.1 or "
			    "http://localhost";
		q->call.rights.may = RIGHT_ALL;
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
	q->call.whom = q->user;
	q->call.named = true;
	snprintf(q->call.who.name, ASKER_NAME, "user %s", user);
	user_rights(user, &q->call.rights);
	*ret_text = "this user is in none of the groups detnat-lea, detnat-state and detnat; an administrator can add "
		    "him";
	return q->call.rights.may ? 0 : MHD_HTTP_FORBIDDEN;
}

/* What speaks against a person's request, as its headers have it: 0, or the status and a text. */
static unsigned refuse(struct MHD_Connection *c, const char *path, const char *method, struct request *q,
		       const char **ret_text)
{
	unsigned status = identify(c, q, ret_text);
	const struct asset *asset = asset_find(path);
	bool post;

	if (status)
		return status;
	q->route = asset ? NULL : route_find(path, &q->rest);
	*ret_text = "there is no such page; the first one is /";
	if (!asset && !q->route)
		return MHD_HTTP_NOT_FOUND;
	post = q->route && q->route->post;
	*ret_text = "this path is not for this method";
	if (!method_fits(method, !post, post))
		return MHD_HTTP_METHOD_NOT_ALLOWED;
	*ret_text = "a page of elsewhere may not ask here";
	if (q->route && !q->route->page && is_from_elsewhere(c, method))
		return MHD_HTTP_FORBIDDEN;
	q->call.who.asking = q->route && *q->route->words ? ASKING_STATE : ASKING_LOOKUP;
	*ret_text = "your groups do not permit this; an administrator can add you to detnat-lea for look-ups, to "
		    "detnat-state for the state, or to detnat for both and for subscribers";
	return q->route && q->route->right & ~q->call.rights.may ? MHD_HTTP_FORBIDDEN : 0;
}

static enum MHD_Result add_param(void *arg, enum MHD_ValueKind kind, const char *key, size_t key_size,
				 const char *value, size_t size)
{
	api_param(arg, key, value, size);
	return MHD_YES;
}

/* What speaks against a program's request. */
static unsigned refuse_program(struct MHD_Connection *c, const char *path, const char *method, struct request *q,
			       const char **ret_text)
{
	const char *forwarded = only_header(c, FROM_HEADER);
	char client[CLIENT_TEXT] = "";
	unsigned status;

	q->refusal.problem = true;
	q->call.who = (struct asker){ "no program", ASKING_NOBODY };
	q->api.route = api_find(path);
	*ret_text = "there is no such path; " API_DOCUMENT " has all";
	if (!q->api.route)
		return MHD_HTTP_NOT_FOUND;
	*ret_text = "this path is not for this method";
	q->refusal.methods = api_methods(q->api.route);
	if (!method_fits(method, q->api.route->get, q->api.route->post))
		return MHD_HTTP_METHOD_NOT_ALLOWED;
	if (!q->api.route->ask)
		return 0;
	if (proxied && forwarded)
		client_address(forwarded, client);
	status = api_identify(&q->api, only_header(c, MHD_HTTP_HEADER_AUTHORIZATION), client, &q->call);
	*ret_text = q->api.pass.why;
	q->refusal.retry_s = q->api.pass.retry_s;
	if (status)
		api_note_refusal(&q->api, status, &q->call);
	else
		MHD_get_connection_values_n(c, MHD_GET_ARGUMENT_KIND, add_param, &q->api);
	return status;
}

static void note_refusal(struct request *q, const char *path, unsigned status, const char *why)
{
	const char *rest;
	const struct route *route = route_find(path, &rest);

	if (status == MHD_HTTP_UNAUTHORIZED || status == MHD_HTTP_FORBIDDEN)
		note_refused_page(&q->call, route ? route->path : NULL, path, status, why);
}

/* The request takes its share, so that those of one asker, or all of programs, leave room for others. */
static void count(struct request *q)
{
	q->counted = share_take(SHARE_REQUESTS, &q->call.who, 1);
	if (q->counted || q->status)
		return;
	q->status = MHD_HTTP_SERVICE_UNAVAILABLE;
	q->refusal.text = "too many requests at once; try again in some seconds";
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
	q->call.answer = ASK_NO_ANSWER;
	q->call.user = q->user;
	q->call.zone = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "zone");
	q->call.verdict = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "verdict") != NULL;
	q->call.after = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "after");
	q->call.known = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH);
	q->call.client = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	if (api_owns(path)) {
		q->status = refuse_program(c, path, method, q, &q->refusal.text);
	} else {
		q->status = refuse(c, path, method, q, &q->refusal.text);
		note_refusal(q, path, q->status, q->refusal.text);
	}
	count(q);
	return MHD_YES;
}

static bool takes_body(const struct request *q)
{
	return q->api.route ? q->api.route->post : q->route && q->route->post;
}

/* Keeps a piece of the body; what is beyond the limits is read and forgotten. */
static void take(struct request *q, const char *data, size_t size)
{
	if (q->status || !takes_body(q))
		return;
	if (q->call.body.size + size > BODY_MAX) {
		q->status = MHD_HTTP_CONTENT_TOO_LARGE;
		q->refusal.text = "a complaint may have 10 MB; send it in pieces";
		return;
	}
	if (share_take(SHARE_BODIES, &q->call.who, size)) {
		q->reserved += size;
		if (!buffer_add(&q->call.body, data, size, BODY_MAX))
			return;
	}
	q->status = MHD_HTTP_SERVICE_UNAVAILABLE;
	q->refusal.text = "too many uploads at once; try again in some seconds";
}

/* A field of a form, in pieces. */
struct form {
	struct api_request *api;
	char key[64], value[PARAM_ROOM];
	size_t size;
	bool begun;
};

static void end_field(struct form *f)
{
	if (f->begun)
		api_param(f->api, f->key, f->value, f->size);
	f->begun = false;
}

static enum MHD_Result add_piece(void *arg, enum MHD_ValueKind kind, const char *key, const char *file,
				 const char *type, const char *coding, const char *data, uint64_t at, size_t size)
{
	struct form *f = arg;

	if (!at) {
		end_field(f);
		snprintf(f->key, sizeof(f->key), "%s", key);
		f->begun = true;
		f->size = 0;
	}
	/* What is too long stays so. */
	size = size < sizeof(f->value) - f->size ? size : sizeof(f->value) - f->size;
	if (size)
		memcpy(f->value + f->size, data, size);
	f->size += size;
	return MHD_YES;
}

static void read_form(struct MHD_Connection *c, struct request *q)
{
	struct form f = { .api = &q->api };
	struct MHD_PostProcessor *p = MHD_create_post_processor(c, 4096, add_piece, &f);

	if (!p)
		return;
	MHD_post_process(p, q->call.body.data, q->call.body.size);
	MHD_destroy_post_processor(p);
	end_field(&f);
}

static bool is_form(struct MHD_Connection *c)
{
	const char *type = only_header(c, MHD_HTTP_HEADER_CONTENT_TYPE);
	size_t n = strlen(TYPE_FORM);

	return type && !strncasecmp(type, TYPE_FORM, n) && (!type[n] || strchr("; ", type[n]));
}

static enum MHD_Result answer_program(struct MHD_Connection *c, const char *path, struct request *q)
{
	unsigned status;

	if (!q->api.route->ask)
		return respond_asset(c, asset_find(path));
	if (q->call.body.size && api_takes_form(q->api.route) && is_form(c))
		read_form(c, q);
	else
		q->api.list = q->call.body.size || !api_takes_form(q->api.route);
	status = api_answer(&q->api, &q->call);
	q->refusal.text = q->call.err.text;
	q->refusal.retry_s = q->api.pass.retry_s;
	return status == MHD_HTTP_OK ? respond_answer(c, status, &q->call)
				     : respond_error(c, path, status, &q->refusal);
}

static enum MHD_Result answer(struct MHD_Connection *c, const char *path, struct request *q)
{
	unsigned status;

	if (q->status)
		return respond_error(c, path, q->status, &q->refusal);
	if (q->api.route)
		return answer_program(c, path, q);
	if (!q->route)
		return respond_asset(c, asset_find(path));
	if (q->route->page)
		return respond_page(c);
	status = route_answer(q->route, q->rest, &q->call);
	note_refusal(q, path, status, q->call.err.text);
	q->refusal.text = q->call.err.text;
	return status == MHD_HTTP_OK ? respond_answer(c, status, &q->call)
				     : respond_error(c, path, status, &q->refusal);
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
	int r = respond_begin();

	r = r ? r : connections_watch();
	place = at;
	proxied = l->proxied;
	if (r)
		return error_set(err, r, "cannot start: %s", strerror(-r));
	if (!MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL,
			      NULL, handle, NULL, MHD_OPTION_LISTEN_SOCKET, l->fd, MHD_OPTION_CONNECTION_LIMIT,
			      CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
			      MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADERS_ROOM, MHD_OPTION_THREAD_STACK_SIZE,
			      (size_t)THREAD_STACK, MHD_OPTION_NOTIFY_COMPLETED, completed, NULL,
			      MHD_OPTION_NOTIFY_CONNECTION, followed, NULL, MHD_OPTION_END))
		return error_set(err, -EIO, "libmicrohttpd does not start: %s", strerror(errno));
	return 0;
}
