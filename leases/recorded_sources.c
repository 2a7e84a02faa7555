/* SPDX-License-Identifier: BSD-2-Clause */
#include "recorded_sources.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/whole_file.h"
#include "leases/lease_files.h"
#include "proto/words.h"

#define FILE_MAX  (1U << 20)
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

/* NULL: there is no file, or none that was written here. */
static cJSON *read_file(const char *dir)
{
	_cleanup_close_ int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd =
		at < 0 ? -1
		       : openat(at, RECORDED_SOURCES_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *text = NULL;
	size_t size;
	cJSON *json;

	if (fd < 0 || file_read(fd, FILE_MAX, &text, &size))
		return NULL;
	json = cJSON_ParseWithLength(text, size);
	if (cJSON_IsObject(json))
		return json;
	cJSON_Delete(json);
	return NULL;
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
		x->until = read_file(w->batch.dir);
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
	_cleanup_close_ int at = -1;
	_cleanup_free_ char *text = NULL;
	int r;

	if (!x->unsaved)
		return 0;
	text = cJSON_Print(x->until);
	at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = !text    ? -ENOMEM
	    : at < 0 ? -errno
		     : file_replace(at, RECORDED_SOURCES_FILE, text, strlen(text), NULL, true, NULL);
	if (!r)
		x->unsaved = false;
	return r;
}

void recorded_sources_free(struct recorded_sources *x)
{
	cJSON_Delete(x->until);
	*x = (struct recorded_sources){ 0 };
}
