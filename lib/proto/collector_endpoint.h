/* SPDX-License-Identifier: BSD-2-Clause */
/* Where IPFIX messages go, as the configuration and `ipfix set` write it. */
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
 * A collector is an endpoint whose port is not 0, with "udp:" or "tcp:" before it; UDP where it has neither. A list of
 * them has commas between. 0, or -EINVAL; -E2BIG where there are too many, -EEXIST where one stands there twice.
 */
int collector_parse(const char *text, struct collector_endpoint *ret);
int collectors_parse(const char *text, struct collector_endpoint ret[MAX_COLLECTORS], uint32_t *ret_n);

/* Enough for "tcp:255.255.255.255:65535". */
#define COLLECTOR_TEXT 40

/* Writes a collector as collector_parse() reads it, without "udp:", and returns text. */
const char *collector_format(struct collector_endpoint c, char text[static COLLECTOR_TEXT]);

static inline bool collector_same(struct collector_endpoint a, struct collector_endpoint b)
{
	return a.at.addr == b.at.addr && a.at.port == b.at.port && a.transport == b.transport;
}

#endif
