// SPDX-License-Identifier: BSD-2-Clause
/* The hosts of an IPv6 subscriber. */
#include <errno.h>

#include "sessions/sessions.h"

/* A subscriber has some thousands of sessions at most, which are looked at in one go. */
#define SLICE_US 1000U

static int count_host(const struct session *s, void *arg)
{
	struct subscriber_hosts *h = arg;
	unsigned i = 0;

	if (!s->counts)
		return 0;
	while (i < h->n && !address6_equal(&h->addr[i], &s->host))
		i++;
	/* Hosts give way to others while they are counted. */
	if (i == HOSTS_MAX)
		return 0;
	if (i == h->n)
		h->addr[h->n++] = s->host;
	h->sessions[i]++;
	return 0;
}

int subscriber_hosts_read(struct mappings *m, uint32_t in_addr, struct subscriber_hosts *ret)
{
	struct session_walk *walk;
	int number = mappings_find_any(m, in_addr);
	int r = number < 0 ? -ENOENT : session_walk_new_subscriber(m, inside_place(0, in_addr), &walk);

	if (r)
		return r;
	*ret = (struct subscriber_hosts){ .most = mappings_hosts(m, mappings_get(m, number)) };
	while (session_walk_step(walk, SLICE_US, count_host, ret) > 0)
		;
	session_walk_free(walk);
	return 0;
}
