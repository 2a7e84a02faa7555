// SPDX-License-Identifier: BSD-2-Clause
#include "proto/collector_endpoint.h"

#include <errno.h>
#include <string.h>

int collector_parse(const char *text, struct collector_endpoint *ret)
{
	struct collector_endpoint c = { .transport = IPFIX_UDP };

	if (!strncmp(text, "tcp:", 4))
		c.transport = IPFIX_TCP;
	if (c.transport == IPFIX_TCP || !strncmp(text, "udp:", 4))
		text += 4;
	if (endpoint_parse(text, &c.at) < 0 || !c.at.port)
		return -EINVAL;
	*ret = c;
	return 0;
}

int collectors_parse(const char *text, struct collector_endpoint ret[MAX_COLLECTORS], uint32_t *ret_n)
{
	struct collector_endpoint list[MAX_COLLECTORS];
	uint32_t n = 0;
	bool more;

	do {
		char one[COLLECTOR_TEXT];
		size_t length = strcspn(text, ",");

		if (n == MAX_COLLECTORS)
			return -E2BIG;
		if (length >= sizeof(one))
			return -EINVAL;
		memcpy(one, text, length);
		one[length] = 0;
		if (collector_parse(one, &list[n]) < 0)
			return -EINVAL;
		for (uint32_t i = 0; i < n; i++)
			if (collector_same(list[i], list[n]))
				return -EEXIST;
		n++;
		more = text[length] == ',';
		text += length + 1;
	} while (more);
	memcpy(ret, list, n * sizeof(*list));
	*ret_n = n;
	return 0;
}

const char *collector_format(struct collector_endpoint c, char text[static COLLECTOR_TEXT])
{
	char addr[ADDR_TEXT];

	snprintf(text, COLLECTOR_TEXT, "%s%s:%u", c.transport == IPFIX_TCP ? "tcp:" : "", addr_format(c.at.addr, addr),
		 c.at.port);
	return text;
}
