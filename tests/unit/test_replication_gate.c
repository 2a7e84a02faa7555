/* SPDX-License-Identifier: BSD-2-Clause */
/* The socket at which peers connect. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "peers/gate.h"

static unsigned refused;

static bool is_known(void *arg, uint32_t addr)
{
	return false;
}

static void on_refused(void *arg, uint32_t from, struct endpoint listen, const char *why)
{
	refused++;
}

static int dial(int listening)
{
	struct sockaddr_in at;
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(getsockname(listening, (struct sockaddr *)&at, &size), 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&at, size), 0);
	return fd;
}

Test(replication_gate, without_a_descriptor_left_it_rests_and_then_accepts, .timeout = 300)
{
	static const struct gate_ops ops = { .known = is_known, .refused = on_refused };
	struct connection_setup setup = { .base = event_base_new() };
	int fd = gate_socket((struct endpoint){ INADDR_LOOPBACK, 0 }), caller = dial(fd);
	struct rlimit before, few;
	uint64_t begin_us;
	struct gate *g;

	cr_assert_eq(gate_open(&setup, fd, &ops, NULL, &g), 0);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 0;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	begin_us = monotonic_us();
	event_base_loop(setup.base, EVLOOP_NONBLOCK);
	cr_assert_eq(refused, 0);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	/* The connection waits, and is not looked at again before the second is over. */
	event_base_loop(setup.base, EVLOOP_NONBLOCK);
	cr_expect(!refused || monotonic_us() - begin_us >= 1000000);
	while (!refused)
		event_base_loop(setup.base, EVLOOP_ONCE);
	close(caller);
	gate_close(g);
	event_base_free(setup.base);
}
