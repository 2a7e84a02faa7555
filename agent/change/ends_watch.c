/* SPDX-License-Identifier: BSD-2-Clause */
#include "change/ends_watch.h"

#include <errno.h>
#include <time.h>

#include "base/log.h"
#include "base/trouble.h"

#define RETRY_SECONDS 60U

/* The first mapping whose time has come, or NULL. */
static const struct config_mapping *find_ended(const struct config *c, int64_t now)
{
	for (size_t i = 0; i < c->n_mappings; i++)
		if (c->mappings[i].until && c->mappings[i].until <= now)
			return &c->mappings[i];
	return NULL;
}

/* Takes out those whose sessions drain as long as those of the first. */
static int edit_ended(struct config *c, void *arg, struct error *err)
{
	int64_t now = time(NULL);
	const struct config_mapping *first = find_ended(c, now);
	uint32_t drain = first ? first->drain : 0;

	for (size_t i = c->n_mappings; i > 0; i--) {
		const struct config_mapping m = c->mappings[i - 1];
		char title[MAPPING_TITLE];

		if (!m.until || m.until > now || m.drain != drain)
			continue;
		log_info("mapping %s has come to its end", config_mapping_title(c, m.in, m.out, title));
		config_del_mapping(c, m.in, m.out);
	}
	return 0;
}

static void on_changed(void *arg, int r, const struct error *err)
{
	struct change_watch *w = arg;

	w->submitted = false;
	if (!r || r == -ECANCELED)
		return;
	w->seconds = RETRY_SECONDS;
	w->awaits_history = trouble_get(TROUBLE_HISTORY);
	log_warning("mappings that have come to their end cannot be taken out: %s; tried again in %u s%s", err->text,
		    RETRY_SECONDS, w->awaits_history ? ", or once the history can be written" : "");
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct change_watch *w = arg;
	const struct config_mapping *m;
	struct change_options options;

	if (w->seconds)
		w->seconds = w->awaits_history && !trouble_get(TROUBLE_HISTORY) ? 0 : w->seconds - 1;
	if (w->submitted || w->seconds)
		return;
	m = find_ended(w->context->active->config, time(NULL));
	if (!m)
		return;
	options = (struct change_options){ .drain_given = true, .drain = m->drain };
	w->submitted = !change_submit_with(w->queue, edit_ended, on_changed, w, &options);
}

int ends_watch_new(const struct parts *context, struct change_queue *queue, struct change_watch **ret)
{
	return change_watch_new(context, queue, on_second, ret);
}
