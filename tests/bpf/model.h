/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small model of a deterministic NAT, for the property test: what the manual pages and the RFCs say, written without
 * looking at how the datapath does it. Sessions are a list; a session has a deadline instead of a stamp; TCP is two
 * FINs and an answer. It shares no header with the product.
 *
 * Host byte order throughout; for ICMP echo the identifier is the inside and the outside port, and ext_port is 0.
 */
#ifndef DETNAT_TEST_MODEL_H
#define DETNAT_TEST_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODEL_FIN = 1, MODEL_SYN = 2, MODEL_RST = 4, MODEL_PSH = 8, MODEL_ACK = 16 };

enum model_kind {
	MODEL_SESSIONS_KEPT,
	MODEL_OPEN,	    /* one to one, in both directions, without sessions */
	MODEL_UNTRANSLATED, /* has no outside addresses */
};

/* Bits of protocols. */
enum { MODEL_ICMP = 1, MODEL_TCP = 2, MODEL_UDP = 4 };

/* Mappings may lie within each other: the smallest has the address. */
struct model_mapping {
	uint32_t in_base;
	uint32_t in_count;
	uint32_t out_base;
	uint32_t out_count;
	unsigned quota;
	enum model_kind kind;
	unsigned slots;
	unsigned one_port;     /* protocols whose inside endpoints keep one outside port towards everybody */
	unsigned anyone;       /* of them: those to whose ports anyone may send */
	unsigned inbound_part; /* percent of the quota, or of the slots, that the outside may open */
	bool former;	       /* opens nothing more: the sessions that it has go on */
	/* How the ports of an outside address are shared out; 0: as the counts alone say. */
	unsigned ratio;
	unsigned first_port;
	bool from_zero; /* the first port is port 0, which nobody has */
	unsigned pitch;
	unsigned ports;
	bool netmap; /* the outside address changes from one inside address to the next */
	/* Blocks that grow: the ports of one, 0 for none, and how many a subscriber may have. */
	unsigned grow_block, grow_max;
	/* Sessions that a subscriber may have of TCP, UDP and ICMP; 0: as the quota says. */
	unsigned limit[3];
	bool rated; /* openings take tokens */
};

/* A block of ports beside a subscriber's own. */
struct model_grant {
	uint32_t in_addr, out_addr;
	uint16_t port_lo, ports;
	unsigned number; /* among the subscriber's */
	bool closed;	 /* its sessions go on, and none opens */
};

/* Senders from whom a portmap takes packets: of an address range, by one port or, 0, by any. */
struct model_filter {
	uint32_t first, last;
	uint16_t port;
};

/* A static way in and out of one port, without sessions; in for everybody, or with filters for those. */
struct model_portmap {
	uint32_t in_addr;
	uint16_t in_port, out_port;
	uint8_t proto;
	unsigned n_filters;
	struct model_filter filter[2];
};

/* The outside port that an inside endpoint has towards everybody. */
struct model_binding {
	uint32_t in_addr;
	uint16_t in_port, out_port;
	uint8_t proto;
	double opened; /* when a session of it opened last */
	double used;   /* and when it was last in use, at the latest */
};

#define TRANSITORY_SECONDS 240

/* What both sides of a TCP connection have said. */
struct model_tcp {
	bool answered, established, reset, closed;
	bool fin_in, fin_out;
	bool data_in, data_out; /* after a FIN of the outside alone */
	bool in_was_last;	/* of the two FINs */
	/* The outside has opened it, and has not acknowledged the inside's answer. */
	bool inbound, in_answered;
};

struct model_session {
	uint32_t in_addr, ext_addr;
	uint32_t out_addr; /* of the mapping that it was opened in */
	uint16_t in_port, out_port, ext_port;
	uint8_t proto;
	struct model_tcp tcp;
	double deadline;  /* seconds, as struct model's now */
	double seen;	  /* when it opened, or the inside sent last */
	double closed_at; /* when an RST closed it last */
	bool cut;	  /* its mapping has lost the address: what comes in finds it until the agent has ended it */
	bool inbound;	  /* the outside has opened it */
};

#define MODEL_SESSIONS 4096
#define MODEL_BINDINGS 2048
#define MODEL_PORTMAPS 64
#define MODEL_GRANTS   64

struct model {
	const struct model_mapping *mapping;
	size_t n_mappings;
	double now;
	struct model_session session[MODEL_SESSIONS];
	size_t n;
	struct model_binding binding[MODEL_BINDINGS];
	size_t n_bindings;
	struct model_portmap portmap[MODEL_PORTMAPS];
	size_t n_portmaps;
	struct model_grant grant[MODEL_GRANTS];
	size_t n_grants;
};

unsigned model_ratio(const struct model_mapping *m);
unsigned model_ports(const struct model_mapping *m);
/* The mapping that opens sessions of an inside address, or NULL. */
const struct model_mapping *model_inside(const struct model *model, uint32_t addr);
uint32_t model_out_addr(const struct model_mapping *m, uint32_t in_addr);
uint16_t model_port_lo(const struct model_mapping *m, uint32_t in_addr);
uint16_t model_first_choice(const struct model_mapping *m, uint32_t in_addr, uint16_t in_port);
uint32_t model_outside_of(const struct model *model, uint32_t in_addr);
/* Whose outside address and port it is; of an open mapping, any port. */
bool model_owner(const struct model *model, uint32_t out_addr, uint16_t port, uint32_t *ret_in_addr);

bool model_expired(const struct model *model, const struct model_session *s);
/* Neither expired nor closed: counts in the quota. */
bool model_counts(const struct model *model, const struct model_session *s);
unsigned model_count(const struct model *model, uint32_t in_addr);
/* Expired sessions beyond the slots, or of a former mapping, which the datapath alone may not find before the agent
 * does. */
unsigned model_count_stale(const struct model *model, uint32_t in_addr);
/* The limit of a subscriber's protocol, 0 for none; and the same counts of a protocol, in mappings with any limit. */
unsigned model_limit(const struct model *model, uint32_t in_addr, uint8_t proto);
bool model_has_limits(const struct model_mapping *m);
unsigned model_count_of(const struct model *model, uint32_t in_addr, uint8_t proto);
unsigned model_count_stale_of(const struct model *model, uint32_t in_addr, uint8_t proto);
/* How many ports of the block, not of former ones, sessions hold towards an external endpoint. */
unsigned model_ports_held(const struct model *model, uint32_t in_addr, uint32_t ext_addr, uint16_t ext_port,
			  uint8_t proto);

/* The session of a flow, expired ones apart; a closed one may be there no more. NULL: none. */
struct model_session *model_find_in(struct model *model, uint32_t in_addr, uint16_t in_port, uint32_t ext_addr,
				    uint16_t ext_port, uint8_t proto);
struct model_session *model_find_out(struct model *model, uint32_t in_addr, uint32_t out_addr, uint16_t out_port,
				     uint32_t ext_addr, uint16_t ext_port, uint8_t proto);

/* A packet of a session; flags of TCP. */
void model_from_inside(struct model *model, struct model_session *s, uint8_t flags);
void model_from_outside(struct model *model, struct model_session *s, uint8_t flags);
/* Whether the segment starts a new connection on the tuple of one that is closed. */
bool model_reopens(const struct model_session *s, uint8_t flags);

/* In the mapping that the subscriber has now. */
struct model_session *model_open(struct model *model, const struct model_session *like, uint8_t flags);
void model_remove(struct model *model, struct model_session *s);
void model_remove_expired(struct model *model);

/* Portmaps of an inside endpoint, or of an outside one; NULL: none. */
struct model_portmap *model_portmap_in(struct model *model, uint32_t in_addr, uint16_t in_port, uint8_t proto);
struct model_portmap *model_portmap_out(struct model *model, uint32_t out_addr, uint16_t out_port, uint8_t proto);

bool model_portmap_admits(const struct model_portmap *p, uint32_t ext_addr, uint16_t ext_port);

/* model_grants.c */

/* The grant that a port is in; NULL: none. */
struct model_grant *model_grant_at(struct model *model, uint32_t out_addr, uint16_t port);
/* Whether sessions of a subscriber may open on a port beside its block, and how many such blocks it has. */
bool model_grant_opens(const struct model *model, uint32_t in_addr, uint16_t port);
unsigned model_grants_open(const struct model *model, uint32_t in_addr);
/* Whether all those ports are held towards a flow's peer, or bound. */
bool model_grants_are_held(struct model *model, const struct model_session *flow);
bool model_grants_are_bound(struct model *model, uint32_t in_addr, uint8_t proto);

/* model_bindings.c */

unsigned model_protocol(uint8_t proto);
/* Whether an inside address's endpoints keep one port, and whether anyone may send to it. */
bool model_has_one_port(const struct model *model, uint32_t in_addr, uint8_t proto);
bool model_lets_anyone(const struct model *model, uint32_t in_addr, uint8_t proto);
struct model_binding *model_binding_in(struct model *model, uint32_t in_addr, uint16_t in_port, uint8_t proto);
struct model_binding *model_binding_out(struct model *model, uint32_t in_addr, uint16_t out_port, uint8_t proto);
/* Its session has opened within its lifetime. */
bool model_binding_is_fresh(const struct model *model, const struct model_binding *b);
/* Holds its port for sure; and perhaps, which depends on when the agent looked. */
bool model_binding_holds(const struct model *model, const struct model_binding *b);
bool model_binding_may_hold(const struct model *model, const struct model_binding *b);
/* Whether no port of a group, or of the whole block, can be bound to an inside endpoint that has none. */
bool model_port_is_bound(struct model *model, uint32_t in_addr, uint16_t port, uint8_t proto);
bool model_group_is_bound(struct model *model, uint32_t in_addr, uint16_t port, uint8_t proto);
bool model_block_is_bound(struct model *model, uint32_t in_addr, uint8_t proto);
/* An inside endpoint got a port, and the endpoint that had it has lost it. */
struct model_binding *model_bind(struct model *model, uint32_t in_addr, uint16_t in_port, uint16_t out_port,
				 uint8_t proto);
/* Notes those of established connections, before and after time passes. */
void model_use_bindings(struct model *model);
/* Sessions of the outside's that count, and how many there may be. */
/* Those on the ports of a grant, which ends. */
void model_forget_bindings(struct model *model, const struct model_grant *g);
unsigned model_inbound(const struct model *model, uint32_t in_addr);
unsigned model_inbound_limit(const struct model_mapping *m);

/* Whether some session is so close to its end that clocks may disagree on it. */
bool model_is_unsure(const struct model *model, double seconds);
bool model_bindings_are_unsure(const struct model *model, double seconds);

#endif
