// SPDX-License-Identifier: BSD-2-Clause
#include "evidence_decides.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json_scan.h"
#include "json_get.h"
#include "message.h"
#include "who_rows.h"

/* Answers that are asked for at most, each of which takes some ms. */
#define MOST_ANSWERS 1000U

/* A question may have no answer; JSON then says so, as it has nothing else. */
static int print_none(FILE *out, const char *why)
{
	_cleanup_json_ cJSON *none = cJSON_CreateObject();
	char *text;

	cJSON_AddNullToObject(none, "in_addr");
	cJSON_AddStringToObject(none, "error", why);
	text = cJSON_PrintUnformatted(none);
	if (text)
		fprintf(out, "%s\n", text);
	cJSON_free(text);
	return text ? 0 : -ENOMEM;
}

int evidence_answer(const struct evidence_question *q, bool json, char **ret)
{
	struct error err = { 0 };
	size_t size = 0;
	FILE *out = open_memstream(ret, &size);
	struct writer w = { .out = out, .json = json, .points = true };
	int r = 0;

	if (!out)
		return -ENOMEM;
	/* Whoever is handed the evidence has no use for a path on another machine. */
	who_answer(q->files, q->dir, json ? "." : HISTORY_FILE, q->endpoint, q->t, q->args, NULL, &w, &err);
	fflush(out);
	if (!json && *err.text)
		fprintf(out, "%s\n", err.text);
	if (json && !size)
		r = print_none(out, err.text);
	return fclose(out) || r ? -ENOMEM : 0;
}

int64_t evidence_margin(const cJSON *answer)
{
	return (int64_t)json_number(json_get(answer, "margin"), "seconds");
}

static bool gives_the_answer(const struct evidence_question *q, const struct evidence_question *other)
{
	_cleanup_free_ char *json = NULL;
	bool same;

	message_mute(true);
	same = !evidence_answer(other, true, &json) && !strcmp(json, q->answer);
	message_mute(false);
	return same;
}

bool evidence_same_history(const struct evidence_question *q, const char *text, size_t size)
{
	struct evidence_question other = *q;
	struct history_files f;
	bool same;

	if (history_files_of_text(q->files, text, size, &f))
		return false;
	other.files = &f;
	same = !f.index.n_damages && gives_the_answer(q, &other);
	history_files_free(&f);
	return same;
}

bool evidence_same_leases(const struct evidence_question *q, int fd)
{
	_cleanup_json_ cJSON *args = cJSON_Duplicate(q->args, true);
	struct evidence_question other = *q;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	cJSON_DeleteItemFromObjectCaseSensitive(args, "leases");
	cJSON_AddStringToObject(args, "leases", path);
	other.args = args;
	return gives_the_answer(q, &other);
}

/* A directory in which nobody claims anything. */
#define WITHOUT_CLAIMS "/proc/self"

bool evidence_needs_claims(const struct evidence_question *q)
{
	_cleanup_json_ cJSON *args = cJSON_Duplicate(q->args, true);
	struct evidence_question other = *q;

	other.dir = WITHOUT_CLAIMS;
	other.args = args;
	if (q->leases && !cJSON_HasObjectItem(args, "leases"))
		cJSON_AddStringToObject(args, "leases", q->leases);
	return !gives_the_answer(q, &other);
}

/* Leaves out some, unless they are needed. Whether they went. */
static bool leave_out(const size_t *some, size_t n, bool *keep, bool (*same)(void *arg), void *arg)
{
	bool gone;

	for (size_t i = 0; i < n; i++)
		keep[some[i]] = false;
	gone = same(arg);
	for (size_t i = 0; i < n && !gone; i++)
		keep[some[i]] = true;
	return gone;
}

/* Tries each part of those that are left, which are moved to the front; returns their number. */
static size_t leave_out_parts(size_t *left, size_t n, size_t part, bool *keep, bool (*same)(void *arg), void *arg,
			      unsigned *answers)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i += part) {
		size_t size = n - i < part ? n - i : part;

		if (*answers && (*answers)-- && leave_out(left + i, size, keep, same, arg))
			continue;
		memmove(left + kept, left + i, size * sizeof(*left));
		kept += size;
	}
	return kept;
}

/* All, halves, then smaller parts, then each by itself until none can go. */
void evidence_reduce(const size_t *order, size_t n, bool *keep, bool (*same)(void *arg), void *arg)
{
	_cleanup_free_ size_t *left = calloc(n + 1, sizeof(*left));
	unsigned answers = MOST_ANSWERS;
	size_t kept = 0, part, before;

	for (size_t i = 0; left && i < n; i++)
		if (keep[order[i]])
			left[kept++] = order[i];
	part = kept;
	while (kept && answers) {
		before = kept;
		kept = leave_out_parts(left, kept, part, keep, same, arg, &answers);
		if (part == 1 && kept == before)
			break;
		part = part < kept ? part : kept;
		part = part > 1 ? (part + 1) / 2 : 1;
	}
}
