/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagnosis/check_peers.h"

#include <stdlib.h>

#include "base/address.h"
#include "base/clock.h"

/* What is believed is seen so often, as sessions come and go, at this distance. */
#define LOOKS	 3U
#define PAUSE_US 1100000U

static const char *where(const struct peer_figures *f, char text[static 64])
{
	char span[SPAN_TEXT];

	snprintf(text, 64, "peer %s",
		 span_format((struct port_span){ f->peer.addr, f->peer.port, f->peer.port }, span));
	return text;
}

static void add_differences(const struct replication *x, unsigned n, const struct peer_figures *f,
			    struct findings *findings)
{
	const struct copying_differences *all = replication_differences(x, n);
	char at[64], text[COPYING_DIFFERENCE_LINE];

	for (uint32_t i = 0; i < all->n; i++) {
		if (!all->item[i].matters)
			continue;
		replication_difference_text(&all->item[i], text);
		findings_add(findings, FINDING_PEER, false, where(f, at), "%s", text);
	}
}

/* Whether a mapping is not exchanged with a peer, as one that drains here alone: of its sessions the peer has no copy.
 */
static bool leaves_out(const struct replication *x, unsigned n)
{
	enum copying_difference why;
	struct prefix in, out;

	return replication_difference(x, n, 0, &in, &out, &why);
}

/* Sessions of addresses that drain here: where the drain is over at the peer, it has no copies of them. */
static uint64_t draining(const struct mappings *m)
{
	const struct mapping_drain *d;
	uint64_t sum = 0;

	for (size_t n = mappings_drains(m, &d); n--; d++)
		if (__builtin_add_overflow(sum, d->sessions, &sum))
			return UINT64_MAX;
	return sum;
}

/*
 * Sessions that this gateway has told are copies there, but for those that drain and a few that are under way or find
 * no room. A difference of less than a twentieth says nothing.
 */
static bool lacks_copies(const struct replication *x, unsigned n, const struct peer_figures *f,
			 const struct mappings *m)
{
	uint64_t there = f->copies_there, told = f->told_then, most = told > there ? told : there;
	uint64_t differ = most - (told < there ? told : there), few = 16 + most / 20;

	return f->has_copies_there && !f->differ && differ > few && differ - few > draining(m) && !leaves_out(x, n);
}

static void add_lack(const struct peer_figures *f, struct findings *findings)
{
	char at[64];

	findings_add(findings, FINDING_PEER, false, where(f, at),
		     "it has copies of %llu sessions, and was told %llu: `peer list` and the log there say why",
		     (unsigned long long)f->copies_there, (unsigned long long)f->told_then);
}

int check_peers(struct check_peers *p, const struct replication *x, const struct mappings *m, struct findings *findings,
		unsigned *ret_compared)
{
	bool again = false;

	if (monotonic_us() < p->next_us)
		return 1;
	*ret_compared = 0;
	for (unsigned n = 0; x && n < replication_peers(x); n++) {
		struct peer_figures f;

		replication_peer(x, n, &f);
		if (f.state != PEER_SYNCHRONISED && f.state != PEER_DIFFERS)
			continue;
		++*ret_compared;
		if (!p->looks && f.differs_long)
			add_differences(x, n, &f, findings);
		p->lacks[n] += lacks_copies(x, n, &f, m);
		again |= p->lacks[n] == p->looks + 1;
		if (p->lacks[n] == LOOKS)
			add_lack(&f, findings);
	}
	p->next_us = monotonic_us() + PAUSE_US;
	return ++p->looks < LOOKS && again;
}
