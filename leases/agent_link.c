/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent_link.h"

#include <detnat/version.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/base.h"
#include "base/log.h"
#include "host/paths.h"

int agent_link_open(struct agent_link *l, int fd, struct error *err)
{
	int listens = 0, type = 0;
	socklen_t size = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) || type != SOCK_SEQPACKET)
		return error_set(err, -EINVAL, "descriptor %d is no socket of packets; detnat-leases.socket has one",
				 fd);
	getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	*l = (struct agent_link){ .listening = listens ? fd : -1, .fd = listens ? -1 : fd };
	return 0;
}

void agent_link_close(struct agent_link *l)
{
	lease_means_free(take_pointer(l->prepared));
	close_fd(&l->fd);
	l->fd = -1;
}

/* The last agent that came is the one. */
static void accept_agent(struct agent_link *l)
{
	int fd = l->listening < 0 ? -1 : accept4(l->listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t size = sizeof(peer);

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) ||
	    (peer.uid != geteuid() && !path_trusts(peer.uid))) {
		log_warning("uid %u is not the agent, and is not listened to", peer.uid);
		close(fd);
		return;
	}
	agent_link_close(l);
	l->fd = fd;
}

static bool texts_end(const struct lease_order *o)
{
	bool end = memchr(o->dir, '\0', sizeof(o->dir)) && o->rules.n <= CONFIG_MAX_LEASE_SOURCES;

	for (uint32_t i = 0; end && i < o->rules.n; i++) {
		const struct config_lease_source *s = &o->rules.source[i];

		end = s->type <= SOURCE_ACCEL_PPP && s->n_clients <= CONFIG_MAX_RADIUS_CLIENTS &&
		      memchr(s->forward_secret_file, '\0', sizeof(s->forward_secret_file)) &&
		      memchr(s->tenant, '\0', sizeof(s->tenant)) &&
		      memchr(s->secret_file, '\0', sizeof(s->secret_file)) && memchr(s->path, '\0', sizeof(s->path));
		for (uint32_t j = 0; end && j < s->n_clients; j++)
			end = s->client[j].from.plen <= 32 &&
			      memchr(s->client[j].secret_file, '\0', sizeof(s->client[j].secret_file));
	}
	return end;
}

static void send_report(const struct agent_link *l, struct lease_report *report, int fd)
{
	union {
		struct cmsghdr header;
		uint8_t octet[CMSG_SPACE(sizeof(int))];
	} control = { .header = {
			      .cmsg_len = CMSG_LEN(sizeof(fd)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { report, sizeof(*report) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	snprintf(report->version, sizeof(report->version), "%s", DETNAT_VERSION);
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
	}
	/* An agent that does not read misses this one. */
	if (sendmsg(l->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("the agent takes no report: %s", strerror(errno));
}

void agent_link_report(const struct agent_link *l, struct worker *k)
{
	struct lease_report report = { .kind = REPORT_STATE };

	if (l->fd < 0)
		return;
	worker_report(k, &report);
	send_report(l, &report, worker_small_socket(k));
}

static void prepare(struct agent_link *l, const struct lease_order *o, const struct worker *k)
{
	struct lease_report reply = { .kind = REPORT_REPLY };
	struct error err = { 0 };

	lease_means_free(take_pointer(l->prepared));
	reply.result = lease_means_new(&o->rules, o->dir, worker_rules(k), false, &l->prepared, &reply.place, &err);
	snprintf(reply.text, sizeof(reply.text), "%s", err.text);
	send_report(l, &reply, -1);
}

/* What was not prepared, or is to be as it is, waits for what is missing. */
static void settle(struct agent_link *l, const struct lease_order *o, struct worker *k)
{
	struct lease_means *m = take_pointer(l->prepared);
	struct lease_place at;
	struct error err = { 0 };

	if (!m && lease_means_new(&o->rules, o->dir, worker_rules(k), true, &m, &at, &err))
		log_error("leases: %s", err.text);
	if (m)
		worker_adopt(k, m);
	agent_link_report(l, k);
}

static void obey(struct agent_link *l, const struct lease_order *o, struct worker *k)
{
	if (o->kind == ORDER_PREPARE)
		prepare(l, o, k);
	else
		lease_means_free(o->kind == ORDER_SETTLE ? NULL : take_pointer(l->prepared));
	if (o->kind == ORDER_TAKE || o->kind == ORDER_SETTLE)
		settle(l, o, k);
}

/* Whether the connection is still there. */
static bool take_orders(struct agent_link *l, struct worker *k)
{
	_cleanup_free_ struct lease_order *o = malloc(sizeof(*o));
	ssize_t n;

	while (o && l->fd >= 0 && (n = recv(l->fd, o, sizeof(*o), MSG_DONTWAIT | MSG_TRUNC)) != -1) {
		if (n != (ssize_t)sizeof(*o) || strncmp(o->version, DETNAT_VERSION, sizeof(o->version)) != 0 ||
		    !texts_end(o)) {
			if (n)
				log_error("the agent is of another version: restart it, or detnat-leases");
			agent_link_report(l, k);
			return false;
		}
		obey(l, o, k);
	}
	return !o || l->fd < 0 || errno == EAGAIN;
}

bool agent_link_work(struct agent_link *l, struct worker *k)
{
	accept_agent(l);
	if (take_orders(l, k))
		return true;
	agent_link_close(l);
	return l->listening >= 0;
}
