/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening and closing a history, and appending records with the current time. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "history/history_private.h"
#include "history/pin.h"

static int64_t real_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec;
}

int64_t (*history_clock)(void) = real_clock;

void history_mark(struct history *h)
{
	h->head_r = history_file_mark(&h->file, h->latest);
	if (h->pin >= 0 && h->file.index.number)
		history_pin_write(h->pin, h->file.index.number, h->file.index.hash);
}

/* Records and mappings without a time get the current one. */
static void set_time(struct history_record *r, int64_t now)
{
	r->time = now;
	if (r->mapping.from == TIME_NONE)
		r->mapping.from = now;
	if (r->portmap.from == TIME_NONE)
		r->portmap.from = now;
	if (r->drain.from == TIME_NONE)
		r->drain.from = now;
	for (size_t i = 0; i < r->n_drains; i++)
		if (r->drains[i].from == TIME_NONE)
			r->drains[i].from = now;
	for (size_t i = 0; i < r->n_portmaps; i++)
		if (r->portmaps[i].from == TIME_NONE)
			r->portmaps[i].from = now;
	for (size_t i = 0; i < r->n_mappings; i++)
		if (r->mappings[i].from == TIME_NONE)
			r->mappings[i].from = now;
}

int history_append(struct history *h, struct history_record *records, size_t n, struct error *err)
{
	return history_append_at(h, history_clock(), records, n, err);
}

int history_append_at(struct history *h, int64_t now, struct history_record *records, size_t n, struct error *err)
{
	struct history_index *x = &h->file.index;
	size_t n_damages = x->n_damages;
	struct history_record *all = records;
	_cleanup_free_ struct history_record *more = NULL;
	bool back = x->number && now < h->latest;
	int r;

	if (back) {
		more = calloc(n + 1, sizeof(*more));
		if (!more)
			return error_set(err, -ENOMEM, "out of memory");
		more[0] = (struct history_record){ .event = EVENT_CLOCK, .since = h->latest };
		if (n)
			memcpy(more + 1, records, n * sizeof(*more));
		all = more;
		n++;
		log_warning("mapping history: the clock was set back by %" PRId64 " s", h->latest - now);
	}
	for (size_t i = 0; i < n; i++)
		set_time(&all[i], now);
	r = history_file_append(&h->file, all, n, err);
	if (r)
		return r;
	if (back && n > 1)
		memcpy(records, more + 1, (n - 1) * sizeof(*records));
	h->latest = now;
	history_mark(h);
	/* The log is often stored elsewhere, where the checksum reveals that the file was truncated. */
	log_info("mapping history: line %" PRIu64 ", %s", x->number, x->hash);
	if (x->n_damages != n_damages)
		log_error("mapping history: line %" PRIu64 " %s", x->damages[n_damages].line,
			  x->damages[n_damages].text);
	return 0;
}

int history_new(const char *dir, int pin, struct history **ret, struct error *err)
{
	_cleanup_close_ int own_pin = pin;
	struct history *h = calloc(1, sizeof(*h));

	if (h)
		h->dir = strdup(dir);
	if (!h || !h->dir) {
		free(h);
		return error_set(err, -ENOMEM, "out of memory");
	}
	h->pin = take_fd(own_pin);
	history_file_init(&h->file);
	h->latest = TIME_NONE;
	*ret = h;
	return 0;
}

int history_try_open(struct history *h, struct error *err)
{
	int r = h->opened ? 0 : history_file_open(h->dir, &h->file, err);

	if (r || h->opened)
		return r;
	h->opened = true;
	h->latest = h->file.known_until;
	return 0;
}

int history_open(const char *dir, int pin, struct history **ret, struct error *err)
{
	struct history *h;
	int r = history_new(dir, pin, &h, err);

	if (r)
		return r;
	r = history_try_open(h, err);
	if (r) {
		history_close(h);
		return r;
	}
	*ret = h;
	return 0;
}

void history_close(struct history *h)
{
	if (!h)
		return;
	history_file_close(&h->file);
	close_fd(&h->pin);
	free(h->dir);
	free(h->present);
	history_portmaps_free(&h->portmaps);
	free(h->drains);
	free(h->change);
	free(h);
}
