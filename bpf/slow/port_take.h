/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the searches for a port share: which ports they take, and how one is taken from a session that has ended. */
#ifndef DETNAT_PORT_TAKE_H
#define DETNAT_PORT_TAKE_H

#include "slow/open.h"
#include "slow/open_stray.h"

/* Values of opening.port besides an offset in the block. */
#define PORT_NONE	 (-1)
#define PORT_OF_EXISTING (-2) /* another core has opened the flow's session meanwhile */

/*
 * Under the lock: ends the session in a slot for its port, which becomes opening.port, if it is in the state that `of`
 * names. Returns 1 if so.
 */
SUBPROGRAM int port_take(const struct mapping *m, struct subscriber *s, struct slot *slot, const struct packet *p,
			 __u32 of)
{
	struct opening *o = opening_record();
	__u32 port;

	if (!m || !s || !slot || !p || !o)
		return 0;
	port = word_out_port(LOAD(slot->truth));
	if (port_is_withheld(m, s, p, port) || !slot_gives_way(m, s, slot, mapping_subscriber(&m->geo, p->src), of))
		return 0;
	opening_choose(o, (__s32)(port - LOAD(o->port_lo)));
	return 1;
}

/* The sessions in a scan whose ports a search takes for `of`. */
static __always_inline __u32 port_mask(const struct opening *o, __u32 of)
{
	return of == PORT_FREE ? 0 : of == PORT_OF_RESET ? LOAD(o->reset_port) : LOAD(o->time_wait_port);
}

#endif
