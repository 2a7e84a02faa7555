// SPDX-License-Identifier: BSD-2-Clause
#include "samples.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/json_scan.h"
#include "base/timestamp.h"
#include "notes.h"
#include "state_dir.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct sample ring[SAMPLES_MAX];
static size_t n_added;
static const struct ask_at *place;
static unsigned interval;

static bool number(const cJSON *object, const char *key, uint64_t *ret)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);

	if (!cJSON_IsNumber(value) || value->valuedouble < 0 || value->valuedouble >= 1.8e19)
		return false;
	*ret = (uint64_t)value->valuedouble;
	return true;
}

/* The sum of the counters that begin so, or have one of two names. */
static uint64_t sum(const cJSON *counters, bool (*counts)(const char *name))
{
	const cJSON *value;
	uint64_t total = 0, one;

	cJSON_ArrayForEach (value, counters)
		if (counts(value->string) && number(counters, value->string, &one))
			total += one;
	return total;
}

/* Of each kind of translated packets; a gateway of before they were counted has none. */
static bool is_octets(const char *name)
{
	return true;
}

static bool is_translated(const char *name)
{
	size_t n = strlen(name);

	return n > 11 && !strcmp(name + n - 11, "_translated");
}

/* Refused for want of room: the quota, ports, extents. */
static bool is_refused(const char *name)
{
	return !strcmp(name, "drop_quota") || !strcmp(name, "drop_quota_protocol") || !strcmp(name, "drop_rate") ||
	       !strcmp(name, "drop_ports_exhausted") || !strcmp(name, "drop_overflow_full");
}

static bool is_dropped(const char *name)
{
	return !strncmp(name, "drop_", 5) && !is_refused(name);
}

bool sample_read(const char *status, size_t status_size, const char *stats, size_t stats_size, struct sample *ret)
{
	_cleanup_json_ cJSON *now = cJSON_ParseWithLength(status, status_size);
	_cleanup_json_ cJSON *counted = cJSON_ParseWithLength(stats, stats_size);
	const cJSON *counters = cJSON_GetObjectItemCaseSensitive(counted, "counters");
	struct sample s = { .time = ret->time, .valid = true };

	if (!number(now, "sessions", &s.sessions) || !number(counters, "sessions_opened", &s.opened))
		return false;
	s.translated = sum(counters, is_translated);
	s.octets = sum(cJSON_GetObjectItemCaseSensitive(counted, "octets"), is_octets);
	s.refused = sum(counters, is_refused);
	s.dropped = sum(counters, is_dropped);
	*ret = s;
	return true;
}

static void take(void)
{
	static const struct asker who = { "the desk", ASKING_STATE };
	static const struct ask ask_status = { .words = { "status" }, .n = 1, .who = &who },
				ask_stats = { .words = { "stats" }, .n = 1, .who = &who };
	_cleanup_answer_ struct ask_answer status = ASK_NO_ANSWER, stats = ASK_NO_ANSWER;
	struct sample s = { .time = time(NULL) };
	struct error err;

	state_dir_learn(place);
	notes_count(place, false);
	if (ask_ctl(place, &ask_status, &status, &err) == 200 && ask_ctl(place, &ask_stats, &stats, &err) == 200 &&
	    status.fd < 0 && stats.fd < 0)
		sample_read(status.text.data, status.text.size, stats.text.data, stats.text.size, &s);
	samples_add(s);
}

static void *work(void *arg)
{
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (;;) {
		take();
		next.tv_sec += interval;
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR)
			;
	}
	return arg;
}

int samples_start(const struct ask_at *at, unsigned interval_s)
{
	pthread_t thread;
	int r;

	place = at;
	interval = interval_s;
	r = pthread_create(&thread, NULL, work, NULL);
	if (!r)
		pthread_detach(thread);
	return -r;
}

void samples_add(struct sample s)
{
	pthread_mutex_lock(&mutex);
	ring[n_added++ % SAMPLES_MAX] = s;
	pthread_mutex_unlock(&mutex);
}

static void write_one(FILE *out, const struct sample *s)
{
	char when[TIME_TEXT];

	fprintf(out, "{\"time\":\"%s\",", time_format(s->time, when));
	if (s->valid)
		fprintf(out,
			"\"sessions\":%" PRIu64 ",\"opened\":%" PRIu64 ",\"translated\":%" PRIu64 ",\"octets\":%" PRIu64
			",\"refused\":%" PRIu64 ",\"dropped\":%" PRIu64 "}",
			s->sessions, s->opened, s->translated, s->octets, s->refused, s->dropped);
	else
		fputs("\"sessions\":null,\"opened\":null,\"translated\":null,\"octets\":null,\"refused\":null,"
		      "\"dropped\":null}",
		      out);
}

int samples_write(struct buffer *ret)
{
	struct buffer b = {};
	FILE *out = open_memstream(&b.data, &b.size);

	if (!out)
		return -ENOMEM;
	fprintf(out, "{\"interval\":%u,\"samples\":[", interval);
	pthread_mutex_lock(&mutex);
	for (size_t i = n_added > SAMPLES_MAX ? n_added - SAMPLES_MAX : 0, first = i; i < n_added; i++) {
		fputs(i > first ? "," : "", out);
		write_one(out, &ring[i % SAMPLES_MAX]);
	}
	pthread_mutex_unlock(&mutex);
	fputs("]}", out);
	if (fclose(out)) {
		buffer_free(&b);
		return -ENOMEM;
	}
	b.room = b.size;
	*ret = b;
	return 0;
}
