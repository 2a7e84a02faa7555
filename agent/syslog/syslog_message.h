/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages of RFC 5424 from notices. */
#ifndef DETNAT_SYSLOG_MESSAGE_H
#define DETNAT_SYSLOG_MESSAGE_H

#include <stddef.h>

#include "base/notice.h"

/* The common part of every message of this agent. */
struct syslog_origin {
	uint8_t facility;
	char host[256]; /* "-": unknown */
	unsigned pid;
};

/* Every receiver takes 2048 octets (RFC 5424 section 6.1). */
#define SYSLOG_MESSAGE 2048U

/*
 * Writes a notice as a message whose structured data are its parameters, and returns its octets. A text that is too
 * long is cut.
 */
size_t syslog_format(const struct syslog_origin *o, const struct notice *n, char text[static SYSLOG_MESSAGE]);

#endif
