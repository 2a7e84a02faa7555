// SPDX-License-Identifier: BSD-2-Clause
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define READ_SIZE (64U << 10)
/* No agent sends a longer line. */
#define MAX_LINE (64U << 20)

static int explain(int r, const char *path, struct error *err)
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
		return explain(r, path, err);
	*ret = (struct client){ .fd = take_fd(fd) };
	return 0;
}

void client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->buffer);
	*c = (struct client){ .fd = -1 };
}

int client_send(struct client *c, const char *text, struct error *err)
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

static int read_more(struct client *c, struct error *err)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	int r = make_room(c);
	ssize_t n;

	if (r)
		return error_set(err, r, "cannot take the agent's answer: %s", strerror(-r));
	do
		r = poll(&p, 1, CLIENT_PATIENCE_S * 1000);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return error_set(err, -errno, "cannot wait for the agent: %s", strerror(errno));
	if (!r)
		return error_set(err, -ETIMEDOUT, "the agent has said nothing for %u seconds", CLIENT_PATIENCE_S);
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

bool client_has_line(const struct client *c)
{
	return c->end > c->start && memchr(c->buffer + c->start, '\n', c->end - c->start);
}

int client_line(struct client *c, const char **ret_line, size_t *ret_size, struct error *err)
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
