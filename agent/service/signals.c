/* SPDX-License-Identifier: BSD-2-Clause */
#include "service/signals.h"

#include <errno.h>
#include <signal.h>

#include "base/log.h"

static void on_end(evutil_socket_t number, short what, void *arg)
{
	const struct signals *s = arg;

	log_info("ending by %s", number == SIGTERM ? "SIGTERM" : "SIGINT");
	s->end(s->arg);
}

static void on_hangup(evutil_socket_t number, short what, void *arg)
{
	const struct signals *s = arg;

	s->reload(s->arg);
}

void signals_release(void)
{
	sigset_t held;

	sigemptyset(&held);
	sigaddset(&held, SIGHUP);
	sigaddset(&held, SIGTERM);
	sigaddset(&held, SIGINT);
	sigprocmask(SIG_UNBLOCK, &held, NULL);
}

int signals_catch(struct signals *s, struct event_base *base, struct error *err)
{
	const struct {
		int number;
		event_callback_fn handler;
	} caught[] = { { SIGTERM, on_end }, { SIGINT, on_end }, { SIGHUP, on_hangup } };

	_Static_assert(ARRAY_SIZE(caught) == ARRAY_SIZE(s->event), "one event a signal");
	for (size_t i = 0; i < ARRAY_SIZE(caught); i++) {
		s->event[i] = evsignal_new(base, caught[i].number, caught[i].handler, s);
		if (!s->event[i] || evsignal_add(s->event[i], NULL))
			return error_set(err, -ENOMEM, "signals cannot be caught");
	}
	signals_release();
	return 0;
}

void signals_free(struct signals *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(s->event); i++)
		if (s->event[i])
			event_free(s->event[i]);
}
