/* SPDX-License-Identifier: BSD-2-Clause */
/* Opens the history for the event loop, and reads what it says about ports that rest. */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "base/log.h"
#include "base/trouble.h"
#include "config/config.h"
#include "recorder/queue_private.h"

int history_queue_new(struct event_base *base, const char *dir, const struct datapath *d, const struct mappings *m,
		      const struct portmaps *p, const struct grants *g, struct history_queue **ret, struct error *err)
{
	struct history_queue *q = calloc(1, sizeof(*q));
	struct error why = { 0 };
	int r;

	if (!q)
		return error_set(err, -ENOMEM, "out of memory");
	q->tables = (struct history_tables){ m, p, g };
	q->end = &q->first;
	q->began_s = history_now();
	q->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->set = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	q->woken = q->wake < 0 ? NULL : event_new(base, q->wake, EV_READ | EV_PERSIST, history_queue_on_wake, q);
	q->was_set = q->set < 0 ? NULL : event_new(base, q->set, EV_READ | EV_PERSIST, history_queue_on_clock, q);
	if (!q->woken || event_add(q->woken, NULL) || !q->was_set || event_add(q->was_set, NULL) ||
	    history_queue_watch_clock(q))
		r = error_set(err, -ENOMEM, "the mapping history cannot be set up");
	else
		r = history_new_tables(dir, d, &q->tables, &q->history, err);
	if (r) {
		history_queue_release(q);
		return r;
	}
	r = history_try_open(q->history, &why);
	/* Another agent uses it, or an operator must repair it first. */
	if (r == -EWOULDBLOCK || (r && !d->reused && !error_passes(r))) {
		history_queue_release(q);
		return error_set(err, r, "%s", why.text);
	}
	if (r)
		trouble_set(TROUBLE_HISTORY, "%s; no mapping can be changed until this is mended", why.text);
	r = history_rested(q->history, CONFIG_REST_S, &q->rests, &q->n_rests);
	if (!r && !d->reused)
		r = history_rested_grants(q->history, DAY_S, &q->rested, &q->n_rested);
	if (r) {
		history_queue_release(q);
		return error_set(err, r, "out of memory");
	}
	history_queue_take_end(q);
	*ret = q;
	return 0;
}

const struct history_rest *history_queue_rests(const struct history_queue *q, size_t *ret_n)
{
	*ret_n = q->n_rests;
	return q->rests;
}

const struct history_grant *history_queue_rested_grants(const struct history_queue *q, size_t *ret_n)
{
	*ret_n = q->n_rested;
	return q->rested;
}
