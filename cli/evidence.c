// SPDX-License-Identifier: BSD-2-Clause
/* evidence: the answer to a question, what proves it, and checksums, in a directory of its own. */
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <detnat/version.h>

#include "base/json_scan.h"
#include "base/ledger.h"
#include "base/text.h"
#include "customer.h"
#include "evidence_files.h"
#include "history/history_claims.h"
#include "history_files.h"
#include "json_get.h"
#include "leases/lease_files.h"
#include "who_rows.h"

/* A question, and its answer. */
struct asked {
	const char *name, *endpoint;
	const char *for_whom; /* the user for whom it is asked, such as the desk's; NULL: the process's own */
	int64_t t, now, margin;
	char *json, *text; /* the answer */
	char in_addr[ADDR_TEXT];
	char tenant[LABEL_TEXT]; /* "": none */
	const char *leases;	 /* the directory of leases, NULL: none were asked */
	char own_leases[PATH_MAX];
};

static void free_asked(struct asked *a)
{
	free(a->json);
	free(a->text);
}

static bool good_name(const char *name)
{
	return *name != '.' &&
	       name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")] == '\0';
}

/* The answer as detnatctl prints it, without an answer why there is none. 0 or -ENOMEM. */
static int answer_as(const struct history_files *f, const char *dir, const struct asked *q, const cJSON *args,
		     bool json, char **ret)
{
	struct error err = { 0 };
	size_t size;
	FILE *out = open_memstream(ret, &size);
	struct writer w = { .out = out, .json = json, .points = true };
	cJSON *none;
	char *text;

	if (!out)
		return -ENOMEM;
	who_answer(f, dir, q->endpoint, q->t, args, &w, &err);
	fflush(out);
	if (!json && *err.text)
		fprintf(out, "%s\n", err.text);
	if (json && !size) {
		none = cJSON_CreateObject();
		cJSON_AddNullToObject(none, "in_addr");
		cJSON_AddStringToObject(none, "error", err.text);
		text = cJSON_PrintUnformatted(none);
		fprintf(out, "%s\n", text ? text : "{}");
		cJSON_free(text);
		cJSON_Delete(none);
	}
	return fclose(out) ? -ENOMEM : 0;
}

static int ask(const struct history_files *f, const char *dir, const cJSON *args, struct asked *a)
{
	_cleanup_json_ cJSON *json = NULL;

	if (answer_as(f, dir, a, args, true, &a->json) || answer_as(f, dir, a, args, false, &a->text))
		return -ENOMEM;
	json = cJSON_Parse(a->json);
	snprintf(a->in_addr, sizeof(a->in_addr), "%s", json_text(json, "in_addr", ""));
	snprintf(a->tenant, sizeof(a->tenant), "%s", json_text(json, "tenant", ""));
	a->margin = customers_margin(args);
	if (cJSON_HasObjectItem(json, "customer"))
		a->leases = json_text(args, "leases", lease_directory(dir, a->own_leases));
	return 0;
}

/* The user, who became him by sudo, and for whom he asks. */
static void add_user(cJSON *json, const char *for_whom)
{
	const struct passwd *user = getpwuid(getuid());
	const char *sudo = getenv("SUDO_USER");

	cJSON_AddStringToObject(json, "user", user ? user->pw_name : "unknown");
	if (sudo)
		cJSON_AddStringToObject(json, "sudo_user", sudo);
	if (for_whom)
		cJSON_AddStringToObject(json, "for", for_whom);
}

/* On one line, as whatever is shown on a terminal. NULL: out of memory. */
static char *print_json(const cJSON *json)
{
	_cleanup_free_ char *raw = cJSON_PrintUnformatted(json);
	char *text = NULL;
	size_t size;
	FILE *out = raw ? open_memstream(&text, &size) : NULL;

	if (!out)
		return NULL;
	text_print_json(out, raw, strlen(raw));
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}

static char *question_text(const struct asked *a, const char *time_key, bool digest)
{
	_cleanup_json_ cJSON *json = cJSON_CreateObject();
	char when[TIME_TEXT], hash[SHA256_TEXT];

	cJSON_AddStringToObject(json, time_key, time_format(a->now, when));
	add_user(json, a->for_whom);
	cJSON_AddStringToObject(json, "case", a->name);
	cJSON_AddStringToObject(json, "endpoint", a->endpoint);
	cJSON_AddStringToObject(json, "at", time_format(a->t, when));
	evidence_digest(a->json, strlen(a->json), hash);
	if (digest)
		cJSON_AddStringToObject(json, "answer", hash);
	return print_json(json);
}

/* The use becomes a line, without which there is no evidence. */
static int note_query(const struct asked *a, const char *dir, struct error *err)
{
	char *text = question_text(a, "time", true), file[LEDGER_NAME];
	size_t size = text ? strlen(text) : 0;
	int r;

	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	ledger_file_name(LEDGER_QUERIES, a->now, file);
	/* Without the braces, as a line of its own. */
	text[size - 1] = '\n';
	r = ledger_append(dir, file, text + 1, size - 1, a->now, err);
	free(text);
	return r;
}

static int write_question(struct evidence *e, const struct asked *a, struct error *err)
{
	char *text = question_text(a, "asked", false);
	int r = text ? evidence_write(e, "question.json", text, strlen(text), err)
		     : error_set(err, -ENOMEM, "out of memory");

	free(text);
	return r;
}

static int write_page(struct evidence *e, const char *name, const char *text, struct error *err)
{
	_cleanup_free_ char *page = NULL;
	char title[NAME_MAX + 8];
	size_t size;
	FILE *out = open_memstream(&page, &size);

	if (!out)
		return error_set(err, -ENOMEM, "out of memory");
	snprintf(title, sizeof(title), "Case %s", name);
	evidence_html(out, title, text);
	if (fclose(out))
		return error_set(err, -ENOMEM, "out of memory");
	return evidence_write(e, "README.html", page, size, err);
}

static bool has_leases(const struct asked *a)
{
	return a->leases && *a->in_addr;
}

static int write_readme(struct evidence *e, const struct asked *a, struct error *err)
{
	static const char leases[] =
		"  leases.jsonl    the lines of leases about the inside address and its tenant, of the days "
		"on which the answer rests, each with the checksum of the one before\n";
	_cleanup_free_ char *text = NULL;
	char when[TIME_TEXT], now[TIME_TEXT];
	int n = asprintf(
		&text,
		"Case %s\n\n"
		"Question: which subscriber used %s at %s?\n"
		"Asked at %s, answered by detnatctl " DETNAT_VERSION ".\n\n"
		"%s\n"
		"Files\n"
		"  question.json   the question, and who asked\n"
		"  answer.json     the answer, for programs\n"
		"  version.txt     the version of detnatctl that answered\n"
		"  history.jsonl   the mapping history; history.head says where it ends\n"
		"  claims.jsonl    claims from imported configurations about the time before it, if there are any\n"
		"%s"
		"  README.html     this text, to be read in a browser or printed\n"
		"  SHA256SUMS      checksums of all these files; SHA256SUMS.sig signs them, if a key was given\n\n"
		"To check\n"
		"  sha256sum -c SHA256SUMS\n"
		"  ssh-keygen -Y verify -f ALLOWED_SIGNERS -I SIGNER -n detnat-evidence -s SHA256SUMS.sig <SHA256SUMS\n"
		"  detnatctl history verify --state-dir .\n"
		"  detnatctl who %s --at %s --state-dir .\n",
		a->name, a->endpoint, time_format(a->t, when), time_format(a->now, now), a->text,
		has_leases(a) ? leases : "", a->endpoint, when);
	int r;

	if (n < 0) {
		text = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	r = evidence_write(e, "README.txt", text, (size_t)n, err);
	return r ? r : write_page(e, a->name, text, err);
}

/* The head goes first, so that the copy of a growing history has the lines that it names. */
static int write_all(struct evidence *e, const struct asked *a, const char *dir, const char *key, struct error *err)
{
	static const char version[] = DETNAT_VERSION "\n";
	int r = write_question(e, a, err);

	r = r ? r : evidence_write(e, "answer.json", a->json, strlen(a->json), err);
	r = r ? r : evidence_write(e, "version.txt", version, strlen(version), err);
	r = r ? r : evidence_copy(e, dir, "history.head", err);
	r = r ? r : evidence_copy(e, dir, "history.jsonl", err);
	r = r ? r : evidence_copy(e, dir, CLAIMS_FILE, err);
	if (!r && has_leases(a))
		r = evidence_leases(e, a->leases, a->in_addr, a->tenant, a->t, a->margin, err);
	r = r ? r : write_readme(e, a, err);
	return r ? r : evidence_sign(e, key, err);
}

static int begin(struct evidence *e, const struct asked *a, const cJSON *args, bool tar, struct error *err)
{
	return tar ? evidence_begin_temporary(e, err)
		   : evidence_begin(e, json_text(args, "directory", "."), a->name, err);
}

static int make(const struct asked *a, const char *dir, const cJSON *args, struct writer *w, struct error *err)
{
	bool tar = cJSON_IsTrue(json_get(args, "tar"));
	struct evidence e = { 0 };
	int r = begin(&e, a, args, tar, err);

	r = r ? r : write_all(&e, a, dir, json_text(args, "key", NULL), err);
	r = r ? r : note_query(a, json_text(args, "queries", dir), err);
	r = r ? r : tar ? evidence_tar(&e, a->name, w->out, err) : evidence_finish(&e, err);
	evidence_close(&e);
	if (r || tar)
		return r ? EXIT_REFUSED : EXIT_DONE;
	if (w->json) {
		writer_json(w, a->json, strcspn(a->json, "\n"));
		return EXIT_DONE;
	}
	fputs(a->text, w->out);
	writer_line(w, "%s", e.place);
	return EXIT_DONE;
}

static int evidence_run(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	const char *at = json_text(args, "at", NULL);
	struct asked a = { .name = json_text(args, "case", ""),
			   .endpoint = json_text(args, "endpoint", ""),
			   .for_whom = json_text(args, "for", NULL),
			   .now = time(NULL) };
	_cleanup_free_ char *dir = NULL;
	struct history_files f;
	int status;

	if (!at || time_parse(at, &a.t))
		return error_set(err, EXIT_USAGE, "evidence: --at TIME says of when");
	if (!good_name(a.name))
		return error_set(err, EXIT_USAGE,
				 "a case has letters, digits, dots, underscores and hyphens, and no dot first, unlike "
				 "%s",
				 QUOTED(a.name));
	if (cJSON_IsTrue(json_get(args, "tar")) && json_text(args, "directory", NULL))
		return error_set(err, EXIT_USAGE, "evidence: --tar prints the archive, so --directory is not taken");
	if (cJSON_IsTrue(json_get(args, "tar")) && isatty(fileno(w->out)))
		return error_set(err, EXIT_USAGE, "evidence: --tar prints an archive: send it to a file, >%s.tar",
				 a.name);
	status = history_read_named(socket, args, false, &f, &dir, err);
	if (status)
		return status;
	history_warn(&f);
	status = ask(&f, dir, args, &a) ? error_set(err, EXIT_REFUSED, "out of memory") : make(&a, dir, args, w, err);
	history_files_free(&f);
	free_asked(&a);
	return status;
}

const struct view view_evidence = { .run = evidence_run };
