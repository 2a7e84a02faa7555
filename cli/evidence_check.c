// SPDX-License-Identifier: BSD-2-Clause
#include "evidence_check.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json_scan.h"
#include "base/ledger_lines.h"
#include "base/text.h"
#include "base/withheld.h"
#include "customer.h"
#include "evidence_decides.h"
#include "evidence_files.h"
#include "evidence_guard.h"
#include "faults.h"
#include "json_get.h"
#include "message.h"

#define SUMS	   "SHA256SUMS"
#define FILE_MAX   (UINT64_C(1) << 32)
#define ANSWER	   "answer.json"
#define README	   "README.txt"
#define SUM_BEHIND 2U /* blanks between a sum and its name */

/* ---- What it is */

/* A file of the directory as text. NULL with errno. */
static char *read_text(const char *dir, const char *name, size_t *ret_size)
{
	return evidence_read_text(dir, name, FILE_MAX, ret_size);
}

static cJSON *read_json(const char *dir, const char *name)
{
	size_t size;
	_cleanup_free_ char *text = read_text(dir, name, &size);

	return text ? cJSON_Parse(text) : NULL;
}

static bool is_there(const char *dir, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path) && !access(path, F_OK);
}

enum evidence_kind evidence_kind(const char *dir)
{
	_cleanup_json_ cJSON *question = NULL;
	double form;

	if (!is_there(dir, EVIDENCE_QUESTION))
		return EVIDENCE_NONE;
	question = evidence_read_question(dir);
	form = json_number(question, "evidence");
	return form > EVIDENCE_FORM ? EVIDENCE_LATER : form < EVIDENCE_FORM ? EVIDENCE_WHOLE : EVIDENCE_LINES;
}

static void __attribute__((format(printf, 4, 5)))
fault(struct evidence_check *c, const char *file, uint64_t line, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	fault_add(c->faults, file, line, text);
}

/* ---- The checksums of its files */

static void check_sum(struct evidence_check *c, const char *dir, const char *sum, const char *name)
{
	char digest[SHA256_TEXT];
	size_t size;
	_cleanup_free_ char *text = strchr(name, '/') ? NULL : read_text(dir, name, &size);

	if (!text) {
		fault(c, name, 0, "cannot be read, and is in " SUMS);
		return;
	}
	evidence_digest(text, size, digest);
	if (strcmp(digest, sum) != 0)
		fault(c, name, 0, "is another one than " SUMS " says");
}

/* Files of which there is no sum, but for that of the sums. */
static void check_others(struct evidence_check *c, const char *dir, const cJSON *named)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (*entry->d_name != '.' && strcmp(entry->d_name, SUMS) != 0 &&
		    strcmp(entry->d_name, SUMS ".sig") != 0 && strcmp(entry->d_name, HISTORY_CACHE_FILE) != 0 &&
		    !cJSON_HasObjectItem(named, entry->d_name))
			fault(c, entry->d_name, 0, "is not in " SUMS ": it was added");
	if (d)
		closedir(d);
}

static void check_sums(struct evidence_check *c, const char *dir)
{
	_cleanup_json_ cJSON *named = cJSON_CreateObject();
	size_t size;
	_cleanup_free_ char *text = read_text(dir, SUMS, &size);
	char *line, *rest = text;
	uint64_t number = 0;

	if (!text)
		fault(c, SUMS, 0, "cannot be read: %s", strerror(errno));
	while (text && (line = strsep(&rest, "\n")) && (*line || rest)) {
		number++;
		if (strlen(line) < HASH_TEXT + SUM_BEHIND || line[HASH_TEXT - 1] != ' ') {
			fault(c, SUMS, number, "is no checksum of a file");
			continue;
		}
		line[HASH_TEXT - 1] = '\0';
		cJSON_AddTrueToObject(named, line + HASH_TEXT - 1 + SUM_BEHIND);
		check_sum(c, dir, line, line + HASH_TEXT - 1 + SUM_BEHIND);
	}
	if (text)
		check_others(c, dir, named);
	c->signature = is_there(dir, SUMS ".sig");
}

/* ---- Its lines of leases */

struct chain_of_leases {
	struct evidence_check *c;
	char file[LEDGER_NAME], hash[HASH_TEXT];
	uint64_t entry, line;
};

static void check_place(const struct chain_of_leases *x, const char *previous, uint64_t number)
{
	if (x->c->kind == EVIDENCE_WHOLE)
		return;
	if (strcmp(previous, x->hash) != 0)
		fault(x->c, LEASE_EVIDENCE_FILE, x->entry,
		      "does not follow from the one before: something was taken out");
	else if (number && number <= x->line)
		fault(x->c, LEASE_EVIDENCE_FILE, x->entry, "is line %" PRIu64 " of %s, after line %" PRIu64, number,
		      x->file, x->line);
}

static int check_entry(void *arg, const char *file, const char *previous, const char *line, size_t size)
{
	struct chain_of_leases *x = arg;
	struct withheld w;
	char hash[HASH_TEXT] = HASH_NONE;
	uint64_t number;
	int r;

	x->entry++;
	if (strcmp(file, x->file) != 0) {
		snprintf(x->file, sizeof(x->file), "%s", file);
		memcpy(x->hash, HASH_NONE, HASH_TEXT);
		x->line = 0;
	}
	if (withheld_read(line, size, &w)) {
		check_place(x, previous, w.line);
		memcpy(x->hash, w.hash, HASH_TEXT);
		x->line = (w.line ? w.line : x->line + 1) + w.lines - 1;
		x->c->withheld += w.lines;
		return 0;
	}
	r = chain_check(line, size, previous, hash);
	number = chain_number(line, size);
	check_place(x, previous, number);
	/* What others wrote in a directory before detnat has no checksums. */
	if (r == -EBADMSG && !chain_erased(line, size))
		fault(x->c, LEASE_EVIDENCE_FILE, x->entry, "was changed: its checksum is wrong");
	memcpy(x->hash, hash, HASH_TEXT);
	x->line = number ? number : x->line + 1;
	x->c->lines++;
	return 0;
}

static void check_leases(struct evidence_check *c, const char *dir)
{
	struct chain_of_leases x = { .c = c, .hash = HASH_NONE };
	uint64_t line;
	size_t size;
	_cleanup_free_ char *text = read_text(dir, LEASE_EVIDENCE_FILE, &size);

	if (!text && errno != ENOENT)
		fault(c, LEASE_EVIDENCE_FILE, 0, "cannot be read: %s", strerror(errno));
	if (text && ledger_lines_read(LEDGER_LEASES, text, size, check_entry, &x, &line))
		fault(c, LEASE_EVIDENCE_FILE, line, "is no line of leases");
}

/* ---- Its answer */

static cJSON *args_of(const cJSON *question)
{
	cJSON *args = cJSON_CreateObject();

	if (cJSON_HasObjectItem(question, "margin"))
		cJSON_AddNumberToObject(args, "margin", json_number(question, "margin"));
	return args;
}

static bool same_text(const cJSON *a, const cJSON *b, const char *key)
{
	return !strcmp(json_text(a, key, ""), json_text(b, key, ""));
}

/* 1.0.0 copied the files after it had asked, so that more may have been known by then. */
static void check_names(struct evidence_check *c, const cJSON *said, const cJSON *found)
{
	static const char *const keys[] = { "id", "tenant", "mac", "circuit", "session" };
	const cJSON *a = json_get(said, "customer"), *b = json_get(found, "customer");

	if (!same_text(said, found, "in_addr") || !same_text(said, found, "tenant"))
		fault(c, ANSWER, 0, "names another inside address than follows from the history: %s",
		      json_text(found, "in_addr", "none"));
	if (!cJSON_IsObject(a) || !json_get(found, "customer"))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!same_text(a, b, keys[i])) {
			fault(c, ANSWER, 0, "names another customer than follows from " LEASE_EVIDENCE_FILE);
			return;
		}
}

static void check_json(struct evidence_check *c, const char *dir, const char *found)
{
	_cleanup_json_ cJSON *said = read_json(dir, ANSWER), *json = cJSON_Parse(found);

	if (!said) {
		fault(c, ANSWER, 0, "cannot be read");
		return;
	}
	if (c->kind == EVIDENCE_WHOLE) {
		check_names(c, said, json);
		return;
	}
	cJSON_DeleteItemFromObjectCaseSensitive(said, "state_dir");
	cJSON_DeleteItemFromObjectCaseSensitive(json, "state_dir");
	if (!cJSON_Compare(said, json, true))
		fault(c, ANSWER, 0, "is another answer than follows from the lines");
}

/* The page for people has each line of the answer but the one that names the directory. */
static void check_readme(struct evidence_check *c, const char *dir, const char *found)
{
	size_t size;
	_cleanup_free_ char *readme = read_text(dir, README, &size), *text = strdup(found);
	char *line, *rest = text;

	while (readme && text && (line = strsep(&rest, "\n")))
		if (*line && strncmp(line, "History:", 8) != 0 && !strstr(readme, line)) {
			fault(c, README, 0, "lacks what follows from the lines: %.200s", line);
			return;
		}
}

static int check_answer(struct evidence_check *c, const char *dir, const struct history_files *f, struct error *err)
{
	_cleanup_json_ cJSON *question = evidence_read_question(dir), *args = args_of(question);
	struct evidence_question q = {
		.files = f, .dir = dir, .endpoint = json_text(question, "endpoint", ""), .args = args
	};
	_cleanup_free_ char *json = NULL;
	struct endpoint out;
	int r;

	if (endpoint_parse(q.endpoint, &out) || !json_time(question, "at", &q.t)) {
		fault(c, EVIDENCE_QUESTION, 0, "has no question");
		return 0;
	}
	r = evidence_answer(&q, true, &json);
	message_mute(true);
	r = r ? r : evidence_answer(&q, false, &c->answer);
	message_mute(false);
	if (r)
		return error_set(err, r, "out of memory");
	check_json(c, dir, json);
	if (c->kind == EVIDENCE_LINES)
		check_readme(c, dir, c->answer);
	return 0;
}

int evidence_check(const char *dir, const struct history_files *f, struct evidence_check *ret, struct error *err)
{
	struct evidence_check c = { .kind = evidence_kind(dir), .faults = cJSON_CreateArray() };
	int r = 0;

	if (c.kind == EVIDENCE_LATER)
		fault(&c, EVIDENCE_QUESTION, 0, "is of a later version of detnat: its evidence is not understood");
	if (c.kind == EVIDENCE_WHOLE || c.kind == EVIDENCE_LINES) {
		check_sums(&c, dir);
		check_leases(&c, dir);
		r = check_answer(&c, dir, f, err);
	}
	*ret = c;
	return r;
}

void evidence_check_free(struct evidence_check *c)
{
	cJSON_Delete(c->faults);
	free(c->answer);
}

/* ---- What was found */

static const char *const kind_words[] = {
	[EVIDENCE_NONE] = "state",
	[EVIDENCE_WHOLE] = "evidence-1",
	[EVIDENCE_LINES] = "evidence-2",
	[EVIDENCE_LATER] = "evidence",
};

static const char *const kind_texts[] = {
	[EVIDENCE_NONE] = "a state directory",
	[EVIDENCE_WHOLE] = "evidence of version 1.0: with all lines about the address",
	[EVIDENCE_LINES] = "evidence: the lines that decide the answer, the others as checksums",
	[EVIDENCE_LATER] = "evidence of a later version",
};

void evidence_check_text(struct writer *w, const struct evidence_check *c, bool state)
{
	if (c->kind || state)
		writer_line(w, "This is %s", kind_texts[c->kind]);
	faults_print(w, "", c->faults);
	if (c->answer)
		fputs(c->answer, w->out);
	if (c->lines || c->withheld)
		writer_line(w, LEASE_EVIDENCE_FILE ": %" PRIu64 " lines; %" PRIu64 " more are withheld", c->lines,
			    c->withheld);
	if (c->kind == EVIDENCE_WHOLE || c->kind == EVIDENCE_LINES)
		writer_line(w, c->signature ? SUMS ".sig is there: ssh-keygen -Y verify tells whose signature it is"
					    : SUMS " is not signed: whoever had the directory may have made it anew");
}

void evidence_check_json(cJSON *json, const struct evidence_check *c)
{
	cJSON *e;

	cJSON_AddStringToObject(json, "kind", kind_words[c->kind]);
	if (c->kind == EVIDENCE_NONE)
		return;
	e = cJSON_AddObjectToObject(json, "evidence");
	cJSON_AddNumberToObject(e, "lines", (double)c->lines);
	cJSON_AddNumberToObject(e, "withheld", (double)c->withheld);
	cJSON_AddBoolToObject(e, "signed", c->signature);
	cJSON_AddItemToObject(e, "damage", cJSON_Duplicate(c->faults, true));
}
