// SPDX-License-Identifier: BSD-2-Clause
/* evidence: the answer to a question, what proves it, and checksums, in a directory of its own. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <detnat/version.h>

#include "base/json_scan.h"
#include "base/query_ledger.h"
#include "base/text.h"
#include "customer.h"
#include "evidence_decides.h"
#include "evidence_files.h"
#include "evidence_guard.h"
#include "evidence_receipt.h"
#include "history/history_claims.h"
#include "history/history_grant_days.h"
#include "history_files.h"
#include "json_get.h"
#include "message.h"
#include "leases/lease_files.h"
#include "looks.h"
#include "who_rows.h"

/* A question, and its answer. */
struct asked {
	const char *name, *endpoint;
	struct looks looks;
	int64_t t, now;
	char *json, *text; /* the answer */
	bool grants;	   /* it rests on lines of grants.jsonl */
	struct evidence_question question;
	char own_leases[PATH_MAX];
};

static void free_asked(struct asked *a)
{
	free(a->json);
	free(a->text);
	looks_free(&a->looks);
}

static bool good_name(const char *name)
{
	return *name != '.' &&
	       name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")] == '\0';
}

static int ask(const struct history_files *f, const char *dir, const cJSON *args, struct asked *a)
{
	_cleanup_json_ cJSON *json = NULL;
	struct evidence_question *q = &a->question;

	*q = (struct evidence_question){ .files = f, .dir = dir, .endpoint = a->endpoint, .t = a->t, .args = args };
	if (evidence_answer(q, true, &a->json))
		return -ENOMEM;
	message_mute(true);
	if (evidence_answer(q, false, &a->text))
		return -ENOMEM;
	message_mute(false);
	q->answer = a->json;
	json = cJSON_Parse(a->json);
	if (cJSON_HasObjectItem(json, "customer"))
		q->leases = json_text(args, "leases", lease_directory(dir, a->own_leases));
	return 0;
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

static char *question_text(const struct asked *a)
{
	_cleanup_json_ cJSON *json = cJSON_CreateObject();
	const struct query *q = &a->looks.query;
	char when[TIME_TEXT];

	cJSON_AddStringToObject(json, "asked", time_format(a->now, when));
	cJSON_AddStringToObject(json, "user", q->user);
	if (q->sudo_user)
		cJSON_AddStringToObject(json, "sudo_user", q->sudo_user);
	if (q->for_whom)
		cJSON_AddStringToObject(json, "for", q->for_whom);
	cJSON_AddStringToObject(json, "case", a->name);
	if (q->reason)
		cJSON_AddStringToObject(json, "reason", q->reason);
	cJSON_AddStringToObject(json, "endpoint", a->endpoint);
	cJSON_AddStringToObject(json, "at", time_format(a->t, when));
	cJSON_AddNumberToObject(json, "margin", (double)customers_margin(a->question.args));
	cJSON_AddNumberToObject(json, "evidence", EVIDENCE_FORM);
	return print_json(json);
}

/* The use becomes a line, without which there is no evidence. */
static int note_query(struct asked *a, struct error *err)
{
	char hash[SHA256_TEXT];

	evidence_digest(a->json, strlen(a->json), hash);
	a->looks.query.answer = hash;
	return looks_note(&a->looks, a->endpoint, a->t, err);
}

static int write_question(struct evidence *e, const struct asked *a, struct error *err)
{
	char *text = question_text(a);
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

static int write_readme(struct evidence *e, const struct asked *a, struct error *err)
{
	static const char leases[] = "  leases.jsonl    the lines of leases that decide the answer, each with the "
				     "checksum of the one before\n";
	static const char grants[] =
		"  grants.jsonl    what lines of history.jsonl name in the files of grants of days\n";
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
		"  history.jsonl   the lines of the mapping history that decide; history.head says where it ends\n"
		"%s"
		"  claims.jsonl    claims from imported configurations about the time before it, if they matter\n"
		"%s"
		"  README.html     this text, to be read in a browser or printed\n"
		"  SHA256SUMS      checksums of all these files; SHA256SUMS.sig signs them, if a key was given\n\n"
		"Without any of these lines the answer would be another one. All others are withheld, as they concern\n"
		"others: for a run of them stands its length, its times and the checksum of its last line, by which "
		"the\n"
		"next one follows; for the line of somebody who is none of the case, what it says without his names.\n"
		"Whoever must may have withheld lines shown, and check that they have these checksums.\n\n"
		"To check\n"
		"  sha256sum -c SHA256SUMS\n"
		"  ssh-keygen -Y verify -f ALLOWED_SIGNERS -I SIGNER -n detnat-evidence -s SHA256SUMS.sig <SHA256SUMS\n"
		"  detnatctl verify .\n",
		a->name, a->endpoint, time_format(a->t, when), time_format(a->now, now), a->text,
		a->grants ? grants : "", a->question.leases ? leases : "");
	int r;

	if (n < 0) {
		text = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	r = evidence_write(e, "README.txt", text, (size_t)n, err);
	return r ? r : write_page(e, a->name, text, err);
}

/* Whoever is handed the evidence owes nobody a line about his looks at it. */
static int write_head(struct evidence *e, const char *head, struct error *err)
{
	const char *audit = strstr(head, QUERY_AUDIT);
	_cleanup_free_ char *text = NULL;
	int n = audit ? asprintf(&text, "%.*s%s", (int)(audit - head), head, audit + strlen(QUERY_AUDIT))
		      : asprintf(&text, "%s", head);

	if (n < 0) {
		text = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	return evidence_write(e, HISTORY_HEAD_FILE, text, (size_t)n, err);
}

static int write_history(struct evidence *e, struct asked *a, struct error *err)
{
	const char *head = a->question.files->head_text;
	_cleanup_free_ char *text = NULL, *grants = NULL;
	size_t size = 0, n = 0;
	int r = evidence_history(&a->question, &text, &size);

	r = r ? r : evidence_grants(&a->question, text, size, &grants, &n);
	if (r)
		return error_set(err, r, "out of memory");
	a->grants = n;
	r = head ? write_head(e, head, err) : 0;
	r = r || !n ? r : evidence_write(e, GRANT_EVIDENCE_FILE, grants, n, err);
	return r ? r : evidence_write(e, HISTORY_FILE, text, size, err);
}

static int write_leases(struct evidence *e, const struct asked *a, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r = evidence_leases(&a->question, &text, &size, err);

	return r ? r : evidence_write(e, LEASE_EVIDENCE_FILE, text, size, err);
}

static int write_all(struct evidence *e, struct asked *a, const char *dir, const char *key, struct error *err)
{
	static const char version[] = DETNAT_VERSION "\n";
	int r = write_question(e, a, err);

	r = r ? r : evidence_write(e, "answer.json", a->json, strlen(a->json), err);
	r = r ? r : evidence_write(e, "version.txt", version, strlen(version), err);
	r = r ? r : write_history(e, a, err);
	if (!r && evidence_needs_claims(&a->question))
		r = evidence_copy(e, dir, CLAIMS_FILE, err);
	r = r || !a->question.leases ? r : write_leases(e, a, err);
	r = r ? r : write_readme(e, a, err);
	return r ? r : evidence_sign(e, key, err);
}

static struct receipt receipt_of(const struct asked *a)
{
	return (struct receipt){ .name = a->name, .endpoint = a->endpoint, .t = a->t, .now = a->now };
}

static int begin(struct evidence *e, const struct asked *a, const cJSON *args, bool tar, struct error *err)
{
	return tar ? evidence_begin_temporary(e, err)
		   : evidence_begin(e, json_text(args, "directory", "."), a->name, err);
}

static int make(struct asked *a, const char *dir, const cJSON *args, struct writer *w, struct error *err)
{
	bool tar = cJSON_IsTrue(json_get(args, "tar"));
	struct receipt receipt = receipt_of(a);
	struct evidence e = { 0 };
	int r = begin(&e, a, args, tar, err);

	r = r ? r : write_all(&e, a, dir, json_text(args, "key", NULL), err);
	r = r ? r : note_query(a, err);
	r = r ? r : tar ? evidence_tar(&e, a->name, w->out, err) : evidence_finish(&e, err);
	r = r ? r : evidence_sums_digest(&e, receipt.sums, err);
	evidence_close(&e);
	if (r || tar)
		return r ? EXIT_REFUSED : EXIT_DONE;
	if (cJSON_IsTrue(json_get(args, "receipt"))) {
		receipt.result = receipt_result_of(a->json);
		receipt_print(w, &receipt);
		return EXIT_DONE;
	}
	if (w->json) {
		writer_json(w, a->json, strcspn(a->json, "\n"));
		return EXIT_DONE;
	}
	fputs(a->text, w->out);
	writer_line(w, "%s", e.place);
	return EXIT_DONE;
}

/* Without a port there is no answer that evidence could prove; that it was asked for is a line all the same. */
static int make_without_port(struct asked *a, struct writer *w, struct error *err)
{
	struct receipt receipt = receipt_of(a);
	char *json;

	receipt.result = RECEIPT_NO_PORT;
	json = receipt_json(&receipt);
	a->json = json ? strdup(json) : NULL;
	cJSON_free(json);
	if (!a->json)
		return error_set(err, EXIT_REFUSED, "out of memory");
	if (note_query(a, err))
		return EXIT_REFUSED;
	receipt_print(w, &receipt);
	return EXIT_DONE;
}

static int check_args(const struct asked *a, const cJSON *args, struct writer *w, struct error *err)
{
	bool tar = cJSON_IsTrue(json_get(args, "tar")), receipt = cJSON_IsTrue(json_get(args, "receipt"));
	struct endpoint out;

	if (!good_name(a->name))
		return error_set(err, EXIT_USAGE,
				 "a case has letters, digits, dots, underscores and hyphens, and no dot first, unlike "
				 "%s",
				 QUOTED(a->name));
	if (endpoint_parse(a->endpoint, &out) && !receipt)
		return error_set(
			err, EXIT_USAGE,
			"evidence: %.60s has no port: who lists all who may have had one, and --receipt says so to "
			"whoever complained",
			a->endpoint);
	if (tar && json_text(args, "directory", NULL))
		return error_set(err, EXIT_USAGE, "evidence: --tar prints the archive, so --directory is not taken");
	if (tar && receipt)
		return error_set(err, EXIT_USAGE, "evidence: --tar prints the archive, so --receipt is not taken");
	if (tar && isatty(fileno(w->out)))
		return error_set(err, EXIT_USAGE, "evidence: --tar prints an archive: send it to a file, >%s.tar",
				 a->name);
	return EXIT_DONE;
}

static int run(struct asked *a, const struct history_files *f, const char *dir, const cJSON *args, struct writer *w,
	       struct error *err)
{
	struct endpoint out;

	history_warn(f);
	looks_init(&a->looks, "evidence", args, dir);
	a->looks.wanted = true;
	if (!a->looks.query.case_id)
		a->looks.query.case_id = a->name;
	if (f->index.evidence)
		return error_set(err, EXIT_REFUSED, "%.200s is evidence itself: hand that over", dir);
	if (endpoint_parse(a->endpoint, &out))
		return make_without_port(a, w, err);
	return ask(f, dir, args, a) ? error_set(err, EXIT_REFUSED, "out of memory") : make(a, dir, args, w, err);
}

static int evidence_run(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	const char *at = json_text(args, "at", NULL);
	struct asked a = { .name = json_text(args, "name", ""),
			   .endpoint = json_text(args, "endpoint", ""),
			   .now = time(NULL) };
	_cleanup_free_ char *dir = NULL;
	struct history_files f;
	int status;

	if (!at || time_parse(at, &a.t))
		return error_set(err, EXIT_USAGE, "evidence: --at TIME says of when");
	status = check_args(&a, args, w, err);
	status = status ? status : history_read_named(socket, args, false, &f, &dir, err);
	if (status)
		return status;
	status = run(&a, &f, dir, args, w, err);
	history_files_free(&f);
	free_asked(&a);
	return status;
}

const struct view view_evidence = { .run = evidence_run };
