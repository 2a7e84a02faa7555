/* SPDX-License-Identifier: BSD-2-Clause */
#include "change/unconfirmed.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/json_scan.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "base/whole_file.h"
#include "config/config.h"

/* A second time "what ran before", and a head. */
#define RECORD_MAX (64U << 20)

static int open_directory(const struct active_config *a)
{
	int fd = open(a->config->state_dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* What is noted: {"until":SECONDS_SINCE_1970,"seconds":N,"before":CONFIGURATION}. NULL: out of memory. */
static char *record_of(const char *before, time_t until, uint32_t seconds)
{
	char *text;

	return asprintf(&text, "{\"until\":%" PRId64 ",\"seconds\":%" PRIu32 ",\"before\":%s}\n", (int64_t)until,
			seconds, before) < 0
		       ? NULL
		       : text;
}

int unconfirmed_begin(struct active_config *a, uint32_t seconds, struct error *err)
{
	_cleanup_free_ char *before = config_to_json(a->config);
	time_t until = time(NULL) + seconds;
	_cleanup_free_ char *record = before ? record_of(before, until, seconds) : NULL;
	_cleanup_close_ int dir = open_directory(a);
	int r = record ? dir : -ENOMEM;

	if (r >= 0)
		r = file_replace(dir, UNCONFIRMED_FILE, record, strlen(record), NULL, true, NULL);
	if (r < 0)
		return error_set(err, r,
				 "%s/" UNCONFIRMED_FILE ": %s, so the reload could not be taken back; nothing was "
				 "changed",
				 a->config->state_dir, strerror(-r));
	a->unconfirmed_until = until;
	a->unconfirmed_due = boottime_s() + seconds;
	return 0;
}

int unconfirmed_end(struct active_config *a, struct error *err)
{
	_cleanup_close_ int dir = open_directory(a);
	int r = dir < 0 ? dir : unlinkat(dir, UNCONFIRMED_FILE, 0) && errno != ENOENT ? -errno : 0;

	if (!r && fsync(dir))
		r = -errno;
	if (r)
		return error_set(err, r, "%s/" UNCONFIRMED_FILE ": %s; the reload is still to be taken back",
				 a->config->state_dir, strerror(-r));
	a->unconfirmed_until = 0;
	a->unconfirmed_due = 0;
	return 0;
}

/* Reads what is noted; the caller frees it with cJSON_Delete(). -ENOENT: nothing is. */
static int read_record(const struct active_config *a, cJSON **ret, struct error *err)
{
	_cleanup_close_ int dir = open_directory(a), fd = -1;
	_cleanup_free_ char *text = NULL;
	cJSON *json = NULL;
	size_t size;
	int r = dir;

	if (r >= 0) {
		fd = file_open(dir, UNCONFIRMED_FILE);
		r = fd < 0 ? -errno : file_read(fd, RECORD_MAX, &text, &size);
	}
	if (!r) {
		json = cJSON_ParseWithLength(text, size);
		r = cJSON_IsNumber(cJSON_GetObjectItem(json, "until")) &&
				    cJSON_IsNumber(cJSON_GetObjectItem(json, "seconds")) &&
				    cJSON_IsObject(cJSON_GetObjectItem(json, "before"))
			    ? 0
			    : -EBADMSG;
	}
	if (r) {
		cJSON_Delete(json);
		return error_set(err, r, "%s/" UNCONFIRMED_FILE ": %s", a->config->state_dir,
				 r == -EBADMSG ? "is no note of a reload" : strerror(-r));
	}
	*ret = json;
	return 0;
}

void unconfirmed_resume(struct active_config *a)
{
	_cleanup_json_ cJSON *json = NULL;
	struct error err;
	int r = read_record(a, &json, &err);
	double until, seconds, left;
	char text[TIME_TEXT];

	if (r) {
		if (r != -ENOENT)
			log_error("%s: a reload that waits for its confirmation cannot be taken back", err.text);
		return;
	}
	until = cJSON_GetObjectItem(json, "until")->valuedouble;
	seconds = cJSON_GetObjectItem(json, "seconds")->valuedouble;
	left = until - (double)time(NULL);
	/* The clock may have been set meanwhile. */
	left = left > seconds ? seconds : left;
	left = left > 0 ? left : 0;
	a->unconfirmed_until = (time_t)until;
	a->unconfirmed_due = boottime_s() + (uint64_t)left;
	/* 0: none waits. */
	a->unconfirmed_due += !a->unconfirmed_due;
	log_warning("a reload is taken back at %s unless it is confirmed (detnatctl confirm)",
		    time_format(a->unconfirmed_until, text));
}

int unconfirmed_keep(struct active_config *a, struct error *err)
{
	if (!a->unconfirmed_due)
		return error_set(err, -ENOENT, "no reload waits for a confirmation");
	if (a->going_back || unconfirmed_is_due(a))
		return error_set(err, -EBUSY, "the reload is being taken back, as its time is over");
	return unconfirmed_end(a, err);
}

bool unconfirmed_is_due(const struct active_config *a)
{
	return a->unconfirmed_due && boottime_s() >= a->unconfirmed_due;
}

int unconfirmed_refuse(const struct active_config *a, struct error *err)
{
	char text[TIME_TEXT];

	if (!a->unconfirmed_due)
		return 0;
	return error_set(
		err, -EBUSY,
		"a reload waits for its confirmation until %s: `detnatctl confirm` keeps it, `detnatctl confirm "
		"--back` takes it back at once",
		time_format(a->unconfirmed_until, text));
}

int unconfirmed_before(struct active_config *a, struct config **ret, struct error *err)
{
	_cleanup_json_ cJSON *json = NULL;
	_cleanup_free_ char *text = NULL;
	int r;

	if (!a->unconfirmed_due)
		return error_set(err, -ENOENT, "no reload waits for a confirmation");
	r = read_record(a, &json, err);
	if (r)
		return r;
	text = cJSON_PrintUnformatted(cJSON_GetObjectItem(json, "before"));
	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	r = config_parse(text, strlen(text), "what ran before the reload", ret, err);
	a->going_back = !r;
	return r;
}
