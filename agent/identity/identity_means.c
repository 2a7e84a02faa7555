/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "identity/identity_worker.h"
#include "identity/radius_server.h"
#include "identity/secret_file.h"

void identity_means_free(struct identity_means *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < m->rules.n; i++)
		close_fd(&m->fd[i]);
	explicit_bzero(m->secret, sizeof(m->secret));
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

static int open_socket(struct identity_means *m, uint32_t n, struct error *err)
{
	struct endpoint at = m->rules.source[n].listen;
	char text[ADDR_TEXT];
	int r;

	m->fd[n] = radius_socket(at);
	if (m->fd[n] >= 0)
		return 0;
	r = m->fd[n];
	m->fd[n] = -1;
	return error_set(err, r, "cannot listen on %s:%u: %s%s", addr_format(at.addr, text), at.port, strerror(-r),
			 r == -EADDRNOTAVAIL ? "; it must be an address of this machine"
			 : r == -EADDRINUSE  ? "; another server is there, such as FreeRADIUS"
			 : r == -EACCES	     ? "; choose a port from 1024 up"
					     : "");
}

int identity_means_source(struct identity_means *m, uint32_t n, const struct config_leases *running,
			  const char **ret_key, struct error *err)
{
	const struct config_lease_source *s = &m->rules.source[n];
	int r;

	if (s->type != SOURCE_RADIUS)
		return 0;
	*ret_key = "secret_file";
	r = m->secret[n].size ? 0 : secret_file_read(s->secret_file, &m->secret[n], err);
	if (r || m->fd[n] >= 0 || listens(running, s->listen))
		return r;
	*ret_key = "listen";
	return open_socket(m, n, err);
}
