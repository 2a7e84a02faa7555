/* SPDX-License-Identifier: BSD-2-Clause */
#include "syslog/syslog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/trouble.h"
#include "host/timer.h"
#include "syslog/syslog_message.h"

#define LOCAL_SOCKET "/dev/log"

struct syslog {
	struct notice_listener listener;
	struct config_syslog settings;
	struct syslog_origin origin;
	struct syslog_figures figures;
	uint64_t reported; /* of figures.lost, to the receiver */
	bool sending;	   /* a trouble that sending has caused is not sent itself */
	int fd;		   /* -1: none */
	struct event *timer;
	union {
		struct sockaddr sa;
		struct sockaddr_un local;
		struct sockaddr_in udp;
	} to;
	socklen_t to_size;
};

static void set_destination(struct syslog *s)
{
	const struct config_syslog *c = &s->settings;

	memset(&s->to, 0, sizeof(s->to));
	if (c->transport == SYSLOG_LOCAL) {
		s->to.local.sun_family = AF_UNIX;
		strcpy(s->to.local.sun_path, LOCAL_SOCKET);
		s->to_size = sizeof(s->to.local);
	} else {
		s->to.udp.sin_family = AF_INET;
		s->to.udp.sin_addr.s_addr = htonl(c->to.addr);
		s->to.udp.sin_port = htons(c->to.port);
		s->to_size = sizeof(s->to.udp);
	}
}

/* 0 or -errno. The socket is not connected: a local receiver that was started again is found by its path. */
static int send_message(struct syslog *s, const struct notice *n)
{
	char text[SYSLOG_MESSAGE];
	size_t size = syslog_format(&s->origin, n, text);

	if (s->fd < 0)
		s->fd = socket(s->to.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return -errno;
	return sendto(s->fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL, &s->to.sa, s->to_size) < 0 ? -errno : 0;
}

static void note_failure(struct syslog *s, int r)
{
	char to[ADDR_TEXT + 8] = LOCAL_SOCKET, addr[ADDR_TEXT];

	/* A receiver that lags takes the next one. */
	if (r == -EAGAIN)
		return;
	if (s->settings.transport == SYSLOG_UDP)
		snprintf(to, sizeof(to), "%s:%u", addr_format(s->settings.to.addr, addr), s->settings.to.port);
	trouble_set(TROUBLE_SYSLOG, "events cannot be sent to syslog at %s: %s; they are lost until they can", to,
		    strerror(-r));
}

/* Reports the number of lost messages, before the next message or alone. 0 or -errno. */
static int report_losses(struct syslog *s)
{
	uint64_t lost = s->figures.lost - s->reported;
	char text[NOTICE_TEXT] = "";
	struct notice n;
	int r;

	if (!lost)
		return 0;
	n = notice_now(NOTICE_TROUBLES, LOG_LEVEL_WARNING, "lost", text);
	snprintf(text, sizeof(text), "%llu earlier messages are lost", (unsigned long long)lost);
	notice_add_number(&n, "lost", lost);
	r = send_message(s, &n);
	if (!r) {
		s->reported += lost;
		s->figures.sent++;
	}
	return r;
}

static void on_notice(void *arg, const struct notice *n)
{
	struct syslog *s = arg;
	int r;

	if (s->sending)
		return;
	s->sending = true;
	r = report_losses(s);
	if (!r)
		r = send_message(s, n);
	if (!r) {
		s->figures.sent++;
		trouble_clear(TROUBLE_SYSLOG);
	} else {
		s->figures.lost++;
		note_failure(s, r);
	}
	s->sending = false;
}

/* Without further events the receiver still learns of losses, and the trouble ends with its cause. */
static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct syslog *s = arg;

	if (!s->settings.enabled || s->figures.lost == s->reported)
		return;
	s->sending = true;
	if (!report_losses(s))
		trouble_clear(TROUBLE_SYSLOG);
	s->sending = false;
}

int syslog_new(struct event_base *base, struct syslog **ret)
{
	struct syslog *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->fd = -1;
	s->listener = (struct notice_listener){ .heard = on_notice, .arg = s };
	s->origin.pid = (unsigned)getpid();
	if (gethostname(s->origin.host, sizeof(s->origin.host) - 1) || !*s->origin.host)
		strcpy(s->origin.host, "-");
	s->timer = timer_each_second(base, on_second, s);
	if (!s->timer) {
		syslog_free(s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

static void close_socket(struct syslog *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

void syslog_free(struct syslog *s)
{
	if (!s)
		return;
	notice_unlisten(&s->listener);
	if (s->timer)
		event_free(s->timer);
	close_socket(s);
	free(s);
}

void syslog_configure(struct syslog *s, const struct config_syslog *c)
{
	notice_unlisten(&s->listener);
	if (s->settings.transport != c->transport || !c->enabled)
		close_socket(s);
	s->settings = *c;
	s->origin.facility = c->facility;
	set_destination(s);
	if (c->enabled) {
		s->listener.kinds = (uint16_t)c->events;
		notice_listen(&s->listener);
		return;
	}
	s->reported = s->figures.lost;
	trouble_clear(TROUBLE_SYSLOG);
}

struct syslog_figures syslog_figures(const struct syslog *s)
{
	return s->figures;
}
