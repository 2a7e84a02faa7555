/* SPDX-License-Identifier: BSD-2-Clause */
/* The exporter against collectors by TCP, that come late, go, or are slow; and several collectors at a time. */
#include "ipfix_fixture.h"

#include "ipfix/backlog.h"

static struct collector stream;

static struct config_ipfix tcp_settings(void)
{
	struct config_ipfix c = exporter_settings();

	c.collectors[0] = (struct collector_endpoint){ stream.at, IPFIX_TCP };
	return c;
}

static void set_up(void)
{
	exporter_set_up();
	stream = tcp_collector_at(0);
	configure(tcp_settings());
}

TestSuite(ipfix_tcp, .init = set_up, .fini = exporter_tear_down);

static uint64_t tick_ms = NOW_MS;

static void tick(void)
{
	ipfix_tick(exporter, tick_ms += 1000);
}

static void one_quota_event(void)
{
	quota_events(1, tick_ms);
}

Test(ipfix_tcp, stream_begins_with_the_templates_and_they_are_not_repeated)
{
	struct config_ipfix c = tcp_settings();

	c.template_interval = 1;
	configure(c);
	accept_stream(&stream);
	one_quota_event();
	tick();
	one_quota_event();
	tick();
	ipfix_event(exporter, &ports_event, tick_ms);
	tick();
	EXPECT_STREAM(&stream, { 2, 0, QUOTA | PORTS }, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 }, { 256, 1, 1 },
		      { 257, 2, 1 });
	cr_assert_eq(stats_of(0).connected, true);
	expect_figures(3, 5, 0);
	/* At a flush they are, for whoever listens in. */
	ipfix_flush(exporter, tick_ms);
	EXPECT_STREAM(&stream, { 2, 3, QUOTA | PORTS });
}

Test(ipfix_tcp, records_wait_for_a_collector_that_comes_late)
{
	uint16_t port = stream.at.port;

	configure(exporter_settings());
	close(stream.fd);
	configure(tcp_settings());
	for (unsigned i = 0; i < 3; i++) {
		one_quota_event();
		tick();
	}
	cr_assert_eq(stats_of(0).connected, false);
	cr_assert_eq(stats_of(0).records_waiting, 3);
	stream = tcp_collector_at(port);
	for (unsigned i = 0; i < 4; i++)
		tick();
	accept_stream(&stream);
	EXPECT_STREAM(&stream, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 }, { 256, 1, 1 }, { 256, 2, 1 });
	cr_assert_eq(stats_of(0).records_waiting, 0);
	cr_assert_eq(stats_of(0).reconnects, 0);
	cr_assert_eq(stats_of(0).figures.messages_sent, 4);
}

Test(ipfix_tcp, attempts_become_rarer)
{
	uint16_t port = stream.at.port;
	unsigned ticks;

	configure(exporter_settings());
	close(stream.fd);
	configure(tcp_settings());
	/* They come at 0, 1, 3, 7, 15, 31, 63 and 123. */
	for (ticks = 0; ticks < 64; ticks++)
		tick();
	stream = tcp_collector_at(port);
	while (!stats_of(0).connected && ticks < 200) {
		tick();
		ticks++;
	}
	cr_assert_eq(ticks, 123, "connected after %u ticks", ticks);
}

Test(ipfix_tcp, records_that_a_broken_connection_had_not_delivered_come_by_the_next_one)
{
	const struct linger reset = { .l_onoff = 1 };

	accept_stream(&stream);
	one_quota_event();
	tick();
	EXPECT_STREAM(&stream, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
	/* It acknowledged that one; those it does not, as it is gone. */
	tick();
	setsockopt(stream.stream, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(stream.stream);
	for (unsigned i = 0; i < 4; i++) {
		one_quota_event();
		tick();
	}
	accept_stream(&stream);
	EXPECT_STREAM(&stream, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 }, { 256, 1, 1 }, { 256, 2, 1 }, { 256, 3, 1 });
	cr_assert_eq(stats_of(0).reconnects, 1);
	expect_figures(5, 7, 0);
}

/* Session events until the queue loses some; how many. */
static unsigned overfill(void)
{
	unsigned n = 0;

	for (; !ipfix_figures(exporter).records_lost; n++)
		ipfix_event(exporter, &opened_event, tick_ms);
	return n;
}

Test(ipfix_tcp, slow_collector_costs_a_bounded_queue_and_is_told_what_it_missed, .timeout = 300)
{
	struct config_ipfix c = tcp_settings();
	struct ipfix_collector_stats stats;
	uint64_t gap;
	unsigned n;

	c.events = IPFIX_SESSIONS;
	configure(c);
	accept_stream(&stream);
	n = overfill();
	stats = stats_of(0);
	cr_assert_leq(stats.queue_octets, IPFIX_QUEUE_OCTETS);
	cr_assert_geq(n * 28, IPFIX_QUEUE_OCTETS / 2);
	cr_assert_eq(stats.figures.records_sent + stats.records_waiting + stats.figures.records_lost, n);

	/* It reads on: what waited arrives, and a gap stands for what did not. */
	for (uint64_t delivered = 0; delivered < n - stats.figures.records_lost;) {
		receive_stream(&stream);
		if (number_at(16, 2) == 258)
			delivered += content_of_message(258);
		ipfix_tick(exporter, tick_ms);
	}
	ipfix_event(exporter, &opened_event, tick_ms);
	tick();
	receive_stream(&stream);
	cr_assert_eq(number_at(16, 2), 258);
	cr_assert_eq(number_at(8, 4), n);
	gap = stats.figures.records_lost;
	cr_assert_gt(gap, 0);

	/* And a report says it. */
	for (unsigned i = 0; i < 4; i++)
		tick();
	receive_stream(&stream);
	cr_assert_eq(number_at(16, 2), 3);
	cr_assert_eq(number_at(20, 2), 512);
	cr_assert_eq(number_at(60, 8), gap);
}

Test(ipfix_tcp, end_gives_what_waits_a_moment_and_loses_no_more_than_that)
{
	struct ipfix *x;
	struct config_ipfix c = tcp_settings();

	configure(exporter_settings());
	accept_stream(&stream);
	close(stream.stream);
	cr_assert_eq(ipfix_new(&x), 0);
	cr_assert_eq(ipfix_configure(x, &c, &error), 0);
	ipfix_event(x, &quota_event, NOW_MS);
	ipfix_free(x);
	accept_stream(&stream);
	EXPECT_STREAM(&stream, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
	cr_assert_eq(recv(stream.stream, received.octets, 1, 0), 0, "the stream ends there");
}

Test(ipfix_tcp, domain_has_templates_and_a_sequence_of_its_own_in_the_stream)
{
	struct config_ipfix c = tcp_settings();

	accept_stream(&stream);
	one_quota_event();
	tick();
	EXPECT_STREAM(&stream, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
	c.domain_id = 2;
	configure(c);
	one_quota_event();
	tick();
	EXPECT_STREAM(&stream, { 2, 0, QUOTA | PORTS });
	cr_assert_eq(number_at(12, 4), 2);
	EXPECT_STREAM(&stream, { 256, 0, 1 });
	configure(tcp_settings());
	one_quota_event();
	tick();
	EXPECT_STREAM(&stream, { 2, 1, QUOTA | PORTS }, { 256, 1, 1 });
	cr_assert_eq(stats_of(0).reconnects, 0);
}

Test(ipfix_tcp, source_is_held_and_kept_when_connections_end)
{
	struct config_ipfix c = tcp_settings();
	struct sockaddr_in from;
	socklen_t size = sizeof(from);

	accept_stream(&stream);
	close(stream.stream);
	c.source = (struct endpoint){ 0x7f000002, free_port() };
	configure(c);
	for (unsigned i = 0; i < 2; i++) {
		stream.stream = accept(stream.fd, (struct sockaddr *)&from, &size);
		cr_assert_geq(stream.stream, 0);
		cr_assert_eq(ntohl(from.sin_addr.s_addr), c.source.addr);
		cr_assert_eq(ntohs(from.sin_port), c.source.port);
		close(stream.stream);
		for (unsigned k = 0; k < 4; k++)
			tick();
	}
}

/* Several. */

Test(ipfix_tcp, every_collector_gets_every_record)
{
	struct collector second = collector_at(0);
	struct config_ipfix c = tcp_settings();

	accept_stream(&stream);
	c.n_collectors = 3;
	c.collectors[1] = (struct collector_endpoint){ collector.at, IPFIX_UDP };
	c.collectors[2] = (struct collector_endpoint){ second.at, IPFIX_UDP };
	c.source.port = free_port();
	configure(c);
	close(stream.stream);
	accept_stream(&stream);
	one_quota_event();
	tick();
	EXPECT_STREAM(&stream, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
	EXPECT(&second, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
	expect_figures(3, 7, 0);

	/* One leaves, the others do not notice. */
	c.n_collectors = 2;
	configure(c);
	one_quota_event();
	tick();
	EXPECT_NOTHING(&second);
	EXPECT_STREAM(&stream, { 2, 1, QUOTA | PORTS }, { 256, 1, 1 });
	EXPECT(&collector, { 2, 1, QUOTA | PORTS }, { 256, 1, 1 });
	cr_assert_eq(stats_of(0).figures.records_sent, 2);
	expect_figures(5, 11, 0);
	close(second.fd);
}

Test(ipfix_tcp, one_that_cannot_be_set_leaves_all_as_they_were)
{
	struct config_ipfix c = tcp_settings();
	struct collector taken = collector_at(0);

	accept_stream(&stream);
	c.n_collectors = 2;
	c.collectors[1] = (struct collector_endpoint){ collector.at, IPFIX_UDP };
	c.source = taken.at;
	cr_assert_eq(ipfix_configure(exporter, &c, &error), -EADDRINUSE);
	cr_assert(strstr(error.text, "UDP port"), "%s", error.text);
	cr_assert_eq(ipfix_stats(exporter, (struct ipfix_collector_stats[MAX_COLLECTORS]){}), 1);
	one_quota_event();
	tick();
	EXPECT_STREAM(&stream, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
	EXPECT_NOTHING(&collector);
	close(taken.fd);
}

/* Reports of losses. */

Test(ipfix_tcp, events_lost_in_the_ring_are_reported_once_they_are_known)
{
	configure(exporter_settings());
	ipfix_tick(exporter, NOW_MS);
	EXPECT_NOTHING(&collector);
	ipfix_set_ring_losses(exporter, 7);
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS + 1000);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
	ipfix_tick(exporter, NOW_MS + 2000);
	ipfix_tick(exporter, NOW_MS + 3000);
	for (uint32_t id = 513; id >= 512; id--) {
		cr_assert(receive(&collector));
		cr_assert_eq(number_at(20, 2), id);
		cr_assert_eq(number_at(8, 4), 1 + 513 - id);
		cr_assert_eq(number_at(id == 513 ? 56 : 60, 8), 7);
	}
	EXPECT_NOTHING(&collector);
	ipfix_tick(exporter, NOW_MS + 60000);
	EXPECT_NOTHING(&collector);
	ipfix_set_ring_losses(exporter, 9);
	ipfix_tick(exporter, NOW_MS + 61000);
	EXPECT(&collector, { 3, 3, 513 }, { 3, 4, 512 });
	/* Now and then, news or not. */
	ipfix_tick(exporter, NOW_MS + 661000);
	EXPECT(&collector, { 3, 5, 513 }, { 3, 6, 512 });
	expect_figures(1, 9, 0);
}
