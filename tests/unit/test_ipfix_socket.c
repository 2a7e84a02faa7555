/* SPDX-License-Identifier: BSD-2-Clause */
/* The exporter's socket: source, refusals, a collector that does not listen. */
#include "ipfix_fixture.h"

TestSuite(ipfix_socket, .init = exporter_set_up, .fini = exporter_tear_down);

static struct sockaddr_in address_of(struct endpoint e)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(e.addr),
				     .sin_port = htons(e.port) };
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

Test(ipfix_socket, messages_come_from_the_source)
{
	struct config_ipfix c = exporter_settings();

	c.source = (struct endpoint){ 0x7f000002, free_port() };
	configure(c);
	ipfix_flush(exporter, NOW_MS);

	struct endpoint from = sender_of_next(&collector);

	cr_assert_eq(from.addr, c.source.addr);
	cr_assert_eq(from.port, c.source.port);
}

Test(ipfix_socket, source_stays_its_own_across_changes)
{
	struct collector other = collector_at(0);
	struct config_ipfix c = exporter_settings();

	/* The new socket takes the port of the old one over, even where an address gives way to any address. */
	c.source = (struct endpoint){ LOOPBACK, free_port() };
	configure(c);
	c.collectors[0].at = other.at;
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

Test(ipfix_socket, change_of_what_the_socket_is_not_about_keeps_the_port)
{
	struct config_ipfix c = exporter_settings();

	ipfix_flush(exporter, NOW_MS);

	struct endpoint before = sender_of_next(&collector);

	EXPECT(&collector, { 2, 0, QUOTA | PORTS });
	c.path_mtu = 1500;
	c.domain_id = 9;
	configure(c);
	ipfix_flush(exporter, NOW_MS);
	cr_assert_eq(sender_of_next(&collector).port, before.port);
}

Test(ipfix_socket, refused_source_leaves_everything_as_it_was)
{
	struct config_ipfix c = exporter_settings();
	struct collector taken = collector_at(0);

	quota_events(1, NOW_MS);
	c.domain_id = 2;
	c.source = (struct endpoint){ 0xc0000201, 4739 };
	cr_assert_eq(ipfix_configure(exporter, &c, &error), -EADDRNOTAVAIL);
	cr_assert_str_eq(error.text, "ipfix.source: 192.0.2.1 is not an address of this machine");
	c.source = taken.at;
	cr_assert_eq(ipfix_configure(exporter, &c, &error), -EADDRINUSE);
	cr_assert(strstr(error.text, "taken by another program"), "%s", error.text);
	c = exporter_settings();
	c.path_mtu = 27;
	cr_assert_eq(ipfix_configure(exporter, &c, &error), -EINVAL);

	EXPECT_NOTHING(&collector);
	ipfix_tick(exporter, NOW_MS);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
	ipfix_flush(exporter, NOW_MS);
	cr_assert(receive(&collector));
	cr_assert_eq(number_at(12, 4), 1, "the domain is the old one");
	close(taken.fd);
}

Test(ipfix_socket, collector_that_was_down_misses_nothing_once_it_is_back)
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
	EXPECT(&collector, { 256, 4, 1 }, { 3, 5, 512 });
	expect_figures(5, 7, 3);
}

Test(ipfix_socket, records_that_the_socket_refuses_are_lost)
{
	struct config_ipfix c = exporter_settings();

	/* A broadcast address is refused to a socket that did not ask for it. */
	c.collectors[0].at = (struct endpoint){ 0xffffffff, 4739 };
	configure(c);
	quota_events(3, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	expect_figures(0, 0, 3);
	configure(exporter_settings());
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
	expect_figures(1, 2, 3);
}
