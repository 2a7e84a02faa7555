/* SPDX-License-Identifier: BSD-2-Clause */
/* Notices, and the messages of syslog that they become. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base.h"
#include "base/notice.h"
#include "base/trouble.h"
#include "syslog/syslog.h"
#include "syslog/syslog_message.h"

static unsigned heard[8];

static void hear(void *arg, const struct notice *n)
{
	heard[(uintptr_t)arg]++;
}

static void tell(enum notice_kind kind)
{
	const struct notice n = notice_now(kind, LOG_LEVEL_INFO, "event", "text");

	notice_tell(&n);
}

Test(notice, is_told_to_those_who_listen_for_its_kind)
{
	struct notice_listener one = { .kinds = NOTICE_MAPPINGS, .heard = hear, .arg = (void *)1 };
	struct notice_listener two = { .kinds = NOTICE_ALL, .heard = hear, .arg = (void *)2 };

	tell(NOTICE_MAPPINGS);
	cr_expect_not(notice_wanted(NOTICE_MAPPINGS));
	notice_listen(&one);
	notice_listen(&two);
	tell(NOTICE_MAPPINGS);
	tell(NOTICE_SESSIONS);
	cr_expect_eq(heard[1], 1);
	cr_expect_eq(heard[2], 2);
	notice_unlisten(&two);
	notice_unlisten(&two);
	cr_expect(notice_wanted(NOTICE_MAPPINGS));
	cr_expect_not(notice_wanted(NOTICE_SESSIONS));
	tell(NOTICE_SESSIONS);
	tell(NOTICE_MAPPINGS);
	cr_expect_eq(heard[1], 2);
	cr_expect_eq(heard[2], 2);
	notice_unlisten(&one);
	cr_expect_not(notice_wanted(NOTICE_MAPPINGS));
}

Test(notice, takes_no_more_parameters_than_it_has_room_for)
{
	struct notice n = notice_now(NOTICE_MAPPINGS, LOG_LEVEL_INFO, "event", "text");

	for (unsigned i = 0; i < NOTICE_PARAMS + 3; i++)
		notice_add_number(&n, "n", i);
	cr_expect_eq(n.n_params, NOTICE_PARAMS);
	cr_expect_eq(n.param[NOTICE_PARAMS - 1].number, NOTICE_PARAMS - 1);
}

Test(syslog, message_has_all_parts_of_rfc_5424)
{
	const struct syslog_origin origin = { .facility = 16, .host = "gw", .pid = 7 };
	struct notice n = notice_now(NOTICE_REFUSALS, LOG_LEVEL_WARNING, "quota", "is at its quota");
	char text[SYSLOG_MESSAGE];

	n.wall_ns = 1768203011123456000ULL;
	notice_add_text(&n, "in_addr", "10.0.0.3");
	notice_add_text(&n, "odd", "a\"b\\c]d");
	notice_add_number(&n, "limit", 18446744073709551615ULL);
	cr_expect_eq(syslog_format(&origin, &n, text), strlen(text));
	cr_expect_str_eq(text,
			 "<132>1 2026-01-12T07:30:11.123456Z gw detnat-agent 7 quota [detnat@32473 "
			 "in_addr=\"10.0.0.3\" odd=\"a\\\"b\\\\c\\]d\" limit=\"18446744073709551615\"] is at its quota",
			 "%s", text);
}

Test(syslog, message_that_is_too_long_is_cut)
{
	const struct syslog_origin origin = { .host = "-" };
	struct notice n = notice_now(NOTICE_TROUBLES, LOG_LEVEL_ERROR, "trouble", NULL);
	char text[SYSLOG_MESSAGE], *longest = calloc(1, 4000);

	memset(longest, 'x', 3999);
	n.text = longest;
	cr_expect_eq(syslog_format(&origin, &n, text), SYSLOG_MESSAGE - 1);
	cr_expect_eq(strlen(text), SYSLOG_MESSAGE - 1);
	free(longest);
}

/* A /dev of the test's own with a syslog daemon's socket; -1: it may not make one. */
static int local_daemon(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	int fd;

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("dev", "/dev", "tmpfs", 0, NULL))
		return -1;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static bool received(int fd, const char *wanted)
{
	char text[4096] = "";

	return recv(fd, text, sizeof(text) - 1, 0) > 0 && strstr(text, wanted);
}

Test(syslog, local_daemon_that_is_stuck_or_started_again_delays_nothing_and_learns_of_losses)
{
	const struct config_syslog settings = { .enabled = true, .transport = SYSLOG_LOCAL, .events = NOTICE_MAPPINGS };
	struct event_base *base = event_base_new();
	struct syslog *s;
	unsigned n = 0;
	int fd = local_daemon();

	if (fd < 0)
		cr_skip_test("no mount namespace of its own");
	cr_assert_eq(syslog_new(base, &s), 0);
	tell(NOTICE_MAPPINGS);
	syslog_configure(s, &settings);
	tell(NOTICE_SESSIONS);
	tell(NOTICE_MAPPINGS);
	cr_expect_eq(syslog_figures(s).sent, 1);
	cr_expect(received(fd, " event [detnat@32473] text"));
	/* The daemon's queue is full after some messages. */
	while (!syslog_figures(s).lost && n++ < 100000)
		tell(NOTICE_MAPPINGS);
	cr_expect_eq(syslog_figures(s).lost, 1);
	cr_expect_null(trouble_get(TROUBLE_SYSLOG), "it is only behind");
	while (received(fd, " event ["))
		;
	tell(NOTICE_MAPPINGS);
	cr_expect(received(fd, " lost [detnat@32473 lost=\"1\"] 1 earlier messages are lost"));
	cr_expect(received(fd, " event ["));
	/* It ends. */
	close(fd);
	unlink("/dev/log");
	tell(NOTICE_MAPPINGS);
	cr_assert_not_null(trouble_get(TROUBLE_SYSLOG));
	cr_expect(strstr(trouble_get(TROUBLE_SYSLOG)->text, "/dev/log"));
	/* Another one starts, and learns of the loss without a further event. */
	fd = local_daemon();
	event_base_loop(base, EVLOOP_ONCE);
	cr_expect(received(fd, " lost [detnat@32473 lost=\"1\"]"));
	cr_expect_null(trouble_get(TROUBLE_SYSLOG));
	syslog_free(s);
	cr_expect_not(notice_wanted(NOTICE_MAPPINGS));
	event_base_free(base);
}

Test(syslog, trouble_of_its_own_is_not_sent_round_in_a_circle)
{
	const struct config_syslog settings = {
		.enabled = true, .transport = SYSLOG_UDP, .to = { 0xffffffff, 514 }, .events = NOTICE_ALL
	};
	struct event_base *base = event_base_new();
	struct syslog *s;

	cr_assert_eq(syslog_new(base, &s), 0);
	syslog_configure(s, &settings);
	tell(NOTICE_MAPPINGS); /* to the broadcast address, which is refused */
	cr_expect_eq(syslog_figures(s).lost, 1);
	cr_expect_not_null(trouble_get(TROUBLE_SYSLOG));
	syslog_configure(s, &(struct config_syslog){ .enabled = false });
	cr_expect_null(trouble_get(TROUBLE_SYSLOG));
	syslog_free(s);
	event_base_free(base);
}
