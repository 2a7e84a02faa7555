/* SPDX-License-Identifier: BSD-2-Clause */
/* IPFIX messages against bytes computed by hand, and the exporter against a collector on the loopback. */
#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "ipfix.h"
#include "ipfix_encode.h"
#include "log.h"

#define LOOPBACK 0x7f000001U
#define NOW_MS	 1700000000000ULL /* 0x18bcfe56800, 1700000000 s = 0x6553f100 */

static const struct nat_event quota_event = { .type = EVENT_QUOTA, .in_addr = 0x0a000002, .limit = 1000, .proto = 17 };
static const struct nat_event ports_event = {
	.type = EVENT_PORTS_EXHAUSTED,
	.in_addr = 0x0a000002,
	.out_addr = 0x01010100,
	.ext_addr = 0xc6336407,
	.proto = 17,
};
static const struct nat_event opened_event = {
	.type = EVENT_SESSION_OPENED,
	.in_addr = 0x0a000003,
	.out_addr = 0x01010100,
	.ext_addr = 0xc6336407,
	.in_port = 6303,
	.out_port = 1070,
	.ext_port = 443,
	.proto = 6,
};
static const struct nat_event closed_event = {
	.type = EVENT_SESSION_CLOSED,
	.in_addr = 0x0a000003,
	.out_addr = 0x01010100,
	.ext_addr = 0xc6336407,
	.in_port = 0x1234,
	.out_port = 1030,
	.proto = 1,
};

/* A message as text: hexadecimal without blanks. */
struct hex {
	char text[2 * IPFIX_MAX_MESSAGE + 1];
};

static const char *hex_of(const uint8_t *octets, size_t n)
{
	static struct hex hex;

	for (size_t i = 0; i < n; i++)
		sprintf(hex.text + 2 * i, "%02x", octets[i]);
	hex.text[2 * n] = 0;
	return hex.text;
}

static const char *squeeze(const char *spaced)
{
	static struct hex hex;
	size_t n = 0;

	for (; *spaced; spaced++) {
		if (*spaced != ' ')
			hex.text[n++] = *spaced;
	}
	hex.text[n] = 0;
	return hex.text;
}

static struct ipfix_message message;

Test(ipfix_encode, templates_are_those_of_the_contract)
{
	ipfix_begin_templates(&message);
	for (int layout = 0; layout < N_IPFIX_LAYOUTS; layout++)
		ipfix_add_template(&message, layout);
	ipfix_finish(&message, 1700000000, 5, 7);
	cr_assert_str_eq(hex_of(message.octets, message.length),
			 squeeze("000a 006c 6553f100 00000005 00000007  0002 005c"
				 "0100 0005  0143 0008  00e6 0001  01d2 0004  01d9 0004  0008 0004"
				 "0101 0005  0143 0008  00e6 0001  00e1 0004  0004 0001  0008 0004"
				 "0102 0009  0143 0008  00e6 0001  0008 0004  00e1 0004  0007 0002  00e3 0002"
				 "0004 0001  000c 0004  000b 0002"));
	cr_assert_eq(message.records, 0);
}

Test(ipfix_encode, template_fits_to_the_last_octet)
{
	ipfix_begin_templates(&message);
	cr_assert(ipfix_template_fits(&message, IPFIX_LAYOUT_SESSION, 60));
	cr_assert_not(ipfix_template_fits(&message, IPFIX_LAYOUT_SESSION, 59));
}

Test(ipfix_encode, records_are_those_of_the_contract)
{
	static const struct {
		const char *name;
		const struct nat_event *event;
		const char *message;
	} rows[] = {
		{ "quota", &quota_event,
		  "000a 0029 6553f100 ffffffff fffffffe  0100 0019"
		  "0000018bcfe56801 0d 00000003 000003e8 0a000002" },
		{ "ports", &ports_event,
		  "000a 0026 6553f100 ffffffff fffffffe  0101 0016"
		  "0000018bcfe56801 0c 01010100 11 0a000002" },
		{ "session created", &opened_event,
		  "000a 0030 6553f100 ffffffff fffffffe  0102 0020"
		  "0000018bcfe56801 04 0a000003 01010100 189f 042e 06 c6336407 01bb" },
		{ "session of ICMP deleted", &closed_event,
		  "000a 0030 6553f100 ffffffff fffffffe  0102 0020"
		  "0000018bcfe56801 05 0a000003 01010100 1234 0406 01 c6336407 0000" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ipfix_begin_data(&message, ipfix_layout_of(rows[i].event));
		ipfix_add_record(&message, rows[i].event, NOW_MS + 1);
		ipfix_finish(&message, 1700000000, UINT32_MAX, UINT32_MAX - 1);
		cr_assert_str_eq(hex_of(message.octets, message.length), squeeze(rows[i].message), "%s", rows[i].name);
	}
}

Test(ipfix_encode, records_follow_each_other_in_one_set)
{
	ipfix_begin_data(&message, IPFIX_LAYOUT_SESSION);
	ipfix_add_record(&message, &opened_event, NOW_MS);
	ipfix_add_record(&message, &closed_event, NOW_MS + 1);
	ipfix_finish(&message, 1700000000, 0, 1);
	cr_assert_str_eq(hex_of(message.octets, message.length),
			 squeeze("000a 004c 6553f100 00000000 00000001  0102 003c"
				 "0000018bcfe56800 04 0a000003 01010100 189f 042e 06 c6336407 01bb"
				 "0000018bcfe56801 05 0a000003 01010100 1234 0406 01 c6336407 0000"));
	cr_assert_eq(message.records, 2);
}

Test(ipfix_encode, events_that_are_nobodys_record_have_no_layout)
{
	for (unsigned type = 0; type < 256; type++) {
		const struct nat_event e = { .type = (uint8_t)type };
		bool has = type == EVENT_QUOTA || type == EVENT_PORTS_EXHAUSTED || type == EVENT_SESSION_OPENED ||
			   type == EVENT_SESSION_CLOSED;

		cr_assert_eq(ipfix_layout_of(&e) >= 0, has, "type %u", type);
	}
}

/* ---- a collector, and an exporter that sends to it ---------------------------------------------------------- */

struct collector {
	int fd;
	struct endpoint at;
};

struct received {
	size_t length;
	uint8_t octets[IPFIX_MAX_MESSAGE];
};

static struct ipfix *exporter;
static struct collector collector;
static struct received received;
static struct error error;

static struct sockaddr_in address_of(struct endpoint e)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(e.addr),
				     .sin_port = htons(e.port) };
}

static struct endpoint bound_to(int fd)
{
	struct sockaddr_in at;
	socklen_t size = sizeof(at);

	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	return (struct endpoint){ .addr = ntohl(at.sin_addr.s_addr), .port = ntohs(at.sin_port) };
}

static struct collector collector_at(uint16_t port)
{
	struct collector c = { .fd = socket(AF_INET, SOCK_DGRAM, 0) };
	struct sockaddr_in at = address_of((struct endpoint){ LOOPBACK, port });
	const struct timeval patience = { .tv_sec = 5 };

	cr_assert_eq(bind(c.fd, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	c.at = bound_to(c.fd);
	return c;
}

/* Next message that the collector gets; false where there is none: a mark sent after the last one comes instead. */
static bool receive(const struct collector *c)
{
	static const char mark[] = "mark";
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in at = address_of(c->at);
	ssize_t n = recv(c->fd, received.octets, sizeof(received.octets), MSG_DONTWAIT);

	if (n < 0) {
		cr_assert_eq(sendto(fd, mark, sizeof(mark), 0, (struct sockaddr *)&at, sizeof(at)),
			     (ssize_t)sizeof(mark));
		n = recv(c->fd, received.octets, sizeof(received.octets), 0);
		cr_assert_geq(n, 0);
		if (n != sizeof(mark)) {
			/* Overtaken; the mark follows. */
			char rest[sizeof(mark)];

			cr_assert_eq(recv(c->fd, rest, sizeof(rest), 0), (ssize_t)sizeof(mark));
		}
	}
	received.length = (size_t)n;
	return n != sizeof(mark);
}

static uint32_t number_at(size_t offset, size_t octets)
{
	uint32_t value = 0;

	cr_assert_leq(offset + octets, received.length);
	while (octets--)
		value = value << 8 | received.octets[offset++];
	return value;
}

/* What one message is: a set id (2: templates), a sequence number, how many records, or which templates, a bit each. */
struct expected {
	uint32_t set;
	uint32_t sequence;
	uint32_t content;
};

#define QUOTA	1
#define PORTS	2
#define SESSION 4

static uint32_t content_of_message(uint32_t set)
{
	static const uint32_t record_octets[N_IPFIX_LAYOUTS] = { 21, 18, 28 };
	uint32_t templates = 0;

	if (set == 2) {
		for (size_t at = 20; at < received.length; at += 4 + 4 * number_at(at + 2, 2))
			templates |= 1U << (number_at(at, 2) - 256);
		return templates;
	}
	cr_assert_eq((received.length - 20) % record_octets[set - 256], 0);
	return (uint32_t)(received.length - 20) / record_octets[set - 256];
}

static void expect_messages(const struct collector *c, const struct expected *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		cr_assert(receive(c), "message %zu of %zu is missing", i, n);

		uint32_t set = number_at(16, 2);

		cr_assert_eq(number_at(0, 2), 10);
		cr_assert_eq(number_at(2, 2), received.length);
		cr_assert_eq(number_at(18, 2), received.length - 16);
		cr_assert_eq(set, rows[i].set, "message %zu: set %u, not %u", i, set, rows[i].set);
		cr_assert_eq(number_at(8, 4), rows[i].sequence, "message %zu: sequence %u, not %u", i, number_at(8, 4),
			     rows[i].sequence);
		cr_assert_eq(content_of_message(set), rows[i].content, "message %zu: content %u, not %u", i,
			     content_of_message(set), rows[i].content);
	}
	cr_assert_not(receive(c), "a message too many, set %u", number_at(16, 2));
}

#define EXPECT(c, ...)                                           \
	do {                                                     \
		const struct expected _rows[] = { __VA_ARGS__ }; \
		expect_messages(c, _rows, ARRAY_SIZE(_rows));    \
	} while (0)
#define EXPECT_NOTHING(c) cr_assert_not(receive(c), "unexpected message, set %u", number_at(16, 2))

static struct config_ipfix settings(void)
{
	return (struct config_ipfix){
		.enabled = true,
		.collector = collector.at,
		.domain_id = 1,
		.path_mtu = 512,
		.template_interval = 600,
		.events = IPFIX_QUOTA | IPFIX_PORTS,
	};
}

static void configure(struct config_ipfix c)
{
	cr_assert_eq(ipfix_configure(exporter, &c, &error), 0, "%s", error.text);
}

static void quota_events(unsigned n, uint64_t wall_ms)
{
	while (n--)
		ipfix_event(exporter, &quota_event, wall_ms);
}

static void expect_figures(uint64_t records, uint64_t messages, uint64_t lost)
{
	struct ipfix_figures f = ipfix_figures(exporter);

	cr_assert_eq(f.records_sent, records, "%lu records sent, not %lu", f.records_sent, records);
	cr_assert_eq(f.messages_sent, messages, "%lu messages sent, not %lu", f.messages_sent, messages);
	cr_assert_eq(f.records_lost, lost, "%lu records lost, not %lu", f.records_lost, lost);
}

static void set_up(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	collector = collector_at(0);
	cr_assert_eq(ipfix_new(&exporter), 0);
	configure(settings());
}

static void tear_down(void)
{
	ipfix_free(exporter);
	close(collector.fd);
}

TestSuite(ipfix, .init = set_up, .fini = tear_down);

Test(ipfix, templates_come_before_the_first_record_and_count_in_no_sequence)
{
	quota_events(2, NOW_MS);
	EXPECT_NOTHING(&collector);
	ipfix_tick(exporter, NOW_MS + 300);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 2 });
	quota_events(1, NOW_MS + 400);
	ipfix_event(exporter, &ports_event, NOW_MS + 500);
	ipfix_tick(exporter, NOW_MS + 1300);
	EXPECT(&collector, { 256, 2, 1 }, { 257, 3, 1 });
	ipfix_flush(exporter, NOW_MS + 2000);
	EXPECT(&collector, { 2, 4, QUOTA | PORTS });
	expect_figures(4, 5, 0);
}

Test(ipfix, header_bears_the_time_of_sending_and_the_domain)
{
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS + 2500);
	cr_assert(receive(&collector));
	cr_assert_eq(number_at(4, 4), 1700000002);
	cr_assert_eq(number_at(12, 4), 1);
}

Test(ipfix, quiet_exporter_sends_nothing_by_itself_and_templates_at_a_flush)
{
	ipfix_tick(exporter, NOW_MS);
	ipfix_tick(exporter, NOW_MS + 700000);
	EXPECT_NOTHING(&collector);
	ipfix_flush(exporter, NOW_MS + 700000);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS });
	/* They need not come again with the first record. */
	quota_events(1, NOW_MS + 700000);
	ipfix_tick(exporter, NOW_MS + 701000);
	EXPECT(&collector, { 256, 0, 1 });
}

Test(ipfix, flush_sends_what_was_gathered)
{
	quota_events(1, NOW_MS);
	ipfix_flush(exporter, NOW_MS);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
}

Test(ipfix, templates_come_again_after_the_interval_while_records_flow)
{
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	quota_events(1, NOW_MS + 599999);
	ipfix_tick(exporter, NOW_MS + 599999);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 }, { 256, 1, 1 });
	ipfix_tick(exporter, NOW_MS + 800000);
	EXPECT_NOTHING(&collector);
	quota_events(1, NOW_MS + 800001);
	ipfix_tick(exporter, NOW_MS + 800001);
	EXPECT(&collector, { 2, 2, QUOTA | PORTS }, { 256, 2, 1 });
	quota_events(1, NOW_MS + 800002);
	ipfix_tick(exporter, NOW_MS + 1400000);
	EXPECT(&collector, { 256, 3, 1 });
	quota_events(1, NOW_MS + 1400001);
	ipfix_tick(exporter, NOW_MS + 1400001);
	EXPECT(&collector, { 2, 4, QUOTA | PORTS }, { 256, 4, 1 });
}

Test(ipfix, clock_set_back_does_not_hold_templates_back)
{
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
	/* Read a little apart is not set back. */
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS - 1);
	EXPECT(&collector, { 256, 1, 1 });
	ipfix_tick(exporter, NOW_MS - 3600000);
	quota_events(1, NOW_MS - 3600000);
	ipfix_tick(exporter, NOW_MS - 3600000);
	EXPECT(&collector, { 2, 2, QUOTA | PORTS }, { 256, 2, 1 });
}

Test(ipfix, only_events_asked_for_are_reported_and_have_templates)
{
	struct config_ipfix c = settings();

	ipfix_event(exporter, &opened_event, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	EXPECT_NOTHING(&collector);
	c.events = IPFIX_SESSIONS;
	configure(c);
	ipfix_event(exporter, &quota_event, NOW_MS);
	ipfix_event(exporter, &opened_event, NOW_MS);
	ipfix_event(exporter, &closed_event, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	EXPECT(&collector, { 2, 0, SESSION }, { 258, 0, 2 });
}

Test(ipfix, exporter_of_no_event_sends_nothing)
{
	struct config_ipfix c = settings();

	c.events = 0;
	configure(c);
	quota_events(1, NOW_MS);
	ipfix_flush(exporter, NOW_MS);
	EXPECT_NOTHING(&collector);
}

Test(ipfix, templates_that_do_not_fit_one_message_take_two)
{
	struct config_ipfix c = settings();

	c.events = IPFIX_QUOTA | IPFIX_PORTS | IPFIX_SESSIONS;
	c.path_mtu = 136;
	configure(c);
	ipfix_flush(exporter, NOW_MS);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS | SESSION });
	c.path_mtu = 135;
	configure(c);
	ipfix_flush(exporter, NOW_MS);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 2, 0, SESSION });
}

Test(ipfix, messages_are_as_full_as_the_path_mtu_allows)
{
	static const struct {
		uint32_t path_mtu;
		const struct nat_event *event;
		uint32_t set;
		unsigned records;
		size_t length;
	} rows[] = {
		{ 512, &quota_event, 256, 22, 482 },	   { 512, &ports_event, 257, 25, 470 },
		{ 512, &opened_event, 258, 16, 468 },	   { 128, &quota_event, 256, 3, 83 },
		{ 128, &ports_event, 257, 4, 92 },	   { 128, &opened_event, 258, 2, 76 },
		{ 510, &quota_event, 256, 22, 482 },	   { 509, &quota_event, 256, 21, 461 },
		{ 65535, &quota_event, 256, 3118, 65498 }, { 65535, &opened_event, 258, 2338, 65484 },
	};
	struct config_ipfix c = settings();

	c.events = IPFIX_QUOTA | IPFIX_PORTS | IPFIX_SESSIONS;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		c.path_mtu = rows[i].path_mtu;
		c.domain_id = (uint32_t)i + 100;
		configure(c);
		/* The last of them sends the message, before any tick. */
		for (unsigned n = 0; n < rows[i].records; n++) {
			EXPECT_NOTHING(&collector);
			ipfix_event(exporter, rows[i].event, NOW_MS);
		}
		for (uint32_t templates = 0; templates != (QUOTA | PORTS | SESSION);
		     templates |= content_of_message(2)) {
			cr_assert(receive(&collector));
			cr_assert_eq(number_at(16, 2), 2);
			cr_assert_leq(received.length + 28, rows[i].path_mtu);
		}
		cr_assert(receive(&collector), "row %zu", i);
		cr_assert_eq(number_at(16, 2), rows[i].set);
		cr_assert_eq(received.length, rows[i].length, "row %zu: %zu octets", i, received.length);
		EXPECT_NOTHING(&collector);
	}
}

Test(ipfix, sequence_belongs_to_the_domain)
{
	struct config_ipfix c = settings();

	quota_events(3, NOW_MS);
	c.domain_id = 2;
	configure(c); /* sends the three by the old settings */
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 3 });
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	cr_assert(receive(&collector));
	cr_assert_eq(number_at(12, 4), 2);
	EXPECT(&collector, { 256, 0, 1 });
	c.domain_id = 1;
	configure(c);
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	EXPECT(&collector, { 2, 3, QUOTA | PORTS }, { 256, 3, 1 });
	expect_figures(5, 6, 0);
}

Test(ipfix, new_collector_gets_templates_first_and_the_old_one_what_was_gathered)
{
	struct collector other = collector_at(0);
	struct config_ipfix c = settings();

	quota_events(1, NOW_MS);
	c.collector = other.at;
	configure(c);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	EXPECT(&other, { 2, 1, QUOTA | PORTS }, { 256, 1, 1 });
	EXPECT_NOTHING(&collector);
	close(other.fd);
}

Test(ipfix, same_settings_again_change_nothing)
{
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	quota_events(1, NOW_MS);
	configure(settings());
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
	ipfix_tick(exporter, NOW_MS);
	EXPECT(&collector, { 256, 1, 1 });
}

Test(ipfix, disabled_exporter_sends_what_it_has_and_no_more)
{
	struct config_ipfix off = { 0 };

	quota_events(1, NOW_MS);
	configure(off);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	ipfix_flush(exporter, NOW_MS);
	EXPECT_NOTHING(&collector);
	configure(settings());
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	EXPECT(&collector, { 2, 1, QUOTA | PORTS }, { 256, 1, 1 });
	expect_figures(2, 4, 0);
}

Test(ipfix, freed_exporter_sends_what_it_has)
{
	struct ipfix *x;
	struct config_ipfix c = settings();

	cr_assert_eq(ipfix_new(&x), 0);
	cr_assert_eq(ipfix_configure(x, &c, &error), 0);
	ipfix_event(x, &quota_event, NOW_MS);
	ipfix_free(x);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
}

/* ---- the socket ---------------------------------------------------------------------------------------------- */

/* A port of the loopback that nobody holds. */
static uint16_t free_port(void)
{
	struct collector c = collector_at(0);

	close(c.fd);
	return c.at.port;
}

static struct endpoint sender_of_next(const struct collector *c)
{
	struct sockaddr_in from;
	socklen_t size = sizeof(from);

	cr_assert_gt(
		recvfrom(c->fd, received.octets, sizeof(received.octets), MSG_PEEK, (struct sockaddr *)&from, &size),
		0);
	return (struct endpoint){ ntohl(from.sin_addr.s_addr), ntohs(from.sin_port) };
}

Test(ipfix, messages_come_from_the_source)
{
	struct config_ipfix c = settings();

	c.source = (struct endpoint){ 0x7f000002, free_port() };
	configure(c);
	ipfix_flush(exporter, NOW_MS);

	struct endpoint from = sender_of_next(&collector);

	cr_assert_eq(from.addr, c.source.addr);
	cr_assert_eq(from.port, c.source.port);
}

Test(ipfix, source_stays_its_own_across_changes)
{
	struct collector other = collector_at(0);
	struct config_ipfix c = settings();

	/* The new socket takes the port of the old one over, even where an address gives way to any address. */
	c.source = (struct endpoint){ LOOPBACK, free_port() };
	configure(c);
	c.collector = other.at;
	configure(c);
	c.source.addr = 0;
	configure(c);
	ipfix_flush(exporter, NOW_MS);
	cr_assert_eq(sender_of_next(&other).port, c.source.port);

	/* Nobody else may. */
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int on = 1;
	struct sockaddr_in at = address_of(c.source);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), -1);
	cr_assert_eq(errno, EADDRINUSE);
	close(fd);
	close(other.fd);
}

Test(ipfix, change_of_what_the_socket_is_not_about_keeps_the_port)
{
	struct config_ipfix c = settings();

	ipfix_flush(exporter, NOW_MS);

	struct endpoint before = sender_of_next(&collector);

	EXPECT(&collector, { 2, 0, QUOTA | PORTS });
	c.path_mtu = 1500;
	c.domain_id = 9;
	configure(c);
	ipfix_flush(exporter, NOW_MS);
	cr_assert_eq(sender_of_next(&collector).port, before.port);
}

Test(ipfix, refused_source_leaves_everything_as_it_was)
{
	struct config_ipfix c = settings();
	struct collector taken = collector_at(0);

	quota_events(1, NOW_MS);
	c.domain_id = 2;
	c.source = (struct endpoint){ 0xc0000201, 4739 };
	cr_assert_eq(ipfix_configure(exporter, &c, &error), -EADDRNOTAVAIL);
	cr_assert_str_eq(error.text, "ipfix.source: 192.0.2.1 is not an address of this machine");
	c.source = taken.at;
	cr_assert_eq(ipfix_configure(exporter, &c, &error), -EADDRINUSE);
	cr_assert(strstr(error.text, "taken by another program"), "%s", error.text);
	c = settings();
	c.path_mtu = 27;
	cr_assert_eq(ipfix_configure(exporter, &c, &error), -EINVAL);

	cr_assert_eq(ipfix_settings(exporter)->domain_id, 1);
	EXPECT_NOTHING(&collector);
	ipfix_tick(exporter, NOW_MS);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
	close(taken.fd);
}

Test(ipfix, collector_that_was_down_misses_nothing_once_it_is_back)
{
	uint16_t port = collector.at.port;

	/* Every message meets a port unreachable, and the next one is sent all the same. */
	close(collector.fd);
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	expect_figures(1, 2, 0);
	quota_events(2, NOW_MS + 100);
	ipfix_tick(exporter, NOW_MS + 100);
	expect_figures(3, 3, 1);

	/* Back again: it has never seen the templates, so they come first. */
	collector = collector_at(port);
	quota_events(1, NOW_MS + 2000);
	ipfix_tick(exporter, NOW_MS + 2000);
	EXPECT(&collector, { 2, 3, QUOTA | PORTS }, { 256, 3, 1 });
	expect_figures(4, 5, 3);
	quota_events(1, NOW_MS + 4000);
	ipfix_tick(exporter, NOW_MS + 4000);
	EXPECT(&collector, { 256, 4, 1 });
	expect_figures(5, 6, 3);
}

Test(ipfix, records_that_the_socket_refuses_are_lost_and_leave_a_gap)
{
	struct config_ipfix c = settings();

	/* A broadcast address is refused to a socket that did not ask for it. */
	c.collector = (struct endpoint){ 0xffffffff, 4739 };
	configure(c);
	quota_events(3, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	expect_figures(0, 0, 3);
	configure(settings());
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	EXPECT(&collector, { 2, 3, QUOTA | PORTS }, { 256, 3, 1 });
	expect_figures(1, 2, 3);
}
