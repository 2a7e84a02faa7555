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
#include "base/withheld.h"
#include "customer.h"
#include "evidence_decides.h"
#include "evidence_files.h"
#include "evidence_guard.h"
#include "evidence_text.h"
#include "faults.h"
#include "json_get.h"
#include "message.h"

#define SUM_BEHIND 2U /* blanks between a sum and its name */

/* A file of the directory as text. NULL with errno. */
static char *read_text(const char *dir, const char *name, size_t *ret_size)
{
	return evidence_read_text(dir, name, EVIDENCE_FILE_MAX, ret_size);
}

static bool is_there(const char *dir, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path) && !access(path, F_OK);
}

static bool same_octets(const char *a, size_t size, const char *b)
{
	return a && b && size == strlen(b) && !memcmp(a, b, size);
}

static void __attribute__((format(printf, 4, 5)))
fault(struct evidence_check *c, const char *file, uint64_t line, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fault_addv(c->faults, file, line, format, ap);
	va_end(ap);
}

/* ---- What it is */

/* 1.0.0 does not say its form. */
static enum evidence_kind kind_of(const char *dir, const cJSON *question)
{
	const cJSON *form = json_get(question, "evidence");

	if (!is_there(dir, EVIDENCE_QUESTION))
		return EVIDENCE_NONE;
	if (!form)
		return EVIDENCE_WHOLE;
	return cJSON_IsNumber(form) && form->valuedouble == EVIDENCE_FORM ? EVIDENCE_LINES : EVIDENCE_LATER;
}

/* Whoever takes the form out of question.json does not get rid of what it asks for. */
static void check_form(struct evidence_check *c, const cJSON *question, uint64_t withheld)
{
	static const char *const keys[] = { "asked", "user", "sudo_user", "for", "case", "endpoint", "at" };
	const cJSON *item;
	size_t known = 0, n = 0;

	if (c->kind != EVIDENCE_WHOLE)
		return;
	cJSON_ArrayForEach (item, question)
		n++;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		known += json_get(question, keys[i]) != NULL;
	if (withheld || c->leases.withheld || known != n)
		fault(c, EVIDENCE_QUESTION, 0,
		      "lacks \"evidence\": what is withheld, or said there, 1.0 does not know");
}

/* ---- The checksums of its files */

/* Adds the sum of a file as it is. */
static void check_sum(struct evidence_check *c, const char *dir, const char *sum, const char *name, FILE *out)
{
	char digest[SHA256_TEXT];
	size_t size;
	_cleanup_free_ char *text = strchr(name, '/') ? NULL : read_text(dir, name, &size);

	if (!text) {
		fault(c, name, 0, "cannot be read, and is in " EVIDENCE_SUMS);
		return;
	}
	evidence_digest(text, size, digest);
	if (strcmp(digest, sum) != 0)
		fault(c, name, 0, "is another one than " EVIDENCE_SUMS " says");
	if (c->kind == EVIDENCE_LINES && !evidence_has_file(name))
		fault(c, name, 0, "is no file of evidence");
	if (strcmp(name, EVIDENCE_README) != 0 && strcmp(name, EVIDENCE_PAGE) != 0)
		fprintf(out, "%s  %s\n", digest, name);
}

/* Files of which there is no sum, but for that of the sums. */
static void check_others(struct evidence_check *c, const char *dir, const cJSON *named)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    strcmp(entry->d_name, EVIDENCE_SUMS) != 0 && strcmp(entry->d_name, EVIDENCE_SUMS ".sig") != 0 &&
		    strcmp(entry->d_name, HISTORY_CACHE_FILE) != 0 && !json_get(named, entry->d_name))
			fault(c, entry->d_name, 0, "is not in " EVIDENCE_SUMS ": it was added");
	if (d)
		closedir(d);
}

/* The sums as they are of all files but README, one by one in the order of SHA256SUMS; NULL without memory. */
static char *check_sums(struct evidence_check *c, const char *dir)
{
	_cleanup_json_ cJSON *named = cJSON_CreateObject();
	size_t size = 0, sums_size;
	_cleanup_free_ char *text = read_text(dir, EVIDENCE_SUMS, &size);
	char *line, *rest = text, *sums = NULL;
	FILE *out = open_memstream(&sums, &sums_size);
	uint64_t number = 0;

	if (!text)
		fault(c, EVIDENCE_SUMS, 0, "cannot be read: %s", strerror(errno));
	if (text && (strlen(text) != size || (size && text[size - 1] != '\n')))
		fault(c, EVIDENCE_SUMS, 0, "has octets that are no line");
	while (out && text && (line = strsep(&rest, "\n")) && (*line || rest)) {
		number++;
		if (strlen(line) < HASH_TEXT + SUM_BEHIND || strncmp(line + HASH_TEXT - 1, "  ", SUM_BEHIND) != 0 ||
		    json_get(named, line + HASH_TEXT - 1 + SUM_BEHIND)) {
			fault(c, EVIDENCE_SUMS, number, "is no checksum of a file");
			continue;
		}
		line[HASH_TEXT - 1] = '\0';
		cJSON_AddTrueToObject(named, line + HASH_TEXT - 1 + SUM_BEHIND);
		check_sum(c, dir, line, line + HASH_TEXT - 1 + SUM_BEHIND, out);
	}
	if (text)
		check_others(c, dir, named);
	c->signature = is_there(dir, EVIDENCE_SUMS ".sig");
	if (!out || !fclose(out))
		return sums;
	free(sums);
	return NULL;
}

/* ---- What follows from its lines */

/* What a directory says, and what is found. */
struct found {
	const char *dir, *sums;
	const cJSON *question;
	struct evidence_case says; /* question.json */
	char *version;
	const char *json;
};

static bool same_text(const cJSON *a, const cJSON *b, const char *key)
{
	return !strcmp(json_text(a, key, ""), json_text(b, key, ""));
}

/* 1.0.0 copied the files after it had asked, so that more may have been known by then. */
static void check_names(struct evidence_check *c, const struct found *x)
{
	static const char *const keys[] = { "id", "tenant", "mac", "circuit", "session" };
	size_t size;
	_cleanup_free_ char *text = read_text(x->dir, EVIDENCE_ANSWER, &size);
	_cleanup_json_ cJSON *said = text ? cJSON_Parse(text) : NULL, *found = cJSON_Parse(x->json);
	const cJSON *a = json_get(said, "customer"), *b = json_get(found, "customer");

	if (!said)
		fault(c, EVIDENCE_ANSWER, 0, "cannot be read");
	else if (!same_text(said, found, "in_addr") || !same_text(said, found, "in_prefix") ||
		 !same_text(said, found, "tenant"))
		fault(c, EVIDENCE_ANSWER, 0, "names another inside address than follows from the history: %s",
		      json_inside(found, "none"));
	if (!cJSON_IsObject(a) || !json_get(found, "customer"))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!same_text(a, b, keys[i])) {
			fault(c, EVIDENCE_ANSWER, 0, "names another customer than follows from " LEASE_EVIDENCE_FILE);
			return;
		}
}

/* The first line that differs, of a text that is to be another one. */
static void check_lines(struct evidence_check *c, const char *file, const char *is, const char *should_be)
{
	const char *begin = should_be, *all = is;
	_cleanup_free_ char *line = NULL;
	uint64_t number = 1;

	for (; *is && *is == *should_be; is++, should_be++)
		if (*is == '\n') {
			begin = should_be + 1;
			number++;
		}
	line = strndup(begin, strcspn(begin, "\n"));
	if (line && *line && !strstr(all, line))
		fault(c, file, 0, "lacks what follows from the lines: %.300s", line);
	else
		fault(c, file, number, "is not what follows from the lines");
}

/* Compares a file with what it should be, NULL if there was no memory for that. */
static void check_file(struct evidence_check *c, const struct found *x, const char *name, const char *should_be)
{
	size_t size = 0;
	_cleanup_free_ char *is = read_text(x->dir, name, &size);

	if (!is)
		fault(c, name, 0, "cannot be read: %s", strerror(errno));
	else if (!should_be)
		fault(c, name, 0, "cannot be checked: out of memory");
	else if (!same_octets(is, size, should_be))
		check_lines(c, name, is, should_be);
}

/* A line of the answer in a text of 1.0.0 is that of the answer now, if both have one that begins so. */
static void check_named(struct evidence_check *c, const char *readme, const char *key)
{
	const char *is = strstr(readme, key), *found = strstr(c->answer, key);

	if (is && found && strncmp(is, found, strcspn(found, "\n") + 1) != 0)
		fault(c, EVIDENCE_README, 0, "says another thing than follows from the lines: %.*s",
		      (int)strcspn(found, "\n"), found);
}

/* What 1.0.0 wrote around its answer, and whom that names. */
static void check_whole_readme(struct evidence_check *c, const struct found *x)
{
	_cleanup_free_ char *head = NULL, *end = NULL, *page = NULL, *readme = NULL;
	size_t size;

	readme = read_text(x->dir, EVIDENCE_README, &size);
	if (!readme || evidence_readme_around(&x->says, x->version, &head, &end)) {
		fault(c, EVIDENCE_README, 0, "cannot be read");
		return;
	}
	if (strlen(readme) != size || size < strlen(head) + strlen(end) || strncmp(readme, head, strlen(head)) != 0 ||
	    strcmp(readme + size - strlen(end), end) != 0)
		fault(c, EVIDENCE_README, 0, "is not what 1.0 writes about that question");
	check_named(c, readme, "\nInside address:");
	check_named(c, readme, "\nCustomer:");
	if (!is_there(x->dir, EVIDENCE_PAGE))
		return;
	page = evidence_page(x->says.name, readme);
	check_file(c, x, EVIDENCE_PAGE, page);
}

static void check_texts(struct evidence_check *c, const struct history_files *f, const struct found *x)
{
	_cleanup_free_ char *question = evidence_question_text(&x->says), *page = NULL, *readme = NULL;
	_cleanup_free_ char *head = evidence_head_text(&f->head);
	const char *version = x->version;
	char *is;
	size_t size;

	if (!*version || version[strspn(version, "0123456789.~+-abcdefghijklmnopqrstuvwxyz")])
		fault(c, EVIDENCE_VERSION, 0, "is no version");
	check_file(c, x, EVIDENCE_QUESTION, question);
	if (f->end != END_NO_HEAD && f->end != END_BAD_HEAD)
		check_file(c, x, HISTORY_HEAD_FILE, head);
	is = read_text(x->dir, EVIDENCE_ANSWER, &size);
	if (!same_octets(is, size, x->json))
		fault(c, EVIDENCE_ANSWER, 0, is ? "is another answer than follows from the lines" : "cannot be read");
	free(is);
	readme = evidence_readme(&x->says, version, c->answer, x->sums);
	check_file(c, x, EVIDENCE_README, readme);
	/* The page is that of the text, even if the text is another. */
	is = read_text(x->dir, EVIDENCE_README, &size);
	page = is ? evidence_page(x->says.name, is) : NULL;
	free(is);
	check_file(c, x, EVIDENCE_PAGE, page);
}

static int find_answer(struct evidence_check *c, const struct history_files *f, struct found *x, char **ret)
{
	_cleanup_json_ cJSON *args = cJSON_CreateObject();
	struct evidence_question q = {
		.files = f, .dir = x->dir, .endpoint = x->says.endpoint, .t = x->says.t, .args = args
	};
	int r;

	if (json_get(x->question, "margin"))
		cJSON_AddNumberToObject(args, "margin", x->says.margin);
	r = evidence_answer(&q, true, ret);
	message_mute(true);
	r = r ? r : evidence_answer(&q, false, &c->answer);
	message_mute(false);
	return r;
}

/* The line without its newline, "" if it is none. */
static char *read_version(const char *dir)
{
	size_t size;
	char *text = read_text(dir, EVIDENCE_VERSION, &size);

	if (!text || strlen(text) != size || !size || text[size - 1] != '\n') {
		free(text);
		return strdup("");
	}
	text[size - 1] = '\0';
	return text;
}

static int check_answer(struct evidence_check *c, const char *dir, const struct history_files *f, const char *sums,
			const cJSON *question, struct error *err)
{
	_cleanup_free_ char *version = read_version(dir), *json = NULL;
	struct found x = { .dir = dir, .sums = sums, .question = question, .version = version };
	struct endpoint out;

	if (!evidence_case_read(question, &x.says) || endpoint_parse(x.says.endpoint, &out)) {
		fault(c, EVIDENCE_QUESTION, 0, "has no question");
		return 0;
	}
	if (!version || !sums || find_answer(c, f, &x, &json))
		return error_set(err, -ENOMEM, "out of memory");
	x.json = json;
	if (c->kind == EVIDENCE_LINES) {
		check_texts(c, f, &x);
		return 0;
	}
	check_names(c, &x);
	check_whole_readme(c, &x);
	return 0;
}

int evidence_check(const char *dir, const struct history_files *f, struct evidence_check *ret, struct error *err)
{
	_cleanup_json_ cJSON *question = evidence_read_question(dir);
	struct evidence_check c = { .kind = kind_of(dir, question), .faults = cJSON_CreateArray() };
	_cleanup_free_ char *sums = NULL;
	int r = 0;

	if (c.kind == EVIDENCE_LATER)
		fault(&c, EVIDENCE_QUESTION, 0, "is of a later version of detnat: its evidence is not understood");
	if (c.kind == EVIDENCE_WHOLE || c.kind == EVIDENCE_LINES) {
		sums = check_sums(&c, dir);
		c.leases = evidence_check_leases(dir, c.kind == EVIDENCE_WHOLE, c.faults);
		check_form(&c, question, f->index.withheld);
		r = check_answer(&c, dir, f, sums, question, err);
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

/* What evidence cannot prove by itself. */
static const char *const word_words[] = { "question", "gateway", "withheld", "end" };

static const char *const word_texts[] = {
	"who asked, when, in which case and why, and the version that answered",
	"which gateway it was, and that these are the lines that it recorded, with none left out",
	"of withheld lines how many there are, of what times, what they say without names, and how the clock was",
	"what is withheld at the end of a file, and its last checksum",
};

/* 1.0 withholds nothing that leaves a trace. */
static size_t words_of(const struct evidence_check *c)
{
	return c->kind == EVIDENCE_LINES ? ARRAY_SIZE(word_texts) : 2;
}

static void print_proof(struct writer *w, const struct evidence_check *c)
{
	writer_line(w,
		    c->kind == EVIDENCE_LINES
			    ? "Made again from the lines and compared%s: the answer, the question's form, all of "
			      "README.txt and README.html"
			    : "Made again from the lines and compared%s: inside address and customer of the answer. "
			      "Not compared: the rest of it, and the list of files in README.txt",
		    cJSON_GetArraySize(c->faults) ? ", and it differs" : "");
	writer_line(w, c->signature ? EVIDENCE_SUMS ".sig is there: ssh-keygen -Y verify tells whose signature it is"
				    : EVIDENCE_SUMS " is not signed: whoever had the directory may have made it anew");
	writer_line(w, "%s for", c->signature ? "Whoever signed it vouches" : "Nothing but a signature vouches");
	for (size_t i = 0; i < words_of(c); i++)
		writer_line(w, "  %s", word_texts[i]);
	if (c->leases.unchained)
		writer_line(w, "  %" PRIu64 " lines of " LEASE_EVIDENCE_FILE " that have no checksums",
			    c->leases.unchained);
}

void evidence_check_text(struct writer *w, const struct evidence_check *c, bool state)
{
	if (c->kind || state)
		writer_line(w, "This is %s", kind_texts[c->kind]);
	faults_print(w, "", c->faults);
	if (c->answer)
		fputs(c->answer, w->out);
	if (c->leases.lines || c->leases.withheld)
		writer_line(w, LEASE_EVIDENCE_FILE ": %" PRIu64 " lines; %" PRIu64 " more are withheld",
			    c->leases.lines, c->leases.withheld);
	if (c->kind == EVIDENCE_WHOLE || c->kind == EVIDENCE_LINES)
		print_proof(w, c);
}

void evidence_check_json(cJSON *json, const struct evidence_check *c)
{
	cJSON *e, *words;

	cJSON_AddStringToObject(json, "kind", kind_words[c->kind]);
	if (c->kind == EVIDENCE_NONE)
		return;
	e = cJSON_AddObjectToObject(json, "evidence");
	cJSON_AddNumberToObject(e, "lines", (double)c->leases.lines);
	cJSON_AddNumberToObject(e, "withheld", (double)c->leases.withheld);
	cJSON_AddBoolToObject(e, "signed", c->signature);
	words = cJSON_AddArrayToObject(e, "unproven");
	for (size_t i = 0; i < words_of(c); i++)
		cJSON_AddItemToArray(words, cJSON_CreateString(word_words[i]));
	if (c->leases.unchained)
		cJSON_AddItemToArray(words, cJSON_CreateString("unchained"));
	cJSON_AddItemToObject(e, "damage", cJSON_Duplicate(c->faults, true));
}
