/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sends notices (base/notice.h) as messages of RFC 5424, to the local socket /dev/log or through UDP (RFC 5426).
 * Nothing here blocks or waits: messages that the receiver does not accept at once are lost, counted, and reported to
 * it with the next one that it accepts.
 */
#ifndef DETNAT_SYSLOG_H
#define DETNAT_SYSLOG_H

#include <event2/event.h>

#include "config/config.h"

struct syslog;

struct syslog_figures {
	uint64_t sent;
	uint64_t lost; /* refused by the socket */
};

int syslog_new(struct event_base *base, struct syslog **ret); /* -ENOMEM */
void syslog_free(struct syslog *s);			      /* NULL is allowed */

/*
 * From now on listens for the events that a configuration selects. A receiver that cannot be reached is TROUBLE_SYSLOG.
 */
void syslog_configure(struct syslog *s, const struct config_syslog *c);

struct syslog_figures syslog_figures(const struct syslog *s);

#endif
