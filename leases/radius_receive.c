/* SPDX-License-Identifier: BSD-2-Clause */
#include "radius_receive.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

/* Octets of the file: a few lines. */
#define SNMP_MAX 8192U

/*
 * UDP packets that a socket's buffer had no room for, of all sockets of the network namespace: the kernel's
 * RcvbufErrors. Returns 0 if it cannot be read.
 */
static uint64_t full_buffers(void)
{
	_cleanup_close_ int fd = open("/proc/self/net/snmp", O_RDONLY | O_CLOEXEC);
	char text[SNMP_MAX], *names, *values, *name, *value, *name_left, *value_left;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	names = strstr(text, "\nUdp: ");
	values = names ? strstr(names + 1, "\nUdp: ") : NULL;
	if (!values)
		return 0;
	*values++ = '\0';
	values[strcspn(values, "\n")] = '\0';
	name = strtok_r(names, " ", &name_left);
	value = strtok_r(values, " ", &value_left);
	while (name && value && strcmp(name, "RcvbufErrors") != 0) {
		name = strtok_r(NULL, " ", &name_left);
		value = strtok_r(NULL, " ", &value_left);
	}
	return name && value ? strtoull(value, NULL, 10) : 0;
}

void radius_receive_anew(struct radius_receive *r)
{
	r->dropped = 0;
	r->full = full_buffers();
}

/* When the kernel received a packet, and how many it had to drop by then. */
static int64_t read_control(struct msghdr *m, uint32_t *dropped)
{
	struct timespec t = { .tv_sec = 0 };

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_TIMESTAMPNS)
			memcpy(&t, CMSG_DATA(c), sizeof(t));
		else if (c->cmsg_type == SO_RXQ_OVFL)
			memcpy(dropped, CMSG_DATA(c), sizeof(*dropped));
	}
	return t.tv_sec ? t.tv_sec : time(NULL);
}

/*
 * The socket counts what its filter discards with what its buffer has no room for, and only the latter is lost. Where
 * others lose packets at the same time, more may be noted than was lost.
 */
static void note_dropped(struct radius_receive *r, uint32_t dropped, int64_t received, struct lease_writer *w,
			 struct identity_figures *f)
{
	uint32_t n = dropped - r->dropped;
	uint64_t full = n ? full_buffers() : r->full, lost = full - r->full < n ? full - r->full : n;

	f->dropped += lost;
	f->strangers += n - lost;
	if (lost)
		lease_writer_lose(w, r->heard == TIME_NONE ? received : r->heard);
	r->full = full;
	r->dropped = dropped;
	r->heard = received;
}

static void prepare(struct radius_turn *t)
{
	for (unsigned i = 0; i < RADIUS_PER_TURN; i++) {
		t->iov[i] = (struct iovec){ t->packet[i], RADIUS_ROOM };
		t->message[i].msg_hdr = (struct msghdr){
			.msg_name = &t->from[i],
			.msg_namelen = sizeof(t->from[i]),
			.msg_iov = &t->iov[i],
			.msg_iovlen = 1,
			.msg_control = t->control[i].octet,
			.msg_controllen = sizeof(t->control[i]),
		};
	}
}

bool radius_receive(struct radius_receive *r, int fd, radius_take *take, struct radius_server *s,
		    struct lease_writer *w, struct identity_figures *f)
{
	struct radius_turn *t = &r->turn;
	int n;

	prepare(t);
	n = recvmmsg(fd, t->message, RADIUS_PER_TURN, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		uint32_t dropped = r->dropped;
		int64_t received = read_control(&t->message[i].msg_hdr, &dropped);

		note_dropped(r, dropped, received, w, f);
		take(s, &t->from[i], t->packet[i], t->message[i].msg_len, received, w, f);
	}
	return n == (int)RADIUS_PER_TURN;
}
