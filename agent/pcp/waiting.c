/* SPDX-License-Identifier: BSD-2-Clause */
#include "pcp/pcp_private.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"

struct request {
	uint64_t until_us; /* 0: the place is free */
	uint32_t at;
	struct pcp_arrival from;
	size_t size;
	uint8_t data[PCP_MAX_MESSAGE];
};

struct pcp_waiting {
	struct event *timer;
	pcp_waiting_try again;
	pcp_waiting_lost lost;
	void *arg;
	struct request request[PCP_WAITING];
};

static void look_later(struct pcp_waiting *w)
{
	const struct timeval pause = { .tv_usec = PCP_WAITING_LOOK_MS * 1000L };

	if (!evtimer_pending(w->timer, NULL))
		evtimer_add(w->timer, &pause);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct pcp_waiting *w = arg;
	bool any = false;

	for (size_t i = 0; i < PCP_WAITING; i++) {
		struct request *r = &w->request[i];

		if (!r->until_us)
			continue;
		if (w->again(w->arg, r->at, &r->from, r->data, r->size)) {
			r->until_us = 0;
		} else if (r->until_us <= monotonic_us()) {
			r->until_us = 0;
			w->lost(w->arg);
		} else {
			any = true;
		}
	}
	if (any)
		look_later(w);
}

int pcp_waiting_new(struct event_base *base, pcp_waiting_try again, pcp_waiting_lost lost, void *arg,
		    struct pcp_waiting **ret)
{
	struct pcp_waiting *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->again = again;
	w->lost = lost;
	w->arg = arg;
	w->timer = evtimer_new(base, on_timer, w);
	if (!w->timer) {
		free(w);
		return -ENOMEM;
	}
	*ret = w;
	return 0;
}

void pcp_waiting_free(struct pcp_waiting *w)
{
	if (!w)
		return;
	event_free(w->timer);
	free(w);
}

/* A free place, or the one that expires next. */
static struct request *place_of(struct pcp_waiting *w)
{
	struct request *oldest = &w->request[0];

	for (size_t i = 1; i < PCP_WAITING && oldest->until_us; i++)
		if (w->request[i].until_us < oldest->until_us)
			oldest = &w->request[i];
	return oldest;
}

void pcp_waiting_add(struct pcp_waiting *w, uint32_t at, const struct pcp_arrival *from, const uint8_t *data,
		     size_t size)
{
	struct request *r = place_of(w);

	if (size > sizeof(r->data))
		return;
	if (r->until_us)
		w->lost(w->arg);
	r->until_us = monotonic_us() + PCP_WAITING_MS * 1000ULL;
	r->at = at;
	r->from = *from;
	r->size = size;
	memcpy(r->data, data, size);
	look_later(w);
}
