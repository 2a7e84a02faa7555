/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files behind pcp/pcp.h: pcp.c (life), pcp_listen.c (sockets), pcp_answer.c (requests). */
#ifndef DETNAT_PCP_PRIVATE_H
#define DETNAT_PCP_PRIVATE_H

#include "base/clock.h"
#include "pcp/announce.h"
#include "pcp/ingress.h"
#include "pcp/leases.h"
#include "pcp/pcp.h"
#include "pcp/pcp_sources.h"
#include "pcp/rate.h"
#include "pcp/senders.h"
#include "pcp/waiting.h"

struct place {
	struct pcp *owner;
	uint32_t addr;
	int fd;
	struct event *event;
};

struct pcp {
	struct event_base *base;
	struct datapath *d;
	struct config_pcp rules; /* enabled: false while it is off */
	struct pcp_leases leases;
	struct pcp_ingress *ingress;
	struct pcp_announcer *announcer;
	struct pcp_rate rate;
	struct pcp_sources *sources;
	struct pcp_senders *senders; /* NULL: there is no filter, so MAC addresses are not known */
	bool senders_tried;
	struct pcp_waiting *waiting;
	/* A free one has no owner. Twice, as a change opens what is new before it closes what is not wanted. */
	struct place place[2 * PCP_MAX_LISTEN];
	struct event *second; /* leases that end; addresses that are waited for */
	bool waits;
	uint32_t told_wanted; /* leases, and of how many subscribers, when the log was last told of them */
	uint64_t told_subscribers;
	bool room_told;	       /* that leases are refused */
	uint64_t refused_told; /* of pcp_leases.refused */
	uint64_t began_s;      /* the epoch, CLOCK_BOOTTIME */
	bool has_epoch;
	struct pcp_figures figures;
};

static inline uint32_t pcp_epoch_now(const struct pcp *p)
{
	return p->has_epoch ? (uint32_t)(boottime_s() - p->began_s) : 0;
}

/* Takes requests from the socket of a place, its argument. */
void pcp_on_request(int fd, short what, void *place);

/* A request that waited, tried again or given up; arg: struct pcp. As pcp/waiting.h wants them. */
bool pcp_request_again(void *arg, uint32_t at, const struct pcp_arrival *from, const uint8_t *data, size_t size);
void pcp_request_lost(void *arg);

/* Whether a configuration wants to listen at an address. */
bool pcp_wants(const struct config_pcp *rules, uint32_t addr);

/* Stores that it cannot, in words, and returns r. c may be NULL. */
int pcp_refuse_address(const struct config *c, uint32_t addr, uint32_t number, int r, const char *name,
		       struct error *err);

/* Listens where the rules say, as far as it does not yet. 0, or -errno with err about the first failure. */
int pcp_listen_missing(struct pcp *p, const struct config *c, const char *name, struct error *err);

/* Listens no longer where the rules do not say so; or anywhere. */
void pcp_close_unwanted(struct pcp *p);
void pcp_close_all(struct pcp *p);

#endif
