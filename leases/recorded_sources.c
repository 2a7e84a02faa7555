/* SPDX-License-Identifier: BSD-2-Clause */
#include "recorded_sources.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "leases/lease_files.h"
#include "proto/words.h"
#include "state_file.h"

#define BEGINNING 0 /* of time: 1970 */

const char *lease_source_name(const struct config_lease_source *s, char ret[static SOURCE_NAME])
{
	const char *type = word_text(lease_source_words, s->type);
	char addr[ADDR_TEXT];

	if (s->type == SOURCE_RADIUS)
		snprintf(ret, SOURCE_NAME, "%s %s:%u", type, addr_format(s->listen.addr, addr), s->listen.port);
	else
		snprintf(ret, SOURCE_NAME, "%s %s", type, s->path);
	return ret;
}

static bool has(const struct config_leases *rules, const char *name)
{
	char own[SOURCE_NAME];

	for (uint32_t i = 0; rules && i < rules->n; i++)
		if (!strcmp(lease_source_name(&rules->source[i], own), name))
			return true;
	return false;
}

/* Since when nothing is known of a source that begins. last: time of the last line, if the program has just started. */
static int64_t unknown_since(const cJSON *until, const char *name, bool first, int64_t last)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(until, name);
	const char *text = cJSON_GetStringValue(item);
	int64_t t;

	if (first || (cJSON_IsNull(item) && last != TIME_NONE))
		return last;
	return text && !time_parse(text, &t) ? t : BEGINNING;
}

static int set(cJSON *until, const char *name, cJSON *value)
{
	cJSON_DeleteItemFromObjectCaseSensitive(until, name);
	if (value && cJSON_AddItemToObject(until, name, value))
		return 0;
	cJSON_Delete(value);
	return -ENOMEM;
}

/* Notes when the recording of sources ended that are no longer there. */
static int end_others(cJSON *until, const struct config_leases *next, int64_t now)
{
	char text[TIME_TEXT];

	for (const cJSON *item = until->child; item; item = item->next) {
		if (!cJSON_IsNull(item) || has(next, item->string))
			continue;
		/* The name is copied, as the item goes. */
		_cleanup_free_ char *name = strdup(item->string);

		if (!name || set(until, name, cJSON_CreateString(time_format(now, text))))
			return -ENOMEM;
		return end_others(until, next, now);
	}
	return 0;
}

int recorded_sources_change(struct recorded_sources *x, const struct config_leases *former,
			    const struct config_leases *next, struct lease_writer *w, int64_t now)
{
	int64_t last = former ? TIME_NONE : lease_writer_last(w);
	bool first = false;
	int r = 0;

	if (!x->until)
		x->until = state_file_read(w->batch.dir, RECORDED_SOURCES_FILE);
	if (!x->until) {
		x->until = cJSON_CreateObject();
		first = true;
	}
	for (uint32_t i = 0; i < next->n && !r && x->until; i++) {
		char name[SOURCE_NAME];

		lease_source_name(&next->source[i], name);
		if (has(former, name))
			continue;
		r = lease_writer_begin(w, now, name, unknown_since(x->until, name, first, last));
		r = r ? r : set(x->until, name, cJSON_CreateNull());
	}
	r = x->until ? r : -ENOMEM;
	x->unsaved = true;
	return r ? r : end_others(x->until, next, now);
}

int recorded_sources_save(struct recorded_sources *x, const char *dir)
{
	_cleanup_free_ char *text = NULL;
	int r;

	if (!x->unsaved)
		return 0;
	text = cJSON_Print(x->until);
	r = text ? state_file_write(dir, RECORDED_SOURCES_FILE, text) : -ENOMEM;
	if (!r)
		x->unsaved = false;
	return r;
}

void recorded_sources_free(struct recorded_sources *x)
{
	cJSON_Delete(x->until);
	*x = (struct recorded_sources){ 0 };
}
