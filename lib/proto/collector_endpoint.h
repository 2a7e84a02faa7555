/* SPDX-License-Identifier: BSD-2-Clause */
/* Destinations of IPFIX messages, as written in the configuration and in `ipfix set`. */
#ifndef DETNAT_COLLECTOR_ENDPOINT_H
#define DETNAT_COLLECTOR_ENDPOINT_H

#include "base/address.h"

#define MAX_COLLECTORS 8U

enum ipfix_transport { IPFIX_UDP, IPFIX_TCP };

struct collector_endpoint {
	struct endpoint at;
	enum ipfix_transport transport;
};

/*
 * A collector is an endpoint whose port is not 0, prefixed with "udp:" or "tcp:"; the default is UDP. Lists are
 * separated by commas. Returns 0, -EINVAL, -E2BIG if there are too many, or -EEXIST if one is listed twice.
 */
int collector_parse(const char *text, struct collector_endpoint *ret);
int collectors_parse(const char *text, struct collector_endpoint ret[MAX_COLLECTORS], uint32_t *ret_n);

/* Room for "tcp:255.255.255.255:65535". */
#define COLLECTOR_TEXT 48

/* Writes a collector in the form that collector_parse() reads, without "udp:", and returns text. */
const char *collector_format(struct collector_endpoint c, char text[static COLLECTOR_TEXT]);

static inline bool collector_same(struct collector_endpoint a, struct collector_endpoint b)
{
	return a.at.addr == b.at.addr && a.at.port == b.at.port && a.transport == b.transport;
}

#endif
