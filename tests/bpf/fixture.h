/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The product's tables and programs in a network namespace of the test's own, run by BPF_PROG_TEST_RUN.
 *
 *	mapping	10.0.0.0/24 -> 203.0.113.0/30, 1008 ports a host
 *	inside	10.0.0.1/24 at GATEWAY_IN; stations HOST and NOBODY
 *	outside	198.51.100.1/24 at GATEWAY_OUT; ROUTER, 198.51.100.7, has the default route
 *
 * Criterion runs each test in a process of its own: call set_up() from .init.
 */
#ifndef DETNAT_TEST_FIXTURE_H
#define DETNAT_TEST_FIXTURE_H

#include <detnat/extents.h>
#include <detnat/reasons.h>
#include <detnat/transmit.h>

#include "datapath/datapath.h"
#include "frame.h"
#include "sessions/sessions.h"
#include "tables/mapping_changes.h"
#include "tables/mappings.h"

#define ADDR(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define SUBSCRIBER	 ADDR(10, 0, 0, 2)
#define OTHER		 ADDR(10, 0, 0, 3)
#define UNMAPPED	 ADDR(10, 0, 9, 9)
#define EXTERNAL	 ADDR(198, 51, 100, 7)
#define POOL		 ADDR(203, 0, 113, 0)
#define PORT_LO		 3040 /* of SUBSCRIBER; OTHER's follows */
#define PORTS		 1008

/* Outside port of the first choice for an inside port of a subscriber 10.0.0.N. */
#define OUT_PORT(in_port, n) (1024 + PORTS * (n) + (in_port) % PORTS)

enum { PASS_XDP = 2, DROP_XDP = 1, REDIRECT_XDP = 4, PASS_TC = -1, DROP_TC = 2, REDIRECT_TC = 7 };

/*
 * TC_OWN: the same program, for what the gateway itself sends. XDP_INSIDE_SLOW and XDP_OUTSIDE_SLOW: the programs of
 * the slow path, called with any packet. INGRESS_...: tc at the ingress of an interface without XDP.
 */
enum hook {
	XDP_INSIDE,
	XDP_OUTSIDE,
	XDP_BOTH,
	TC_OUTSIDE,
	TC_OWN,
	XDP_INSIDE_SLOW,
	XDP_OUTSIDE_SLOW,
	INGRESS_INSIDE,
	INGRESS_OUTSIDE,
	INGRESS_BOTH
};

extern struct datapath datapath;
extern struct mappings *mappings;
extern struct settings settings;	/* change before set_up() */
extern struct binding_layout bindings;	/* of the mapping; change before set_up() */
extern struct limit_layout user_limits; /* of the mapping, likewise */
extern uint32_t inside_ifindex, outside_ifindex;

void set_up(void);

/*
 * The same with tables as large as the agent makes them, for tests that fill one. Elsewhere those that no test fills
 * are small, unless this is set: the kernel sets up each bucket and element that a map may ever have, which took a
 * third of the time of the datapath's tests.
 */
void set_up_with_room(void);
extern bool full_sized_maps;

void tear_down(void);

/* Adds a mapping; how: NULL, it takes the place of none. */
void make_mapping(const struct mapping_spec *spec, const struct mapping_handover *how);

/* Enters both interfaces as ones to redirect to, in two stages; for tests that open the datapath again. */
void enter_ports(void);

/* For what the datapath keeps by core: next hops, and what one program leaves for the next. */
void stay_on_one_core(void);

/* Loads the programs again with changed settings. */
void reload_settings(void);

/* Runs a frame through a hook; the frame that comes out is written to out, of FRAME_MAX octets. Returns the verdict. */
int run_frame(enum hook hook, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size);
/* The same with a frame that came in by another interface. */
int run_frame_on(uint32_t ifindex, enum hook hook, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size);

/*
 * Whether REDIRECT_TC is in the environment: the programs at tc that send packets themselves then stand in for those of
 * XDP, with the same verdicts. ICMP errors and resets, which XDP makes of the packet, tc leaves to the agent: they come
 * out as the frames that XDP would have made, unless they are to be left.
 */
bool redirect_tc_wanted(void);
extern bool redirect_tc_leaves_answers;

/* A descriptor, the caller's, of the program that a hook runs. */
int hook_program(enum hook hook);

/* The same without stage 2: see staged.h. */
int run_hook(enum hook hook, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size);

/* What the kernel tells tc of the frames that follow: octets of payload in each packet of a segment of several. */
extern uint32_t gso_size;

/* Takes the oldest frame or packet that was left for the agent to send. Whether there was one. */
int transmitted(struct transmission *ret);

/* The same, and the verdict and the only reason counted are these. */
void run_frame_counted(const char *name, enum hook hook, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size,
		       int verdict, enum reason reason);

/* A packet, its verdict, what comes out, and the reason that must have been counted, alone. */
struct row {
	const char *name; /* a sentence */
	enum hook hook;
	struct frame in;
	int verdict;
	struct frame out; /* .proto 0: what went in */
	enum reason reason;
};

/* Runs rows in order; expectations that do not hold are named by the row. */
void run_rows(const struct row *rows, size_t n);

#define RUN_ROWS(rows) run_rows(rows, sizeof(rows) / sizeof(*(rows)))

/* Sum over all counters of REASONS, and one of them. */
uint64_t counted(enum reason reason);

/* Puts the sessions of a subscriber so many seconds further into the past. */
void age_sessions(uint32_t in_addr, uint32_t seconds);

/* The slots of a subscriber's extent, and their number; NULL: it has none. */
struct slot *slots_beyond(int number, uint32_t in_addr, uint32_t *ret_n);

/* That of a session of a subscriber there; NULL: it has none, or is in no mapping. key: slot_key(). */
struct slot *slot_beyond(uint32_t in_addr, uint64_t key, uint8_t proto);

/* Datagrams whose first fragment leads others. */
unsigned datagrams_remembered(void);

/* All sessions beyond the slots, in extents. */
int64_t sessions_overflowed(void);

/* The same as age_sessions() with all of those, in ticks. */
void age_beyond(uint32_t ticks);

/* Waits until the datapath's clock goes on. */
void next_tick(void);

/*
 * A packet from SUBSCRIBER, or another, to EXTERNAL: its outside port, or -1 where it was not translated. in_port of
 * ICMP is the identifier.
 */
int open_flow(uint8_t proto, uint16_t in_port, uint16_t ext_port, uint8_t flags);
int open_flow_of(uint32_t in_addr, uint8_t proto, uint16_t in_port, uint16_t ext_port, uint8_t flags);

/* The same, where a search that this tick has no room for is made in the next. */
int open_flow_in_time(uint32_t in_addr, uint8_t proto, uint16_t in_port, uint16_t ext_port, uint8_t flags);

/* The only session of the subscriber, --all; fails the test where there is not exactly one. */
struct session only_session(uint32_t in_addr);
uint32_t sessions_of(uint32_t in_addr);

#endif
