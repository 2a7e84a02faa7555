// SPDX-License-Identifier: BSD-2-Clause
/* When an interface that refuses redirected frames gets none, and when it gets another chance; failures by hand. */
#include <criterion/criterion.h>

#include <bpf/bpf.h>
#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <unistd.h>

#include <detnat/watch.h>

#include "attach/redirects.h"
#include "base/log.h"

static struct event_base *base;
static struct redirects *redirects;
static struct redirect_health health;
static struct link l = { .name = "wan0" };
static struct watched failures;
static int watched = -1;

static void on_alarm(uint32_t ifindex, void *arg)
{
}

/* The map that has the link's index, which no interface has. */
static int find_map(void)
{
	for (uint32_t id = 0; !bpf_map_get_next_id(id, &id);) {
		int fd = bpf_map_get_fd_by_id(id);
		struct bpf_map_info info = { 0 };
		uint32_t size = sizeof(info);
		struct watched w;

		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size) && !strcmp(info.name, "watched") &&
		    !bpf_map_lookup_elem(fd, &l.ifindex, &w))
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return -1;
}

static void set_up(void)
{
	const struct datapath d = { .counters = -1, .stage_drops = -1 };
	struct error err = { 0 };

	if (geteuid() != 0)
		cr_skip_test("needs root");
	log_set_level(LOG_LEVEL_ERROR);
	base = event_base_new();
	cr_assert_eq(redirects_new(base, &d, on_alarm, NULL, &redirects, &err), 0, "%s", err.text);
	l.ifindex = 0x70000000U + (uint32_t)getpid();
	redirects_start(redirects, &l, false, &health);
	watched = find_map();
	cr_assert_geq(watched, 0);
}

static void tear_down(void)
{
	close(watched);
	redirects_free(redirects);
	event_base_free(base);
}

TestSuite(redirects, .init = set_up, .fini = tear_down);

static void fail(int error)
{
	failures.unable++;
	failures.error = error;
	cr_assert_eq(bpf_map_update_elem(watched, &l.ifindex, &failures, BPF_ANY), 0);
}

static bool tick(void)
{
	return redirects_tick(redirects, &l, false, &health);
}

/* Seconds until the tick that changes something. */
static unsigned seconds(unsigned most)
{
	unsigned n = 1;

	while (n < most && !tick())
		n++;
	return n;
}

Test(redirects, a_link_that_is_down_for_three_seconds_gets_no_frames)
{
	for (int i = 0; i < 2; i++) {
		fail(-ENETDOWN);
		cr_expect_not(redirects_alarm(redirects, &l, false, &health));
		cr_expect_not(tick());
	}
	/* A second without failures. */
	cr_expect_not(tick());
	for (int i = 0; i < 2; i++) {
		fail(-ENETDOWN);
		cr_expect_not(tick());
	}
	fail(-ENETDOWN);
	cr_expect(tick());
	cr_expect(health.refusing);
}

Test(redirects, a_refused_frame_ends_them_at_once_and_each_time_for_twice_as_long)
{
	static const unsigned pauses[] = { 60, 120, 240, 480, 960, 1920, 3600, 3600 };

	for (size_t i = 0; i < ARRAY_SIZE(pauses); i++) {
		fail(-ENXIO);
		cr_expect(i % 2 ? tick() : redirects_alarm(redirects, &l, false, &health));
		cr_expect(health.refusing);
		cr_expect_not(redirects_alarm(redirects, &l, false, &health), "it is known");
		cr_expect_eq(seconds(4000), pauses[i], "time %zu", i);
		cr_expect_not(health.refusing);
	}
	for (int i = 0; i < 600; i++)
		cr_expect_not(tick());
	fail(-ENXIO);
	cr_expect(tick());
	cr_expect_eq(seconds(4000), 60, "it was well for ten minutes");
}
