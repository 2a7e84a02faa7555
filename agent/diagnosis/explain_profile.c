/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagnosis/explain.h"

#include <errno.h>
#include <netinet/in.h>

static enum usage_protocol protocol_of(uint8_t proto)
{
	return proto == IPPROTO_TCP ? USAGE_TCP : proto == IPPROTO_UDP ? USAGE_UDP : USAGE_ICMP;
}

static int add_destination(struct explain_profile *p, const struct session *s, enum usage_protocol proto)
{
	if (p->n_destinations == p->room) {
		size_t room = p->room ? p->room * 2 : 256;
		uint64_t *larger = reallocarray(p->destinations, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		p->destinations = larger;
		p->room = room;
	}
	p->destinations[p->n_destinations++] = (uint64_t)proto << 48 | (uint64_t)s->ext_addr << 16 | s->ext_port;
	return 0;
}

static void add_port(struct explain_profile *p, uint32_t offset, enum usage_protocol proto)
{
	uint64_t bit = 1ULL << offset % 64;

	if (offset >= p->ports_per_host || p->used[proto][offset / 64] & bit)
		return;
	p->used[proto][offset / 64] |= bit;
	p->ports[proto]++;
}

int explain_profile_add(struct explain_profile *p, const struct session *s)
{
	enum usage_protocol proto = protocol_of(s->proto);

	if ((p->match_in && s->in_port == p->port && (!p->host.lo || address6_equal(&p->host, &s->host))) ||
	    (p->match_out && s->out_port == p->port && s->out_addr == p->out_addr)) {
		if (p->n_match < PROFILE_MATCHES)
			p->match[p->n_match] = *s;
		p->n_match++;
	}
	if (!s->counts) {
		if (s->state == SESSION_TIME_WAIT)
			p->time_wait++;
		else
			p->expired++;
		return 0;
	}
	p->sessions[proto]++;
	p->last = s->host;
	p->unanswered += s->state == SESSION_SYN_SENT;
	if (s->out_addr == p->out_addr)
		add_port(p, s->out_port - p->port_lo, proto);
	return add_destination(p, s, proto);
}

uint32_t explain_profile_sessions(const struct explain_profile *p)
{
	return p->sessions[USAGE_TCP] + p->sessions[USAGE_UDP] + p->sessions[USAGE_ICMP];
}

uint32_t explain_profile_ports(const struct explain_profile *p)
{
	uint32_t most = 0;

	for (unsigned proto = 0; proto < N_USAGE_PROTOCOLS; proto++)
		most = p->ports[proto] > most ? p->ports[proto] : most;
	return most;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

struct explain_destination explain_profile_busiest(struct explain_profile *p)
{
	struct explain_destination busiest = { 0 };
	uint32_t run = 0;

	if (p->n_destinations)
		qsort(p->destinations, p->n_destinations, sizeof(*p->destinations), compare);
	for (size_t i = 0; i < p->n_destinations; i++) {
		uint64_t d = p->destinations[i];

		run = i && d == p->destinations[i - 1] ? run + 1 : 1;
		if (run > busiest.sessions)
			busiest = (struct explain_destination){
				.ext = { .addr = (uint32_t)(d >> 16), .port = (uint16_t)d },
				.proto = (enum usage_protocol)(d >> 48),
				.sessions = run,
			};
	}
	return busiest;
}

void explain_profile_free(struct explain_profile *p)
{
	free(p->destinations);
	p->destinations = NULL;
	p->n_destinations = p->room = 0;
}
