/* SPDX-License-Identifier: BSD-2-Clause */
/* What verbs and metrics ask of replication. */
#include <errno.h>

#include "peers/replication_private.h"
#include "peers/replication_state.h"

bool replication_enabled(const struct replication *r)
{
	return r->now.rules.enabled;
}

unsigned replication_peers(const struct replication *r)
{
	return r->n_peers;
}

void replication_peer(const struct replication *r, unsigned n, struct peer_figures *ret)
{
	replication_peer_figures(&r->peer[n], ret);
}

bool replication_difference(const struct replication *r, unsigned n, unsigned k, struct prefix *ret_in,
			    struct prefix *ret_out, enum copying_difference *ret_why)
{
	return copying_difference(r->copying, r->peer[n].number, k, ret_in, ret_out, ret_why);
}

const struct copying_differences *replication_differences(const struct replication *r, unsigned n)
{
	return copying_differences(r->copying, r->peer[n].number);
}

uint64_t replication_digest(const struct replication *r)
{
	return r->copying ? copying_digest(r->copying) : 0;
}

int replication_resync(struct replication *r, struct endpoint peer)
{
	for (unsigned i = 0; i < r->n_peers; i++) {
		struct replication_peer *p = &r->peer[i];
		struct peer_figures f;

		if (p->at.addr != peer.addr || p->at.port != peer.port)
			continue;
		replication_peer_figures(p, &f);
		if (f.state == PEER_DOWN)
			return -ENOTCONN;
		sender_copy_again(p->sender);
		receiver_ask_again(p->receiver);
		return 0;
	}
	return -ENOENT;
}

int replication_subscriber(const struct replication *r, uint32_t in_addr, struct copying_subscriber *ret)
{
	return r->copying ? copying_subscriber(r->copying, in_addr, ret) : -ENOENT;
}

uint64_t replication_memory(const struct replication *r)
{
	uint64_t memory = r->copying ? copying_memory(r->copying) : 0;

	for (unsigned i = 0; i < r->n_peers; i++) {
		struct peer_figures f;

		replication_peer_figures(&r->peer[i], &f);
		memory += f.memory;
	}
	return memory;
}
