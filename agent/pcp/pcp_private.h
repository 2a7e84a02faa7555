/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files behind pcp/pcp.h: pcp.c (life), pcp_listen.c (sockets), pcp_answer.c (requests). */
#ifndef DETNAT_PCP_PRIVATE_H
#define DETNAT_PCP_PRIVATE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "datapath/datapath.h"
#include "pcp/decide.h"
#include "pcp/leases.h"
#include "pcp/pcp.h"
#include "pcp/pcp_message.h"
#include "pcp/rate.h"

/* UDP sockets of the PCP server: each bound to one address, so that answers leave from the address of the request. */

/* The arrival of a request. */
struct pcp_arrival {
	uint32_t source; /* host byte order */
	uint16_t port;
	uint32_t ifindex; /* of the interface that received it */
};

/* An address to listen at, host byte order, and where an interface has it: tenants in VRFs may have the same. */
struct pcp_home {
	uint32_t addr;
	uint32_t vrf; /* index; 0: in none */
	char name[IFNAMSIZ];
};
#define PCP_PLACES (PCP_MAX_LISTEN + CONFIG_MAX_TENANTS)

/* The homes of all addresses of the configuration; an address that no interface has is in no VRF. Returns their number.
 */
size_t pcp_socket_homes(const struct config_pcp *rules, struct pcp_home ret[static PCP_PLACES]);

/* Opens a socket there; shared: others have the address in other VRFs, or outside them. Returns it, or -errno. */
int pcp_socket_open(const struct pcp_home *home, bool shared);

/* Lets others have the address of a socket. 0 or -errno. */
int pcp_socket_share(int fd);

/* Returns the number of octets of the next request, cut at `size`; -EAGAIN if there is none, or another -errno. */
ssize_t pcp_socket_receive(int fd, uint8_t *data, size_t size, struct pcp_arrival *ret);

/* 0 or -errno. */
int pcp_socket_answer(int fd, const struct pcp_arrival *to, const uint8_t *data, size_t size);

/*
 * Announces to clients that leases were lost (RFC 6887 section 14.1): an ANNOUNCE response to all hosts, through every
 * inside interface, several times.
 */

#define PCP_ANNOUNCEMENTS	 10U
#define PCP_ANNOUNCE_INTERVAL_MS 250U /* from the first to the second; each further one is twice as long */

struct pcp_announcer;

/*
 * Returns the sockets in a VRF (0: in none), in turn, with the addresses of which they are; -1 after the last. By
 * another VRF's, clients would hear of servers that are not theirs. Reads the epoch for each message.
 */
struct pcp_announce_source {
	int (*socket)(void *arg, uint32_t vrf, unsigned n, uint32_t *ret_addr);
	uint32_t (*epoch)(void *arg);
	void *arg;
};

int pcp_announcer_new(struct event_base *base, const struct datapath *d, const struct pcp_announce_source *from,
		      struct pcp_announcer **ret); /* -ENOMEM; base and d must outlive it */
void pcp_announcer_free(struct pcp_announcer *a);

void pcp_announce(struct pcp_announcer *a);	 /* begins, or begins anew */
void pcp_announce_stop(struct pcp_announcer *a); /* ends it early */

/*
 * Whether a request arrived through the interface on which its source is expected (RFC 6887 section 8.2): another one
 * could be a subscriber who opens a neighbour's ports.
 */

struct pcp_ingress;

int pcp_ingress_new(const struct datapath *d, struct pcp_ingress **ret); /* d must outlive it; -errno */
void pcp_ingress_free(struct pcp_ingress *i);				 /* NULL is allowed */

/* Whether an interface has the role `inside`. */
bool pcp_ingress_is_inside(const struct pcp_ingress *i, uint32_t ifindex);

/* The number of the tenant whose inside interface it is; 0: there are no tenants. */
uint8_t pcp_ingress_tenant(const struct pcp_ingress *i, uint32_t ifindex);

/*
 * Whether the route back to a source uses an inside interface. Asks the kernel, unless the interface's reverse-path
 * filter is strict: then the kernel has checked it.
 */
bool pcp_ingress_leads_back(struct pcp_ingress *i, uint32_t source, uint32_t ifindex);

/* The MAC addresses of requests, noted by a filter on the sockets: see <detnat/pcp_sender.h>. */

struct pcp_senders;

/* Loads the filter. 0 or -errno. */
int pcp_senders_new(struct pcp_senders **ret);
void pcp_senders_free(struct pcp_senders *s); /* NULL is allowed */

/* Attaches the filter to a socket. 0 or -errno. */
int pcp_senders_watch(const struct pcp_senders *s, int socket);

/* The MAC address of a request's frame. 0; -ENOENT: unknown, or the request is not for a lease. */
int pcp_senders_find(const struct pcp_senders *s, const struct pcp_arrival *from, const uint8_t *data, size_t size,
		     uint8_t ret_mac[static 6]);

/*
 * Requests that wait briefly until the kernel knows the neighbour that they name as their source. There are few places:
 * a client that loses its place repeats its request, and by then the neighbour is known.
 */

#define PCP_WAITING	    64U
#define PCP_WAITING_MS	    1000U
#define PCP_WAITING_LOOK_MS 40U

struct pcp_waiting;

/* Tries again a request that came to the address `at`. Returns whether it is finished. */
typedef bool (*pcp_waiting_try)(void *arg, uint32_t at, const struct pcp_arrival *from, const uint8_t *data,
				size_t size);
/* A request is dropped. */
typedef void (*pcp_waiting_lost)(void *arg);

int pcp_waiting_new(struct event_base *base, pcp_waiting_try again, pcp_waiting_lost lost, void *arg,
		    struct pcp_waiting **ret); /* -ENOMEM */
void pcp_waiting_free(struct pcp_waiting *w);  /* NULL is allowed */

/* Keeps a request, in the place of the oldest if there is no other. */
void pcp_waiting_add(struct pcp_waiting *w, uint32_t at, const struct pcp_arrival *from, const uint8_t *data,
		     size_t size);

/*
 * The sender of a request for a lease, as far as the gateway can know. The source address of a packet can be forged;
 * but a subscriber on a link of the gateway's answers ARP requests for its address, with the MAC address from which its
 * packets come. Behind a router, nothing can be checked.
 */

struct pcp_sources;

int pcp_sources_new(struct pcp_sources **ret); /* 0 or -errno */
void pcp_sources_free(struct pcp_sources *s);  /* NULL is allowed */

/* A MAC address for comparison: none, if that is not possible; or one that should be known and is not. */
enum pcp_mac { PCP_MAC_NONE, PCP_MAC_LOST, PCP_MAC_KNOWN };

/*
 * Whether a request through an interface may come from the source that it names. mac is that of its frame, if known.
 * resolve: if the kernel does not know the neighbour, it is asked to resolve it, at most PCP_RESOLVED_PER_SECOND times.
 */
#define PCP_RESOLVED_PER_SECOND 100U
enum pcp_source pcp_source_of(struct pcp_sources *s, uint32_t source, uint32_t ifindex, enum pcp_mac known,
			      const uint8_t mac[static 6], bool resolve);

struct place {
	struct pcp *owner;
	uint32_t addr;
	uint32_t vrf; /* that the socket is bound to; 0: none */
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
	struct pcp_senders *senders; /* NULL: no filter, so MAC addresses are unknown */
	bool senders_tried;
	struct pcp_waiting *waiting;
	/* A free one has no owner. Twice the maximum, as a change opens new sockets before it closes unwanted ones. */
	struct place place[2 * PCP_PLACES];
	struct event *second; /* for ends of leases, and missing addresses */
	bool waits;
	uint32_t told_wanted; /* leases and subscribers in the last warning */
	uint64_t told_subscribers;
	bool room_told;	       /* refusals of leases are in the log */
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

/* A waiting request, tried again or dropped; arg: struct pcp. For pcp/pcp_private.h. */
bool pcp_request_again(void *arg, uint32_t at, const struct pcp_arrival *from, const uint8_t *data, size_t size);
void pcp_request_lost(void *arg);

/* Whether a configuration includes listening at an address. */
bool pcp_wants(const struct config_pcp *rules, uint32_t addr);

/* The number of an address in the list of those to listen at; beyond the list: it is not there. */
uint32_t pcp_listen_number(const struct config_pcp *rules, uint32_t addr);

/* Stores a message that an address cannot be bound, and returns r. c may be NULL. */
int pcp_refuse_address(const struct config *c, uint32_t addr, uint32_t number, int r, const char *name,
		       struct error *err);

/* Closes sockets whose addresses have moved to another VRF, or out of one. Whether there was one. */
bool pcp_close_moved(struct pcp *p);

/* Listens at missing addresses of the rules. 0, or -errno with err about the first failure. */
int pcp_listen_missing(struct pcp *p, const struct config *c, const char *name, struct error *err);

/* Stop listening where the rules do not ask for it; or anywhere. */
void pcp_close_unwanted(struct pcp *p);
void pcp_close_all(struct pcp *p);

#endif
