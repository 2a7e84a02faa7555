/* SPDX-License-Identifier: BSD-2-Clause */
#include "identity/lease_means.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/rights.h"

void lease_means_free(struct lease_means *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < m->rules.n; i++)
		close_fd(&m->fd[i]);
	explicit_bzero(m->clients, sizeof(m->clients));
	free(m->dir);
	free(m);
}

static bool listens(const struct config_leases *running, struct endpoint at)
{
	for (uint32_t i = 0; running && i < running->n; i++)
		if (running->source[i].type == SOURCE_RADIUS && endpoint_equal(running->source[i].listen, at))
			return true;
	return false;
}

/* With times of receipt, and a count of what there was no room for. A descriptor or -errno. */
static int radius_socket(struct endpoint listen)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const struct sockaddr_in at = { .sin_family = AF_INET,
					.sin_port = htons(listen.port),
					.sin_addr.s_addr = htonl(listen.addr) };
	const int on = 1;

	/* Root may; but detnat-leases gives that right up, whoever starts it. */
	if (port_needs_right(listen.port))
		return -EACCES;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on)) ||
	    bind(fd, (const struct sockaddr *)&at, sizeof(at)))
		return -errno;
	return take_fd(fd);
}

static int open_socket(struct lease_means *m, uint32_t n, struct error *err)
{
	struct endpoint at = m->rules.source[n].listen;
	char text[ADDR_TEXT];
	int r = radius_socket(at);

	if (r >= 0) {
		m->fd[n] = r;
		return 0;
	}
	return error_set(err, r, "cannot listen on %s:%u: %s%s", addr_format(at.addr, text), at.port, strerror(-r),
			 r == -EADDRNOTAVAIL ? "; it must be an address of this machine"
			 : r == -EADDRINUSE  ? "; another server is there, such as FreeRADIUS"
			 : r == -EACCES	     ? "; detnat-leases has no right to ports below 1024: choose another one"
					     : "");
}

int lease_means_source(struct lease_means *m, uint32_t n, const struct config_leases *running, const char **ret_key,
		       struct error *err)
{
	const struct config_lease_source *s = &m->rules.source[n];
	int r;

	if (s->type != SOURCE_RADIUS)
		return 0;
	r = m->clients[n].n ? 0 : radius_clients_read(s, &m->clients[n], ret_key, err);
	if (r || m->fd[n] >= 0 || listens(running, s->listen))
		return r;
	*ret_key = "listen";
	return open_socket(m, n, err);
}

int lease_means_new(const struct config_leases *rules, const char *dir, const struct config_leases *running,
		    bool at_start, struct lease_means **ret, struct lease_place *ret_place, struct error *err)
{
	struct lease_means *m = calloc(1, sizeof(*m));
	int r = 0;

	*ret_place = (struct lease_place){ 0 };
	if (!m || !(m->dir = strdup(dir))) {
		free(m);
		return error_set(err, -ENOMEM, "out of memory");
	}
	m->rules = *rules;
	memset(m->fd, -1, sizeof(m->fd));
	for (uint32_t i = 0; !r && i < m->rules.n; i++) {
		const char *key = "";

		r = lease_means_source(m, i, running, &key, err);
		r = at_start ? 0 : r;
		ret_place->source = i;
		snprintf(ret_place->key, sizeof(ret_place->key), "%s", key);
	}
	if (r)
		lease_means_free(m);
	else
		*ret = m;
	return r;
}
