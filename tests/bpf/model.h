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

struct model_mapping {
	uint32_t in_base;
	uint32_t in_count;
	uint32_t out_base;
	uint32_t out_count;
	unsigned quota;
};

/* What both sides of a TCP connection have said. */
struct model_tcp {
	bool answered, established, reset, closed;
	bool fin_in, fin_out;
	bool data_in, data_out; /* after a FIN of the outside alone */
	bool in_was_last;	/* of the two FINs */
};

struct model_session {
	uint32_t in_addr, ext_addr;
	uint16_t in_port, out_port, ext_port;
	uint8_t proto;
	struct model_tcp tcp;
	double deadline; /* seconds, as struct model's now */
	bool overflow;	 /* stands beyond the subscriber's slots */
};

#define MODEL_SESSIONS 4096

struct model {
	const struct model_mapping *mapping;
	size_t n_mappings;
	double now;
	struct model_session session[MODEL_SESSIONS];
	size_t n;
};

unsigned model_ratio(const struct model_mapping *m);
unsigned model_ports(const struct model_mapping *m);
/* The mapping of an inside address, or NULL. */
const struct model_mapping *model_inside(const struct model *model, uint32_t addr);
uint32_t model_out_addr(const struct model_mapping *m, uint32_t in_addr);
uint16_t model_port_lo(const struct model_mapping *m, uint32_t in_addr);
uint16_t model_first_choice(const struct model_mapping *m, uint32_t in_addr, uint16_t in_port);
/* Whose outside address and port it is. */
bool model_owner(const struct model *model, uint32_t out_addr, uint16_t port, uint32_t *ret_in_addr);

bool model_expired(const struct model *model, const struct model_session *s);
/* Neither expired nor closed: counts in the quota. */
bool model_counts(const struct model *model, const struct model_session *s);
unsigned model_count(const struct model *model, uint32_t in_addr);
/* Expired sessions beyond the slots, which the datapath alone may not find before the agent does. */
unsigned model_count_stale(const struct model *model, uint32_t in_addr);
/* How many ports of the block sessions hold towards an external endpoint. */
unsigned model_ports_held(const struct model *model, uint32_t in_addr, uint32_t ext_addr, uint16_t ext_port,
			  uint8_t proto);

/* The session of a flow, expired ones apart; a closed one may be there no more. NULL: none. */
struct model_session *model_find_in(struct model *model, uint32_t in_addr, uint16_t in_port, uint32_t ext_addr,
				    uint16_t ext_port, uint8_t proto);
struct model_session *model_find_out(struct model *model, uint32_t in_addr, uint16_t out_port, uint32_t ext_addr,
				     uint16_t ext_port, uint8_t proto);

/* A packet of a session; flags of TCP. */
void model_from_inside(struct model *model, struct model_session *s, uint8_t flags);
void model_from_outside(struct model *model, struct model_session *s, uint8_t flags);
/* Whether the segment starts a new connection on the tuple of one that is closed. */
bool model_reopens(const struct model_session *s, uint8_t flags);

struct model_session *model_open(struct model *model, const struct model_session *like, uint8_t flags);
void model_remove(struct model *model, struct model_session *s);
void model_remove_expired(struct model *model);

/* Whether some session is so close to its end that clocks may disagree on it. */
bool model_is_unsure(const struct model *model, double seconds);

#endif
