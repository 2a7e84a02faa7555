/* SPDX-License-Identifier: BSD-2-Clause */
/* Events, a collector by UDP on the loopback, one by TCP, and an exporter that sends to the former. */
#ifndef DETNAT_TEST_IPFIX_FIXTURE_H
#define DETNAT_TEST_IPFIX_FIXTURE_H

#include <criterion/criterion.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "ipfix/encode.h"
#include "ipfix/ipfix.h"

#define LOOPBACK 0x7f000001U
#define NOW_MS	 1700000000000ULL /* 0x18bcfe56800, 1700000000 s = 0x6553f100 */

extern const struct nat_event quota_event;
extern const struct nat_event ports_event;
extern const struct nat_event opened_event;
extern const struct nat_event closed_event;
extern const struct nat_event fragments_event;

struct collector {
	int fd;
	struct endpoint at;
	int stream; /* of one by TCP: the connection, or -1 */
};

struct received {
	size_t length;
	uint8_t octets[IPFIX_MAX_MESSAGE];
};

extern struct ipfix *exporter;
extern struct collector collector;
extern struct received received; /* the last message */
extern struct error error;

/* On a port of the loopback, 0 for any. */
struct collector collector_at(uint16_t port);
struct collector tcp_collector_at(uint16_t port);

/* Takes the connection that comes next, or fails. */
void accept_stream(struct collector *c);

/* A port of the loopback that nobody holds. */
uint16_t free_port(void);

/* Next message that the collector gets; false where there is none: a mark sent after the last one comes instead. */
bool receive(const struct collector *c);

/* Next message of the stream, or fails. */
void receive_stream(const struct collector *c);

uint32_t number_at(size_t offset, size_t octets);

/* What one message is: a set id (2: templates), a sequence number, how many records, or which templates, a bit each. */
struct expected {
	uint32_t set;
	uint32_t sequence;
	uint32_t content;
};

#define QUOTA	  1
#define PORTS	  2
#define SESSION	  4
#define FRAGMENTS 8
#define PORTMAPS  32

uint32_t content_of_message(uint32_t set);
void expect_messages(const struct collector *c, const struct expected *rows, size_t n);
void expect_stream(const struct collector *c, const struct expected *rows, size_t n);

#define EXPECT(c, ...)                                           \
	do {                                                     \
		const struct expected _rows[] = { __VA_ARGS__ }; \
		expect_messages(c, _rows, ARRAY_SIZE(_rows));    \
	} while (0)
#define EXPECT_STREAM(c, ...)                                    \
	do {                                                     \
		const struct expected _rows[] = { __VA_ARGS__ }; \
		expect_stream(c, _rows, ARRAY_SIZE(_rows));      \
	} while (0)
#define EXPECT_NOTHING(c) cr_assert_not(receive(c), "unexpected message, set %u", number_at(16, 2))

/* Those of `collector`. */
struct config_ipfix exporter_settings(void);
void configure(struct config_ipfix c);
void quota_events(unsigned n, uint64_t wall_ms);
void expect_figures(uint64_t records, uint64_t messages, uint64_t lost);
struct ipfix_collector_stats stats_of(size_t i);

void exporter_set_up(void);
void exporter_tear_down(void);

#endif
