/* SPDX-License-Identifier: BSD-2-Clause */
#include "pcp/pcp_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "pcp/pcp_message.h"

/* Messages in a slice of the event loop. */
#define MESSAGES_PER_SLICE 128U

struct pcp_announcer {
	const struct datapath *d;
	struct pcp_announce_source from;
	struct event *timer;
	unsigned left;	       /* announcements, including the one under way */
	unsigned interval_ms;  /* to the next one */
	uint32_t next_ifindex; /* of the one under way */
};

/*
 * Sends one message through one interface, from the server's address, by which clients know it: the kernel would take
 * one of the interface's. Unsent messages are lost: clients learn of the loss with their next request.
 */
static void send_by(int fd, uint32_t from, uint32_t ifindex, const uint8_t *message, size_t length)
{
	const struct in_pktinfo by = { .ipi_ifindex = (int)ifindex, .ipi_spec_dst.s_addr = htonl(from) };
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(PCP_CLIENT_PORT),
				  .sin_addr.s_addr = htonl(INADDR_ALLHOSTS_GROUP) };
	union {
		struct cmsghdr header;
		uint8_t octet[CMSG_SPACE(sizeof(by))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)message, .iov_len = length };
	struct msghdr m = { .msg_name = &to,
			    .msg_namelen = sizeof(to),
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.octet,
			    .msg_controllen = sizeof(control) };

	control.header.cmsg_level = IPPROTO_IP;
	control.header.cmsg_type = IP_PKTINFO;
	control.header.cmsg_len = CMSG_LEN(sizeof(by));
	memcpy(CMSG_DATA(&control.header), &by, sizeof(by));
	sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Sends through all sockets of its VRF on one interface and returns the number of messages. */
static unsigned send_on(const struct pcp_announcer *a, uint32_t ifindex)
{
	uint8_t message[PCP_MAX_MESSAGE];
	size_t length = pcp_announcement(a->from.epoch(a->from.arg), message);
	uint32_t from;
	unsigned n = 0;
	int fd;

	while ((fd = a->from.socket(a->from.arg, a->d->device[ifindex].vrf, n, &from)) >= 0) {
		send_by(fd, from, ifindex, message, length);
		n++;
	}
	return n;
}

static void wait_ms(struct pcp_announcer *a, unsigned ms)
{
	const struct timeval t = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	evtimer_add(a->timer, &t);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct pcp_announcer *a = arg;
	unsigned sent = 0;

	for (; a->next_ifindex < MAX_IFINDEX && sent < MESSAGES_PER_SLICE; a->next_ifindex++)
		if (a->d->device[a->next_ifindex].roles & DEVICE_INSIDE &&
		    !(a->d->device[a->next_ifindex].flags & DEVICE_VRF))
			sent += send_on(a, a->next_ifindex);
	if (a->next_ifindex < MAX_IFINDEX) {
		wait_ms(a, 1);
		return;
	}
	a->next_ifindex = 1;
	if (!--a->left)
		return;
	wait_ms(a, a->interval_ms);
	a->interval_ms *= 2;
}

int pcp_announcer_new(struct event_base *base, const struct datapath *d, const struct pcp_announce_source *from,
		      struct pcp_announcer **ret)
{
	struct pcp_announcer *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->d = d;
	a->from = *from;
	a->timer = evtimer_new(base, on_timer, a);
	if (!a->timer) {
		free(a);
		return -ENOMEM;
	}
	*ret = a;
	return 0;
}

void pcp_announcer_free(struct pcp_announcer *a)
{
	if (!a)
		return;
	event_free(a->timer);
	free(a);
}

void pcp_announce(struct pcp_announcer *a)
{
	a->left = PCP_ANNOUNCEMENTS;
	a->interval_ms = PCP_ANNOUNCE_INTERVAL_MS;
	a->next_ifindex = 1;
	wait_ms(a, 0);
}

void pcp_announce_stop(struct pcp_announcer *a)
{
	evtimer_del(a->timer);
}
