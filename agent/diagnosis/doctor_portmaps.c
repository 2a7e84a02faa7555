/* SPDX-License-Identifier: BSD-2-Clause */
/* Portmaps of the gateway's own addresses on which a program of the gateway also listens. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "config/port_pairs.h"
#include "diagnosis/doctor_private.h"

/* The first few show the fault. */
#define MOST_TOLD 3U

/* The state of a UDP socket that is not connected. */
#define UDP_UNCONNECTED TCP_CLOSE

struct search {
	struct doctor *d;
	struct port_pair *pairs;
	size_t n;
	unsigned found;
};

/* A socket that accepts packets from anyone. */
struct listener {
	struct endpoint at; /* address 0: all of the gateway's */
	unsigned state;
};

/* The IPv4 address of a socket, also of one for IPv6, in the kernel's notation; false: IPv6 alone. 0: all addresses. */
static bool read_address(const char *text, size_t length, uint32_t *ret)
{
	static const char mapped[] = "0000000000000000FFFF0000", any[] = "000000000000000000000000";

	if (length == 32 && strncmp(text, any, strlen(any)) != 0 && strncmp(text, mapped, strlen(mapped)) != 0)
		return false;
	if (length != 8 && length != 32)
		return false;
	*ret = ntohl((uint32_t)strtoul(text + length - 8, NULL, 16));
	return true;
}

/* Reads "   0: 0100007F:0016 00000000:0000 0A …". */
static bool read_line(const char *line, struct listener *ret)
{
	char local[64], remote[64];
	unsigned port;
	char *colon;

	if (sscanf(line, " %*u: %63s %63s %x", local, remote, &ret->state) != 3 || !(colon = strchr(local, ':')) ||
	    sscanf(colon + 1, "%x", &port) != 1 || port > UINT16_MAX)
		return false;
	ret->at.port = (uint16_t)port;
	return read_address(local, (size_t)(colon - local), &ret->at.addr);
}

static void compare(struct search *s, uint8_t proto, struct endpoint at)
{
	const struct port_pair *pair = port_pair_find(s->pairs, s->n, proto, at);
	char out[ADDR_TEXT], in[ADDR_TEXT];

	if (!pair || s->found++ >= MOST_TOLD)
		return;
	doctor_say(
		s->d, DOCTOR_WARNING,
		"a program of the gateway listens on %s %s:%u, which a portmap leads to %s:%u: from outside it is no "
		"longer reached; give the portmap another port, or the program another address",
		proto == IPPROTO_TCP ? "tcp" : "udp", addr_format(at.addr, out), at.port,
		addr_format(pair->in.addr, in), pair->in.port);
}

static void look_through(struct search *s, const char *name, uint8_t proto)
{
	char path[256], line[512];
	struct listener l;
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/self/net/%s", s->d->root, name);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (!read_line(line, &l))
			continue;
		/* Listening sockets come first, before any number of connections. */
		if (proto == IPPROTO_TCP && l.state != TCP_LISTEN)
			break;
		if (proto == IPPROTO_UDP && l.state != UDP_UNCONNECTED)
			continue;
		for (size_t i = 0; i < s->d->n_addresses; i++)
			if (!l.at.addr || l.at.addr == s->d->addresses[i].addr)
				compare(s, proto, (struct endpoint){ s->d->addresses[i].addr, l.at.port });
	}
	if (f)
		fclose(f);
}

void doctor_portmaps(struct doctor *d)
{
	struct search s = { .d = d };

	if (d->config->n_portmaps && port_pairs_of(d->config, &s.pairs, &s.n)) {
		doctor_say(d, DOCTOR_WARNING, "out of memory");
		return;
	}
	if (s.n) {
		look_through(&s, "tcp", IPPROTO_TCP);
		look_through(&s, "tcp6", IPPROTO_TCP);
		look_through(&s, "udp", IPPROTO_UDP);
		look_through(&s, "udp6", IPPROTO_UDP);
	}
	free(s.pairs);
	if (s.found > MOST_TOLD)
		doctor_say(d, DOCTOR_WARNING, "the same applies to %u more sockets", s.found - MOST_TOLD);
	if (!s.found)
		doctor_say(d, DOCTOR_OK, "no program of the gateway listens on the outside endpoint of a portmap");
}
