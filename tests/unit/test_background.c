/* SPDX-License-Identifier: BSD-2-Clause */
/* Work in a thread beside the event loop. */
#include <criterion/criterion.h>

#include <signal.h>
#include <unistd.h>

#include "base/background.h"

struct work {
	int gate[2];
	int done;
	int blocked; /* signals that the thread does not get */
};

static void wait_at_gate(void *arg)
{
	struct work *w = arg;
	sigset_t set;
	char c;

	pthread_sigmask(SIG_SETMASK, NULL, &set);
	w->blocked = sigismember(&set, SIGTERM) + sigismember(&set, SIGHUP);
	w->done += read(w->gate[0], &c, 1) == 1;
}

Test(background, goes_on_until_it_ends_again_and_again, .timeout = 300)
{
	struct background b = { 0 };
	struct work w = { .done = 0 };

	cr_assert_eq(pipe(w.gate), 0);
	background_wait(&b); /* for nothing */
	for (int i = 1; i <= 3; i++) {
		cr_assert(!background_busy(&b));
		background_start(&b, wait_at_gate, &w);
		cr_assert(background_busy(&b));
		cr_assert_eq(write(w.gate[1], "", 1), 1);
		if (i == 2)
			background_wait(&b);
		while (background_busy(&b))
			;
		cr_assert_eq(w.done, i);
	}
	cr_assert_eq(w.blocked, 2);
}
