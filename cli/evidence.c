// SPDX-License-Identifier: BSD-2-Clause
/* evidence: the answer to a question, what proves it, and checksums, in a directory of its own. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <detnat/version.h>

#include "base/json_scan.h"
#include "base/query_ledger.h"
#include "base/withheld.h"
#include "customer.h"
#include "evidence_decides.h"
#include "evidence_files.h"
#include "evidence_receipt.h"
#include "evidence_text.h"
#include "history/history_claims.h"
#include "history/history_grant_days.h"
#include "history_files.h"
#include "json_get.h"
#include "message.h"
#include "leases/lease_files.h"
#include "looks.h"

/* A question, and its answer. */
struct asked {
	const char *name, *endpoint;
	struct looks looks;
	int64_t t, now;
	char *json, *text; /* the answer */
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

static struct evidence_case case_of(const struct asked *a)
{
	const struct query *q = &a->looks.query;
	const char *gateway = a->question.files->index.gateway;

	return (struct evidence_case){ .name = a->name,
				       .endpoint = a->endpoint,
				       .user = q->user,
				       .sudo_user = q->sudo_user,
				       .for_whom = q->for_whom,
				       .reason = q->reason,
				       .gateway = *gateway ? gateway : NULL,
				       .asked = a->now,
				       .t = a->t,
				       .margin = (double)customers_margin(a->question.args) };
}

/* The use becomes a line, without which there is no evidence. */
static int note_query(struct asked *a, struct error *err)
{
	char hash[SHA256_TEXT];

	evidence_digest(a->json, strlen(a->json), hash);
	a->looks.query.answer = hash;
	return looks_note(&a->looks, a->endpoint, a->t, err);
}

/* Writes a text, and frees it. */
static int write_text(struct evidence *e, const char *name, char *text, struct error *err)
{
	int r = text ? evidence_write(e, name, text, strlen(text), err) : error_set(err, -ENOMEM, "out of memory");

	free(text);
	return r;
}

static int write_readme(struct evidence *e, const struct asked *a, struct error *err)
{
	struct evidence_case c = case_of(a);
	_cleanup_free_ char *sums = NULL, *text = NULL;
	int r = evidence_sums(e, &sums, err);

	if (r)
		return r;
	text = evidence_readme(&c, DETNAT_VERSION, a->text, sums);
	r = write_text(e, EVIDENCE_PAGE, text ? evidence_page(a->name, text) : NULL, err);
	return r ? r : evidence_write(e, EVIDENCE_README, text, strlen(text), err);
}

static int write_history(struct evidence *e, const struct asked *a, struct error *err)
{
	const struct history_files *f = a->question.files;
	_cleanup_free_ char *text = NULL, *grants = NULL;
	size_t size = 0, n = 0;
	int r = evidence_history(&a->question, &text, &size);

	r = r ? r : evidence_grants(&a->question, text, size, &grants, &n);
	if (r)
		return error_set(err, r, "out of memory");
	if (f->head_text)
		r = write_text(e, HISTORY_HEAD_FILE,
			       f->end == END_BAD_HEAD ? strdup(f->head_text) : evidence_head_text(&f->head), err);
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

static int write_all(struct evidence *e, const struct asked *a, const char *dir, const char *key, struct error *err)
{
	static const char version[] = DETNAT_VERSION "\n";
	struct evidence_case c = case_of(a);
	int r = write_text(e, EVIDENCE_QUESTION, evidence_question_text(&c), err);

	r = r ? r : evidence_write(e, EVIDENCE_ANSWER, a->json, strlen(a->json), err);
	r = r ? r : evidence_write(e, EVIDENCE_VERSION, version, strlen(version), err);
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
