/* SPDX-License-Identifier: BSD-2-Clause */
/* A change of mappings is on disk before it takes effect (RFC 7422). */
#include <errno.h>

#include "base/log.h"
#include "change/plan_private.h"
#include "history/queue.h"

/* How long a first start waits for the disk before it goes on without the record. */
#define FIRST_PATIENCE_US (20 * 1000000ULL)

static void on_recorded(void *arg, int r, const struct error *err)
{
	struct plan *p = arg;

	p->record = RECORD_ENDED;
	p->record_r = r;
	p->record_err = *err;
}

static int begin(struct plan *p, struct error *err)
{
	_cleanup_free_ struct history_mapping *add = calloc(p->n_add + 1, sizeof(*add));
	_cleanup_free_ struct history_mapping *del = calloc(p->n_del + 1, sizeof(*del));

	if (!add || !del)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < p->n_add; i++)
		add[i] = (struct history_mapping){ .in = p->add[i].spec.in,
						   .out = p->add[i].spec.out,
						   .open = p->add[i].spec.open };
	for (size_t i = 0; i < p->n_del; i++)
		del[i] = (struct history_mapping){ .in = p->del[i].in, .out = p->del[i].out, .open = p->del[i].open };
	if (history_queue_change(p->context->history, del, p->n_del, add, p->n_add, on_recorded, p))
		return error_set(err, -ENOMEM, "out of memory");
	p->record = RECORD_UNDER_WAY;
	p->record_us = monotonic_us();
	return PLAN_WAITS;
}

int plan_record(struct plan *p, struct error *err)
{
	bool first_start = !p->context->active->config && !p->context->datapath->reused;

	if (!p->n_add && !p->n_del)
		return PLAN_READY;
	if (p->record == RECORD_NOT)
		return begin(p, err);
	if (p->record == RECORD_UNDER_WAY) {
		if (!first_start || monotonic_us() - p->record_us < FIRST_PATIENCE_US)
			return PLAN_WAITS;
		history_queue_forget(p->context->history, p);
		p->record = RECORD_ENDED;
		p->record_r = -ETIMEDOUT;
		return PLAN_READY;
	}
	if (!p->record_r || (first_start && (p->record_r == -ETIMEDOUT || error_passes(p->record_r))))
		return PLAN_READY;
	return error_set(err, p->record_r, "%s", p->record_err.text);
}
