/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receives the packets of a server of RADIUS accounting, many at a time, with the moment of each, and finds out what
 * its socket lost.
 */
#ifndef DETNAT_RADIUS_RECEIVE_H
#define DETNAT_RADIUS_RECEIVE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

#include "identity/identity.h"
#include "lease_writer.h"
#include "radius.h"

struct radius_server;

#define RADIUS_PER_TURN 64U
/* One octet more, so that longer packets show. */
#define RADIUS_ROOM (RADIUS_MAX + 1)

/* Room for the packets of a turn. */
struct radius_turn {
	struct mmsghdr message[RADIUS_PER_TURN];
	struct iovec iov[RADIUS_PER_TURN];
	struct sockaddr_in from[RADIUS_PER_TURN];
	union {
		struct cmsghdr header;
		uint8_t octet[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(uint32_t))];
	} control[RADIUS_PER_TURN];
	uint8_t packet[RADIUS_PER_TURN][RADIUS_ROOM];
};

struct radius_receive {
	struct radius_turn turn;
	uint32_t dropped; /* as the socket counts, what the filter discarded included */
	uint64_t full;	  /* as the network namespace counts what no buffer had room for */
	int64_t heard;	  /* when the last packet was received; TIME_NONE: none was */
};

/* Takes a packet that the kernel received at a moment, in seconds since 1970; RADIUS_ROOM octets show a longer one. */
typedef void radius_take(struct radius_server *s, const struct sockaddr_in *from, const uint8_t *packet, size_t size,
			 int64_t received, struct lease_writer *w, struct identity_figures *f);

/* The server has a new socket, which has lost nothing. */
void radius_receive_anew(struct radius_receive *r);

/* Has up to RADIUS_PER_TURN packets of a socket taken, and notes what it lost. Returns whether there may be more. */
bool radius_receive(struct radius_receive *r, int fd, radius_take *take, struct radius_server *s,
		    struct lease_writer *w, struct identity_figures *f);

#endif
