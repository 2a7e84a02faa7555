// SPDX-License-Identifier: BSD-2-Clause
/* Records for the agent: each ring buffer wakes it, at once, and says when and where it was. */
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <criterion/criterion.h>

#include "fixture.h"

static void set_up_records(void)
{
	settings.unsolicited_tcp = UNSOLICITED_ANSWER;
	set_up();
	datapath.global->fragments_until = datapath_ticks(&datapath) + 1000;
	datapath.mapping[0].sessions_per_user = 0;
}

TestSuite(records, .init = set_up_records, .fini = tear_down);

#define FROM_HOST .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL

static uint64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int keep_time(void *arg, void *data, size_t size)
{
	cr_assert_geq(size, sizeof(uint64_t));
	memcpy(arg, data, sizeof(uint64_t));
	return 0;
}

/* The first member of the only record. */
static uint64_t time_of_record(const char *name, int map)
{
	uint64_t time_ns = 0;
	struct ring_buffer *ring = ring_buffer__new(map, keep_time, &time_ns, NULL);

	cr_assert_eq(ring_buffer__consume(ring), 1, "%s", name);
	ring_buffer__free(ring);
	return time_ns;
}

/* An epoll that is asked after the record says so only where the datapath has woken it. */
static int epoll_of(int map)
{
	struct epoll_event e = { .events = EPOLLIN };
	int fd = epoll_create1(EPOLL_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(epoll_ctl(fd, EPOLL_CTL_ADD, map, &e), 0);
	cr_assert_eq(epoll_wait(fd, &e, 1, 0), 0);
	return fd;
}

Test(records, wake_the_agent_and_say_when)
{
	const struct {
		const char *name;
		int map;
		bool timed;
		enum hook hook;
		struct frame f;
	} rows[] = {
		{ "an event", datapath.events, true, XDP_INSIDE, { FROM_HOST, UDP, 7000, 53 } },
		{ "an early fragment",
		  datapath.early_fragments,
		  true,
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 7000, 53, .payload = 80, .options = LATER_FRAGMENT } },
		{ "a SYN of no session",
		  datapath.unsolicited_syns,
		  true,
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, TCP, 80, 3333, .flags = 2 } },
		{ "an answer made at tc", datapath.transmissions, false, TC_OUTSIDE, { FROM_HOST, UDP, 7000, 53 } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint8_t in[FRAME_MAX], out[FRAME_MAX];
		size_t size = frame_build(&rows[i].f, in), out_size;
		struct epoll_event e;
		uint64_t before, time_ns;
		int fd = epoll_of(rows[i].map);

		mappings_subscriber(mappings, 0, 2)->icmp_next = 0;
		before = monotonic_ns();
		run_frame(rows[i].hook, in, size, out, &out_size);
		cr_expect_eq(epoll_wait(fd, &e, 1, 2000), 1, "%s: nothing wakes the agent", rows[i].name);
		close(fd);
		time_ns = time_of_record(rows[i].name, rows[i].map);
		if (rows[i].timed)
			cr_expect(time_ns >= before && time_ns <= monotonic_ns(), "%s: %lu", rows[i].name, time_ns);
	}
}
