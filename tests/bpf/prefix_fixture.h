/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fixture with a mapping of IPv6 subscribers beside that of IPv4 ones.
 *
 *	mapping	2001:db8:4000::/48, subscribers of /56 -> 203.0.113.64/30, 1008 ports each, 4 hosts each;
 *		virtual addresses 224.0.0.0/24, NAT64 prefix 64:ff9b::/96
 *	inside	2001:db8::1/64; HOST, fe80::3, is the next hop of all subscribers
 */
#ifndef DETNAT_TEST_PREFIX_FIXTURE_H
#define DETNAT_TEST_PREFIX_FIXTURE_H

#include <detnat/prefix6.h>

#include "fixture.h"

#define VIRTUAL	   ADDR(224, 0, 0, 0)
#define POOL6	   ADDR(203, 0, 113, 64)
#define HOSTS6	   4
#define ICMP6	   58
#define ICMP6_ECHO 128

/* Outside port of the first choice for an inside port of subscriber n. */
#define OUT_PORT6(in_port, n) (1024 + PORTS * (n) + (in_port) % PORTS)

/* A host of subscriber n; net: of its /64 within the /56. */
#define HOST_OF(n, net, host) ((struct address6){ 0x20010db840000000ULL | (uint64_t)(n) << 8 | (net), (host) })

/* An IPv4 address in the prefix. */
#define NAT64(addr) ((struct address6){ 0x0064ff9b00000000ULL, (addr) })

/* Host byte order. What is 0 has a default, as in struct frame: hop limit 64, echo request. */
struct frame6 {
	enum station from, to;
	struct address6 src, dst;
	uint8_t proto; /* as in IPv6 */
	uint16_t sport, dport;
	uint8_t flags;
	uint8_t hops;
	uint8_t icmp_type;
	uint32_t flow_label;
	uint16_t payload;
	unsigned options; /* NO_UDP_CHECKSUM, WRONG_CHECKSUM */
};

void set_up_six(void);

/* The same with so many slots of a subscriber, in place of 1024. */
void set_up_six_slots(uint32_t slots);

/* The same with eight slots of a subscriber, and extents for what does not fit there. */
void set_up_six_crowded(void);

/* Fills these eight slots with sessions of a host of its own: all further ones of subscriber n are in its extent. */
void crowd_6(uint32_t n);

/* The mapping of the fixture, with other outside addresses. */
struct mapping_spec six_spec(struct prefix out);

/* Length of the frame written to buffer, of FRAME_MAX octets. */
size_t frame6_build(const struct frame6 *f, uint8_t *buffer);

/* A packet of a host to the internet, and what it is then; the same of an answer. */
struct frame6 six_out(struct address6 host, uint8_t proto, uint16_t sport, uint16_t dport, uint8_t flags);
struct frame six_out_translated(const struct frame6 *f, uint16_t out_port);
struct frame six_answer(const struct frame *translated);
struct frame6 six_answer_translated(const struct frame *answer, const struct frame6 *sent);

/*
 * Runs a frame and compares all of what comes out. An IPv4 packet of up to 1260 octets has an identification that is
 * not foreseen, and no DF; a longer one has DF and none. reason: the only one counted.
 */
void expect_4(const char *name, const struct frame6 *in, const struct frame *out);
void expect_6(const char *name, const struct frame *in, const struct frame6 *out);
void expect_dropped_6(const char *name, enum hook hook, const struct frame6 *in, enum reason reason);

/* Runs a frame: its verdict, and what comes out. */
int run_6(enum hook hook, const struct frame6 *in, uint8_t *out, size_t *ret_size);

/* Gives a frame of IPv4 the header of one made of IPv6; its identification, if it has one, is that of `got`. */
void made_of_six(uint8_t *frame, const uint8_t *got);

/* Opens a session outwards: its outside port; -1: the packet was dropped. */
int open_6(struct address6 host, uint8_t proto, uint16_t sport, uint16_t dport, uint8_t flags);

/* Puts the sessions of subscriber n so many seconds further into the past. */
void age_6(uint32_t n, uint32_t seconds);

/* The same of the sessions on an outside port; -1: of all. */
void age_port_6(uint32_t n, int out_port, uint32_t seconds);

/* Enters a NAT64 prefix that no mapping of the fixture has. */
void enter_prefix6(struct address6 prefix, uint32_t plen);

/* Sessions that subscriber n's record counts. */
uint32_t sessions_6(uint32_t n);

/*
 * The copy of the routes holds from now on, as while an agent lives, with the next hop of all IPv6 subscribers; the
 * programs of the slow path are gone.
 */
void fast_path_alone(void);

/*
 * The same, but with the programs that look for sessions in other slots than they prefer; what the slow path has behind
 * these is gone.
 */
void fast_path_and_beyond(void);

/* Then: the packet is left to what is gone. */
void expect_left_beyond_6(const char *name, const struct frame6 *in);

/* After fast_path_alone(): the packet is left to the slow path, as it came. */
void expect_left_6(const char *name, const struct frame6 *in);
void expect_left_4(const char *name, const struct frame *in);

/* Ticks since the last refresh of subscriber n's session on an outside port. */
int age_of_6(uint32_t n, uint16_t out_port);

/* A line of subscriber n's hosts. */
struct host6 host_line(uint32_t n, uint32_t host);

#endif
