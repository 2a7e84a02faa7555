// SPDX-License-Identifier: BSD-2-Clause
#include "client.h"
#include "json_get.h"
#include "proto/defaults.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define READ_SIZE (64U << 10)
/* Longer than any line the agent sends. */
#define MAX_LINE (64U << 20)

static int connect_error(int r, const char *path, struct error *err)
{
	switch (r) {
	case -ENOENT:
		return error_set(err, r, "no agent: %s does not exist; start detnat-agent, or name its socket with -s",
				 path);
	case -ECONNREFUSED:
		return error_set(err, r, "no agent answers at %s; start detnat-agent", path);
	case -EACCES:
	case -EPERM:
		return error_set(err, r, "no permission to use %s; be root, or a member of the group detnat", path);
	case -EAGAIN:
	case -ETIMEDOUT:
		return error_set(err, r, "the agent at %s accepts no connection", path);
	}
	return error_set(err, r, "cannot reach the agent at %s: %s", path, strerror(-r));
}

/* Bounds every send and, on a socket that is not connected yet, the connect. */
static int set_patience(int fd)
{
	struct timeval tv = { .tv_sec = CLIENT_PATIENCE_S };

	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) ? -errno : 0;
}

int client_connect(const char *path, struct client *ret, struct error *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int r;

	if (fd < 0)
		return error_set(err, -errno, "cannot make a socket: %s", strerror(errno));
	if (!*path || strlen(path) >= sizeof(sa.sun_path))
		return error_set(err, -ENAMETOOLONG, "the path of a socket has 1 to %zu octets",
				 sizeof(sa.sun_path) - 1);
	strcpy(sa.sun_path, path);
	r = set_patience(fd);
	if (!r && connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		r = -errno;
	if (r)
		return connect_error(r, path, err);
	ret->fd = take_fd(fd);
	return 0;
}

void client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->buffer);
	c->buffer = NULL;
	c->fd = -1;
	c->start = c->end = c->size = 0;
}

static int send_line(struct client *c, const char *text, struct error *err)
{
	_cleanup_free_ char *line = NULL;
	int size = asprintf(&line, "%s\n", text);

	if (size < 0) {
		line = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	for (size_t sent = 0; sent < (size_t)size;) {
		ssize_t n = send(c->fd, line + sent, (size_t)size - sent, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return error_set(err, -errno, "the agent takes no request: %s", strerror(errno));
		sent += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int client_request(struct client *c, const char *verb, const cJSON *args, struct error *err)
{
	_cleanup_json_ cJSON *request = cJSON_CreateObject();
	_cleanup_free_ char *text = NULL;

	cJSON_AddStringToObject(request, "verb", verb);
	if (args)
		cJSON_AddItemReferenceToObject(request, "args", (cJSON *)args);
	text = cJSON_PrintUnformatted(request);
	return text ? send_line(c, text, err) : error_set(err, -ENOMEM, "out of memory");
}

int client_batch(struct client *c, const cJSON *requests, struct error *err)
{
	_cleanup_json_ cJSON *request = cJSON_CreateObject();
	_cleanup_free_ char *text = NULL;

	cJSON_AddItemReferenceToObject(request, "batch", (cJSON *)requests);
	text = cJSON_PrintUnformatted(request);
	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	if (strlen(text) + 1 >= CONTROL_MAX_BATCH)
		return error_set(err, -E2BIG,
				 "more commands than fit into one change (%u KiB of requests); edit the configuration "
				 "file and reload, or run them one by one with --force",
				 CONTROL_MAX_BATCH >> 10);
	return send_line(c, text, err);
}

static int make_room(struct client *c)
{
	char *larger;

	if (c->start) {
		memmove(c->buffer, c->buffer + c->start, c->end - c->start);
		c->end -= c->start;
		c->start = 0;
	}
	if (c->size - c->end >= READ_SIZE)
		return 0;
	if (c->size >= MAX_LINE)
		return -EMSGSIZE;
	larger = realloc(c->buffer, c->size * 2 + READ_SIZE);
	if (!larger)
		return -ENOMEM;
	c->buffer = larger;
	c->size = c->size * 2 + READ_SIZE;
	return 0;
}

static int wait_readable(const struct client *c, struct error *err)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	int r = c->before_wait ? c->before_wait(c, c->before_wait_arg) : 0;

	if (r)
		return r;
	do
		r = poll(&p, 1, CLIENT_PATIENCE_S * 1000);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return error_set(err, -errno, "cannot wait for the agent: %s", strerror(errno));
	if (!r)
		return error_set(err, -ETIMEDOUT, "the agent has said nothing for %u seconds", CLIENT_PATIENCE_S);
	return 0;
}

static int read_more(struct client *c, struct error *err)
{
	int r = make_room(c);
	ssize_t n;

	if (r)
		return error_set(err, r, "cannot take the agent's answer: %s", strerror(-r));
	r = wait_readable(c, err);
	if (r)
		return r;
	n = read(c->fd, c->buffer + c->end, c->size - c->end);
	if (n < 0 && errno == EINTR)
		return 0;
	if (n < 0)
		return error_set(err, -errno, "the agent went away: %s", strerror(errno));
	if (!n)
		return error_set(err, -EPIPE, "the agent went away in the middle of its answer");
	c->end += (size_t)n;
	return 0;
}

/* Returns the next non-empty line, without its newline, NUL-terminated and valid until the next call. */
static int read_line(struct client *c, char **ret_line, size_t *ret_size, struct error *err)
{
	size_t searched = 0;

	for (;;) {
		char *line = c->buffer + c->start;
		size_t length = c->end - c->start;
		char *newline = length > searched ? memchr(line + searched, '\n', length - searched) : NULL;

		if (!newline) {
			int r = read_more(c, err);

			if (r)
				return r;
			searched = length;
			continue;
		}
		c->start += (size_t)(newline + 1 - line);
		searched = 0;
		if (newline == line)
			continue;
		*newline = 0;
		*ret_line = line;
		*ret_size = (size_t)(newline - line);
		return 0;
	}
}

int client_not_agent(struct error *err)
{
	return error_set(err, -EPROTO, "the process at this socket is not detnat-agent, or is another version");
}

/*
 * Finds the text of a member in an object that cJSON has parsed successfully. cJSON keeps numbers as doubles, so a
 * result printed from it would round 64-bit counters. Returns NULL if there is no such member.
 */
static const char *member_text(const char *object, size_t size, const char *name, size_t *ret_size)
{
	const char *at = object, *end = object + size;

	for (;;) {
		_cleanup_json_ cJSON *key = NULL, *value = NULL;
		const char *begin;

		at += strspn(at, "{, \t\r");
		key = cJSON_ParseWithLengthOpts(at, (size_t)(end - at), &at, false);
		if (!cJSON_IsString(key))
			return NULL;
		at += strspn(at, ": \t\r");
		begin = at;
		value = cJSON_ParseWithLengthOpts(at, (size_t)(end - at), &at, false);
		if (!value)
			return NULL;
		if (!strcmp(key->valuestring, name)) {
			*ret_size = (size_t)(at - begin);
			return begin;
		}
	}
}

static int refused(const cJSON *answer, struct answer *ret, struct error *err)
{
	const cJSON *status = cJSON_GetObjectItemCaseSensitive(answer, "status");
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "error"));

	if (!cJSON_IsNumber(status) || !text)
		return client_not_agent(err);
	ret->status = status->valueint;
	ret->request = (unsigned)json_number(answer, "request");
	return error_set(err, -EREMOTEIO, "%s", text);
}

int client_answer(struct client *c, struct answer *ret, struct error *err)
{
	_cleanup_json_ cJSON *answer = NULL;
	const cJSON *ok;
	char *line;
	size_t size;
	int r = read_line(c, &line, &size, err);

	*ret = (struct answer){};
	if (r)
		return r;
	answer = cJSON_ParseWithLength(line, size);
	/* "ok" is the first member; the result after it can be of any length. */
	ok = cJSON_IsObject(answer) ? answer->child : NULL;
	if (!cJSON_IsBool(ok) || strcmp(ok->string, "ok") != 0)
		return client_not_agent(err);
	if (!cJSON_IsTrue(ok))
		return refused(answer, ret, err);
	ret->stream = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "stream"));
	if (ret->stream)
		return 0;
	ret->text = member_text(line, size, "result", &ret->size);
	if (!ret->text)
		return client_not_agent(err);
	ret->json = cJSON_DetachItemFromObjectCaseSensitive(answer, "result");
	return 0;
}

static int stream_ended(const cJSON *end, const cJSON *line, struct error *err)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "error"));

	return cJSON_IsTrue(end) ? 0 : error_set(err, -EREMOTEIO, "%s", text ? text : "the listing broke off");
}

int client_element(struct client *c, bool parse, struct answer *ret, struct error *err)
{
	_cleanup_json_ cJSON *json = NULL;
	const cJSON *end;
	char *line;
	size_t size;
	int r = read_line(c, &line, &size, err);

	*ret = (struct answer){};
	if (r)
		return r;
	/*
	 * A JSON listing of millions of sessions is not parsed: only a line that contains this word can be the last
	 * one.
	 */
	parse = parse || memmem(line, size, "\"end\"", 5);
	if (parse)
		json = cJSON_ParseWithLength(line, size);
	if (line[0] != '{' || line[size - 1] != '}' || (parse && !json))
		return client_not_agent(err);
	end = cJSON_GetObjectItemCaseSensitive(json, "end");
	if (end)
		return stream_ended(end, json, err);
	ret->json = take_pointer(json);
	ret->text = line;
	ret->size = size;
	return 1;
}
