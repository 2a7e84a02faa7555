/* SPDX-License-Identifier: BSD-2-Clause */
/* What the service manager hears, on a socket that stands for it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/base.h"
#include "host/service_manager.h"

/* A socket of an abstract name of this process's own, which NOTIFY_SOCKET then names. */
static int listen_as_manager(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), length;

	length = snprintf(at.sun_path, sizeof(at.sun_path), "@detnat-test-%d", getpid());
	setenv("NOTIFY_SOCKET", at.sun_path, 1);
	at.sun_path[0] = '\0';
	cr_assert_eq(
		bind(fd, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length)),
		0);
	return fd;
}

static void assert_heard(int fd, const char *state)
{
	char text[128];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	cr_assert_gt(n, 0);
	text[n] = '\0';
	cr_assert_eq(strncmp(text, state, strlen(state)), 0, "%s", text);
}

Test(notify, states_reach_the_manager)
{
	_cleanup_close_ int fd = listen_as_manager();

	cr_assert_eq(notify_ready(), 0);
	assert_heard(fd, "READY=1");
	cr_assert_eq(notify_reloading(), 0);
	assert_heard(fd, "RELOADING=1\nMONOTONIC_USEC=");
	cr_assert_eq(notify_stopping(), 0);
	assert_heard(fd, "STOPPING=1");
	cr_assert_eq(notify_watchdog(), 0);
	assert_heard(fd, "WATCHDOG=1");
}

Test(notify, nothing_happens_without_a_manager)
{
	unsetenv("NOTIFY_SOCKET");
	cr_assert_eq(notify_ready(), 0);
}

Test(notify, a_manager_that_is_gone_is_an_error_and_no_more)
{
	setenv("NOTIFY_SOCKET", "@detnat-test-nobody-listens", 1);
	cr_assert_eq(notify_ready(), -ECONNREFUSED);
	setenv("NOTIFY_SOCKET", "relative", 1);
	cr_assert_eq(notify_ready(), -EINVAL);
}

Test(notify, the_watchdog_counts_only_for_the_process_that_it_names)
{
	char pid[16];

	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	cr_assert_eq(notify_watchdog_interval_us(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	cr_assert_eq(notify_watchdog_interval_us(), 30000000);
	setenv("WATCHDOG_PID", "1", 1);
	cr_assert_eq(notify_watchdog_interval_us(), 0);
	snprintf(pid, sizeof(pid), "%d", getpid());
	setenv("WATCHDOG_PID", pid, 1);
	cr_assert_eq(notify_watchdog_interval_us(), 30000000);
}
