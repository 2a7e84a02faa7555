// SPDX-License-Identifier: BSD-2-Clause
#include "control/noting.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/background.h"
#include "base/hash.h"
#include "base/json_text.h"
#include "base/query_ledger.h"
#include "config/active.h"
#include "config/config.h"
#include "control/look_counts.h"

/* Lines that may wait. */
#define MAX_WAITING 1024U
/* Time limit for the disk at the end. */
#define PATIENCE_US (5 * 1000000ULL)

/* A line, and the request that waits for it. */
struct note {
	struct note *next;
	struct request *request; /* NULL: gone */
	verb_handler handler;
	struct look look;
	bool counts; /* `look` is set: it is of one look */
	char *line;
	size_t size;
	bool written; /* or refused: */
	int r;
	struct error err;
};

struct notes {
	struct background background;
	int wake; /* eventfd: the thread has written */
	struct event *woken;
	struct note *waiting, **end;
	unsigned n_waiting;
	/* Of the thread, while it runs: */
	struct note *writing;
	char dir[PATH_MAX];
	char *lines;
	size_t size;
	int64_t now;
	int r;
	struct error err;

	struct look_counts counts;
};

static void note_free(struct note *n)
{
	free(n->line);
	free(n);
}

/* ---- What was asked */

static const cJSON *arg_of(const struct request *r, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(r->document, "args"), name);
}

static bool says_why(const char *name)
{
	return !strcmp(name, "case") || !strcmp(name, "reason") || !strcmp(name, "for");
}

/* The arguments as they are typed; the caller frees it. NULL: out of memory. */
static char *question_of(const struct request *r)
{
	char *text = NULL;
	const char *blank = "";
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (const struct arg_spec *spec = r->spec->args; spec->kind; spec++) {
		const cJSON *arg = arg_of(r, spec->name);

		if (!arg || cJSON_IsFalse(arg) || says_why(spec->name))
			continue;
		fprintf(out, "%s%s%s%s", blank, spec->style == ARG_OPTION ? "--" : "",
			spec->style == ARG_OPTION ? spec->name : "",
			spec->style == ARG_OPTION && !cJSON_IsTrue(arg) ? " " : "");
		if (cJSON_IsNumber(arg))
			fprintf(out, "%.0f", arg->valuedouble);
		else if (cJSON_IsString(arg))
			fputs(arg->valuestring, out);
		blank = " ";
	}
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}

static int write_look(FILE *out, const struct request *r, struct error *err)
{
	_cleanup_free_ char *question = question_of(r);
	char user[ACCOUNT_NAME];
	struct query q = {
		.user = user,
		.uid = r->peer.uid,
		.for_whom = cJSON_GetStringValue(arg_of(r, "for")),
		.kind = r->spec->name,
		.case_id = cJSON_GetStringValue(arg_of(r, "case")),
		.reason = cJSON_GetStringValue(arg_of(r, "reason")),
	};

	if (!question)
		return error_set(err, -ENOMEM, "out of memory");
	q.question = *question ? question : NULL;
	q.via = q.for_whom ? "desk" : "command";
	account_name(r->peer.uid, user);
	return query_write(out, &q, time(NULL), err);
}

/* Whether it looks at persons, and there must be a line then. */
static bool is_look(const struct request *r, bool audited)
{
	const struct verb_spec *spec = r->spec;

	/* What runs names subscribers by its portmaps alone. */
	if (spec == &verb_specs[VERB_config_show] && !r->context->active->config->n_portmaps)
		return false;
	return spec->looks && (audited || arg_of(r, "case") || arg_of(r, "reason"));
}

/* The line of a request, or those of a batch. */
static int write_lines_of(const struct request *r, bool audited, struct note *n, struct error *err)
{
	FILE *out = open_memstream(&n->line, &n->size);
	int ret = 0;

	if (!out)
		return error_set(err, -ENOMEM, "out of memory");
	if (!r->batch)
		ret = write_look(out, r, err);
	for (unsigned i = 0; r->batch && !ret && i < r->batch->n; i++)
		if (is_look(r->batch->request[i], audited))
			ret = write_look(out, r->batch->request[i], err);
	return fclose(out) && !ret ? error_set(err, -ENOMEM, "out of memory") : ret;
}

/* ---- How many */

/* The question with all that is said of it. False: out of memory, and it is to have a line anyway. */
static bool look_of(const struct request *r, struct look *ret)
{
	_cleanup_free_ char *args = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(r->document, "args"));
	const char *for_whom = cJSON_GetStringValue(arg_of(r, "for"));

	*ret = (struct look){ .uid = r->peer.uid,
			      .kind = r->spec->name,
			      .refreshes = for_whom || r->spec == &verb_specs[VERB_top] };
	snprintf(ret->for_whom, sizeof(ret->for_whom), "%s", for_whom ? for_whom : "");
	ret->asker = HASH_OF(r->peer.uid, hash_octets(ret->for_whom, strlen(ret->for_whom)));
	ret->question =
		HASH_OF(ret->asker, (uint64_t)(r->spec - verb_specs), args ? hash_octets(args, strlen(args)) : 0);
	return args || !cJSON_HasObjectItem(r->document, "args");
}

/* The line of those that left none, in the hour that is over. */
static void tell_counted(void *arg, const struct looked *looked)
{
	struct notes *n = arg;
	struct note *note = calloc(1, sizeof(*note));
	char user[ACCOUNT_NAME];
	const struct query q = { .user = user,
				 .uid = looked->look.uid,
				 .for_whom = *looked->look.for_whom ? looked->look.for_whom : NULL,
				 .via = *looked->look.for_whom ? "desk" : "command",
				 .kind = looked->look.kind,
				 .times = looked->more };
	FILE *out = note ? open_memstream(&note->line, &note->size) : NULL;
	struct error err;

	account_name(looked->look.uid, user);
	if (!out || query_write(out, &q, time(NULL), &err) || fclose(out)) {
		log_warning("a number of looks at persons left no line");
		if (note)
			note_free(note);
		return;
	}
	*n->end = note;
	n->end = &note->next;
}

static enum look_due due(struct notes *n, const struct request *r, struct look *ret)
{
	look_counts_turn(&n->counts, time(NULL), tell_counted, n);
	return look_of(r, ret) ? look_due(&n->counts, ret) : LOOK_LINE;
}

bool notes_want(const struct request *r)
{
	bool audited = r->context->active->config->audit_queries, want = false;

	if (!r->notes)
		return false;
	for (unsigned i = 0; r->batch && i < r->batch->n; i++)
		want |= is_look(r->batch->request[i], audited);
	return r->batch ? want : is_look(r, audited);
}

/* ---- Writing */

static void write_lines(void *arg)
{
	struct notes *n = arg;
	const uint64_t one = 1;

	n->r = n->lines ? query_append(n->dir, n->lines, n->size, n->now, &n->err)
			: error_set(&n->err, -ENOMEM, "out of memory");
	if (write(n->wake, &one, sizeof(one)) < 0)
		n->r = n->r ? n->r : -errno;
}

/* All lines that wait; NULL: out of memory. */
static char *gather(const struct notes *n, size_t *ret_size)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_size);

	if (!out)
		return NULL;
	for (const struct note *note = n->writing; note; note = note->next)
		fwrite(note->line, 1, note->size, out);
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}

static void start_writing(struct notes *n, const char *dir)
{
	if (n->writing || !n->waiting)
		return;
	if (dir != n->dir)
		snprintf(n->dir, sizeof(n->dir), "%s", dir);
	n->writing = take_pointer(n->waiting);
	n->end = &n->waiting;
	n->n_waiting = 0;
	n->now = time(NULL);
	n->lines = gather(n, &n->size);
	background_start(&n->background, write_lines, n);
}

/* The request goes on with its next step. */
static void end_note(struct notes *n, struct note *note)
{
	if (!n->r && note->counts)
		look_noted(&n->counts, &note->look);
	note->written = true;
	note->r = n->r;
	note->err = n->err;
	if (!note->request) {
		note_free(note);
		return;
	}
	note->request->idle = false;
	note->request->wake(note->request);
}

static void on_written(evutil_socket_t fd, short what, void *arg)
{
	struct notes *n = arg;
	struct note *next;
	uint64_t count;

	if (read(fd, &count, sizeof(count)) != sizeof(count))
		return;
	background_wait(&n->background);
	free(take_pointer(n->lines));
	for (struct note *note = take_pointer(n->writing); note; note = next) {
		next = note->next;
		end_note(n, note);
	}
	start_writing(n, n->dir);
}

int notes_new(struct event_base *base, struct notes **ret)
{
	struct notes *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->end = &n->waiting;
	n->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	n->woken = n->wake < 0 ? NULL : event_new(base, n->wake, EV_READ | EV_PERSIST, on_written, n);
	if (!n->woken || event_add(n->woken, NULL)) {
		notes_free(n);
		return -ENOMEM;
	}
	*ret = n;
	return 0;
}

static void free_list(struct note *note)
{
	for (struct note *next; note; note = next) {
		next = note->next;
		note_free(note);
	}
}

void notes_free(struct notes *n)
{
	uint64_t until = monotonic_us() + PATIENCE_US;

	if (!n)
		return;
	while (background_busy(&n->background) && monotonic_us() < until)
		usleep(1000);
	if (n->woken)
		event_free(n->woken);
	if (background_busy(&n->background))
		return;
	free_list(n->writing);
	free_list(n->waiting);
	free(n->lines);
	close_fd(&n->wake);
	free(n);
}

/* ---- Requests that wait */

static void forget(void *state)
{
	struct note *note = state;

	if (note->written)
		note_free(note);
	else
		note->request = NULL;
}

static int go_on(struct request *r, cJSON **ret_result, struct error *err)
{
	struct note *note = r->state;
	verb_handler handler = note->handler;
	int ret = note->r;

	if (!note->written) {
		r->idle = true;
		return 1;
	}
	if (ret)
		return error_set(err, ret, "%.480s; mend that", note->err.text);
	request_run(r, NULL, NULL, NULL);
	note_free(note);
	ret = handler(r, ret_result, err);
	return ret || *ret_result || r->changing ? ret : 1;
}

static int wait_for_line(struct request *r, verb_handler handler, struct note *note, struct error *err)
{
	struct notes *n = r->notes;
	const struct config *c = r->context->active->config;
	int ret;

	if (n->n_waiting >= MAX_WAITING)
		return error_set(err, -EBUSY, "too many looks at persons wait for the disk; try again later");
	ret = write_lines_of(r, c->audit_queries, note, err);
	if (ret)
		return ret;
	note->request = r;
	note->handler = handler;
	*n->end = note;
	n->end = &note->next;
	n->n_waiting++;
	request_run(r, go_on, note, forget);
	start_writing(n, c->state_dir);
	return 0;
}

int notes_begin(struct request *r, verb_handler handler, cJSON **ret_result, struct error *err)
{
	struct note *note = calloc(1, sizeof(*note));
	enum look_due is = LOOK_LINE;
	int ret;

	if (!note)
		return error_set(err, -ENOMEM, "out of memory");
	if (!r->batch) {
		is = due(r->notes, r, &note->look);
		note->counts = true;
	}
	if (is == LOOK_LINE) {
		ret = wait_for_line(r, handler, note, err);
		if (ret)
			note_free(note);
		return ret;
	}
	note_free(note);
	return is == LOOK_COUNTED ? handler(r, ret_result, err)
				  : error_set(err, -EBUSY,
					      "%u looks at persons of yours left lines within this hour; ask for all "
					      "at once, or in the next hour",
					      LOOK_LINES_OF_ASKER);
}
