/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests to the PCP server: admission, waiting, and answers. */
#include <errno.h>

#include "pcp/decide.h"
#include "pcp/pcp_private.h"

/* Requests answered in a turn of the event loop: about a millisecond. */
#define REQUESTS_PER_TURN 32U

/* One octet more than a message may have, so that a longer one is noticed. */
#define RECEIVED_MAX (PCP_MAX_MESSAGE + 1U)

/* Whether an address is one of other tenants, and not of the client's. */
static bool is_of_others(const struct pcp *p, uint32_t source)
{
	return mappings_find_inside(p->leases.mappings, p->leases.tenant, source) < 0 &&
	       mappings_find_any(p->leases.mappings, source) != -ENOENT;
}

/* Whether a request is examined: PCP_DROPS, or N_PCP_DROPS if it is. */
static enum pcp_drop admit(struct pcp *p, const struct pcp_desk *desk, const struct pcp_arrival *from, uint64_t now_s)
{
	p->leases.tenant = pcp_ingress_tenant(p->ingress, from->ifindex);
	if (!pcp_ingress_is_inside(p->ingress, from->ifindex) || is_of_others(p, from->source))
		return PCP_DROP_INTERFACE;
	if (!pcp_is_client(desk, from->source))
		return PCP_DROP_SOURCE;
	if (!pcp_rate_take(&p->rate, from->source, from->ifindex, now_s))
		return PCP_DROP_RATE;
	return pcp_ingress_leads_back(p->ingress, from->source, from->ifindex) ? N_PCP_DROPS : PCP_DROP_INTERFACE;
}

static void count_answer(struct pcp *p, const struct pcp_outcome *o)
{
	unsigned opcode = o->result == PCP_UNSUPP_VERSION || o->opcode >= N_PCP_OPCODES ? PCP_OPCODE_OTHER : o->opcode;

	p->figures.answers[opcode][o->result]++;
}

/* A request on its way to a decision. */
struct asking {
	struct pcp *p;
	const struct pcp_arrival *from;
	const uint8_t *data;
	size_t size;
	bool again; /* it has waited */
};

static enum pcp_source source_of(void *arg)
{
	const struct asking *a = arg;
	enum pcp_mac known = PCP_MAC_NONE;
	uint8_t mac[6] = { 0 };

	if (a->p->senders)
		known = pcp_senders_find(a->p->senders, a->from, a->data, a->size, mac) ? PCP_MAC_LOST : PCP_MAC_KNOWN;
	return pcp_source_of(a->p->sources, a->from->source, a->from->ifindex, known, mac, !a->again);
}

/* Carries out a request and answers it. PCP_SOURCE_UNKNOWN: nothing was done, and it may be tried again. */
static enum pcp_source carry_out(struct asking *a, int fd)
{
	struct pcp *p = a->p;
	const struct pcp_desk desk = { &p->rules, &pcp_lease_table, &p->leases,
				       p->rules.confirm_neighbours ? source_of : NULL, a };
	uint8_t out[PCP_MAX_MESSAGE];
	struct pcp_outcome outcome = { 0 };
	size_t length;

	p->leases.tenant = pcp_ingress_tenant(p->ingress, a->from->ifindex);
	length = pcp_answer(&desk, a->data, a->size, a->from->source, pcp_epoch_now(p), boottime_s(), out, &outcome);

	if (length) {
		count_answer(p, &outcome);
		/* The client asks again if the answer is lost. */
		if (pcp_socket_answer(fd, a->from, out, length))
			p->figures.drops[PCP_DROP_SEND]++;
	} else if (outcome.source != PCP_SOURCE_UNKNOWN) {
		p->figures.drops[outcome.source == PCP_SOURCE_FORGED ? PCP_DROP_FORGED : PCP_DROP_SOURCE]++;
	}
	return outcome.source;
}

static void answer(struct pcp *p, const struct place *at, const uint8_t *data, size_t size,
		   const struct pcp_arrival *from)
{
	const struct pcp_desk desk = { &p->rules, &pcp_lease_table, &p->leases, NULL, NULL };
	enum pcp_drop dropped = admit(p, &desk, from, boottime_s());
	struct asking a = { p, from, data, size, false };

	if (dropped != N_PCP_DROPS) {
		p->figures.drops[dropped]++;
		return;
	}
	if (carry_out(&a, at->fd) == PCP_SOURCE_UNKNOWN)
		pcp_waiting_add(p->waiting, at->addr, from, data, size);
}

/* Where a request came in: of places with the address, that in the VRF of the interface; NULL: it is gone. */
static const struct place *place_of_arrival(const struct pcp *p, uint32_t at, uint32_t ifindex)
{
	const uint32_t vrf = ifindex < MAX_IFINDEX ? p->d->device[ifindex].vrf : 0;
	const struct place *any = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(p->place); i++) {
		const struct place *place = &p->place[i];

		if (!place->owner || place->addr != at)
			continue;
		if (place->vrf == vrf)
			return place;
		any = place;
	}
	return any;
}

bool pcp_request_again(void *arg, uint32_t at, const struct pcp_arrival *from, const uint8_t *data, size_t size)
{
	struct pcp *p = arg;
	struct asking a = { p, from, data, size, true };

	const struct place *place = place_of_arrival(p, at, from->ifindex);

	/* Meanwhile requests of others were decided. */
	p->leases.tenant = pcp_ingress_tenant(p->ingress, from->ifindex);
	return !place || carry_out(&a, place->fd) != PCP_SOURCE_UNKNOWN;
}

void pcp_request_lost(void *arg)
{
	struct pcp *p = arg;

	p->figures.drops[PCP_DROP_UNKNOWN]++;
}

void pcp_on_request(evutil_socket_t fd, short what, void *arg)
{
	struct place *at = arg;
	uint8_t data[RECEIVED_MAX];

	for (unsigned i = 0; i < REQUESTS_PER_TURN; i++) {
		struct pcp_arrival from;
		ssize_t n = pcp_socket_receive(at->fd, data, sizeof(data), &from);

		if (n == -EAGAIN)
			return;
		/* Errors through ICMP, about an earlier answer. */
		if (n >= 0)
			answer(at->owner, at, data, (size_t)n, &from);
	}
}
