/* SPDX-License-Identifier: BSD-2-Clause */
#include "ipfix_fixture.h"

const struct nat_event quota_event = { .type = EVENT_QUOTA, .in_addr = 0x0a000002, .limit = 1000, .proto = 17 };
const struct nat_event ports_event = {
	.type = EVENT_PORTS_EXHAUSTED,
	.in_addr = 0x0a000002,
	.out_addr = 0x01010100,
	.ext_addr = 0xc6336407,
	.proto = 17,
};
const struct nat_event opened_event = {
	.type = EVENT_SESSION_OPENED,
	.in_addr = 0x0a000003,
	.out_addr = 0x01010100,
	.ext_addr = 0xc6336407,
	.in_port = 6303,
	.out_port = 1070,
	.ext_port = 443,
	.proto = 6,
};
const struct nat_event closed_event = {
	.type = EVENT_SESSION_CLOSED,
	.in_addr = 0x0a000003,
	.out_addr = 0x01010100,
	.ext_addr = 0xc6336407,
	.in_port = 0x1234,
	.out_port = 1030,
	.proto = 1,
};

const struct nat_event fragments_event = { .type = EVENT_FRAGMENTS, .in_addr = 0x0a000002, .limit = 64 };

struct ipfix *exporter;
struct collector collector;
struct received received;
struct error error;

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

struct collector collector_at(uint16_t port)
{
	struct collector c = { .fd = socket(AF_INET, SOCK_DGRAM, 0), .stream = -1 };
	struct sockaddr_in at = address_of((struct endpoint){ LOOPBACK, port });
	const struct timeval patience = { .tv_sec = 5 };

	cr_assert_eq(bind(c.fd, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	c.at = bound_to(c.fd);
	return c;
}

struct collector tcp_collector_at(uint16_t port)
{
	struct collector c = { .fd = socket(AF_INET, SOCK_STREAM, 0), .stream = -1 };
	struct sockaddr_in at = address_of((struct endpoint){ LOOPBACK, port });
	const struct timeval patience = { .tv_sec = 5 };
	const int on = 1;

	cr_assert_eq(setsockopt(c.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	cr_assert_eq(bind(c.fd, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	cr_assert_eq(listen(c.fd, 4), 0);
	c.at = bound_to(c.fd);
	return c;
}

void accept_stream(struct collector *c)
{
	const struct timeval patience = { .tv_sec = 5 };

	c->stream = accept(c->fd, NULL, NULL);
	cr_assert_geq(c->stream, 0, "no connection");
	cr_assert_eq(setsockopt(c->stream, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
}

static void read_stream(const struct collector *c, size_t from, size_t to)
{
	while (from < to) {
		ssize_t n = recv(c->stream, received.octets + from, to - from, 0);

		cr_assert_gt(n, 0, "the stream ends at octet %zu of %zu", from, to);
		from += (size_t)n;
	}
	received.length = to;
}

void receive_stream(const struct collector *c)
{
	read_stream(c, 0, 16);

	size_t length = number_at(2, 2);

	cr_assert_geq(length, 20);
	read_stream(c, 16, length);
}

uint16_t free_port(void)
{
	struct collector c = collector_at(0);

	close(c.fd);
	return c.at.port;
}

bool receive(const struct collector *c)
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

uint32_t number_at(size_t offset, size_t octets)
{
	uint32_t value = 0;

	cr_assert_leq(offset + octets, received.length);
	while (octets--)
		value = value << 8 | received.octets[offset++];
	return value;
}

uint32_t content_of_message(uint32_t set)
{
	static const uint32_t record_octets[N_IPFIX_LAYOUTS] = { 21, 18, 28, 21, 17, 22 };
	uint32_t templates = 0;

	if (set == 2) {
		for (size_t at = 20; at < received.length; at += 4 + 4 * number_at(at + 2, 2))
			templates |= 1U << (number_at(at, 2) - 256);
		return templates;
	}
	if (set == 3)
		return (uint32_t)number_at(20, 2);
	cr_assert_eq((received.length - 20) % record_octets[set - 256], 0);
	return (uint32_t)(received.length - 20) / record_octets[set - 256];
}

/* Whether the message received is that of the row; i is its number. */
static void expect_received(const struct expected *row, size_t i)
{
	uint32_t set = number_at(16, 2);

	cr_assert_eq(number_at(0, 2), 10);
	cr_assert_eq(number_at(2, 2), received.length);
	cr_assert_eq(set, row->set, "message %zu: set %u, not %u", i, set, row->set);
	if (set != 3)
		cr_assert_eq(number_at(18, 2), received.length - 16);
	cr_assert_eq(number_at(8, 4), row->sequence, "message %zu: sequence %u, not %u", i, number_at(8, 4),
		     row->sequence);
	cr_assert_eq(content_of_message(set), row->content, "message %zu: content %u, not %u", i,
		     content_of_message(set), row->content);
}

void expect_messages(const struct collector *c, const struct expected *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		cr_assert(receive(c), "message %zu of %zu is missing", i, n);
		expect_received(&rows[i], i);
	}
	cr_assert_not(receive(c), "a message too many, set %u", number_at(16, 2));
}

void expect_stream(const struct collector *c, const struct expected *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		receive_stream(c);
		expect_received(&rows[i], i);
	}
}

struct config_ipfix exporter_settings(void)
{
	return (struct config_ipfix){
		.enabled = true,
		.n_collectors = 1,
		.collectors = { { collector.at, IPFIX_UDP } },
		.domain_id = 1,
		.path_mtu = 512,
		.template_interval = 600,
		.events = IPFIX_QUOTA | IPFIX_PORTS,
	};
}

void configure(struct config_ipfix c)
{
	cr_assert_eq(ipfix_configure(exporter, &c, &error), 0, "%s", error.text);
}

void quota_events(unsigned n, uint64_t wall_ms)
{
	while (n--)
		ipfix_event(exporter, &quota_event, wall_ms);
}

void expect_figures(uint64_t records, uint64_t messages, uint64_t lost)
{
	struct ipfix_figures f = ipfix_figures(exporter);

	cr_assert_eq(f.records_sent, records, "%lu records sent, not %lu", f.records_sent, records);
	cr_assert_eq(f.messages_sent, messages, "%lu messages sent, not %lu", f.messages_sent, messages);
	cr_assert_eq(f.records_lost, lost, "%lu records lost, not %lu", f.records_lost, lost);
}

void exporter_set_up(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	collector = collector_at(0);
	cr_assert_eq(ipfix_new(&exporter), 0);
	configure(exporter_settings());
}

void exporter_tear_down(void)
{
	ipfix_free(exporter);
	close(collector.fd);
}

struct ipfix_collector_stats stats_of(size_t i)
{
	struct ipfix_collector_stats stats[MAX_COLLECTORS];

	cr_assert_gt(ipfix_stats(exporter, stats), i);
	return stats[i];
}
