// SPDX-License-Identifier: BSD-2-Clause
/* verify, history verify: whether a state directory, or a directory of evidence, is as it was written. */
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json_scan.h"
#include "base/ledger.h"
#include "base/ledger_verify.h"
#include "evidence_check.h"
#include "faults.h"
#include "history/history_claims.h"
#include "history_files.h"
#include "json_get.h"
#include "leases/lease_files.h"

static const char *const end_words[] = {
	[END_AGREES] = "agrees",   [END_NO_HEAD] = "absent", [END_BAD_HEAD] = "damaged",
	[END_MISSING] = "missing", [END_OTHER] = "other",
};

static void add_time(cJSON *json, const char *key, int64_t t)
{
	char text[TIME_TEXT];

	if (t == TIME_NONE || t == TIME_OPEN)
		cJSON_AddNullToObject(json, key);
	else
		cJSON_AddStringToObject(json, key, time_format(t, text));
}

/* The files of leases and queries. */
struct chain_check {
	struct ledger_state state;
	cJSON *faults; /* array of objects */
	cJSON *erased; /* the same, lines that were erased the lawful way */
};

static void chain_fault(void *arg, const char *file, uint64_t line, bool erased, const char *text)
{
	struct chain_check *c = arg;

	fault_add(erased ? c->erased : c->faults, file, line, text);
}

static bool chain_there(const struct chain_check *c)
{
	return c->state.ledger || c->state.files || c->state.wrong;
}

static void chain_json(cJSON *json, const char *key, const struct chain_check *c)
{
	cJSON *chain = chain_there(c) ? cJSON_AddObjectToObject(json, key) : NULL;

	if (!chain)
		return;
	cJSON_AddNumberToObject(chain, "files", (double)c->state.files);
	cJSON_AddNumberToObject(chain, "lines", (double)c->state.lines);
	cJSON_AddNumberToObject(chain, "ledger", (double)c->state.ledger);
	cJSON_AddStringToObject(chain, "hash", c->state.hash);
	cJSON_AddItemToObject(chain, "damage", cJSON_Duplicate(c->faults, true));
	cJSON_AddItemToObject(chain, "erased", cJSON_Duplicate(c->erased, true));
}

static void free_check(struct chain_check *c)
{
	cJSON_Delete(c->faults);
	cJSON_Delete(c->erased);
}

/* prefix: of names of files */
static void chain_text(struct writer *w, const char *prefix, const struct chain_check *c)
{
	if (!chain_there(c))
		return;
	faults_print(w, prefix, c->faults);
	faults_print(w, prefix, c->erased);
	if (c->state.erased)
		writer_line(w, "%" PRIu64 " lines were erased, and the ledger says so", c->state.erased);
	writer_line(w,
		    "%" PRIu64 " lines of %s in %" PRIu64 " files; their ledger has %" PRIu64
		    " lines, the last of checksum %s",
		    c->state.lines, *prefix ? "the desk's queries" : "leases and queries", c->state.files,
		    c->state.ledger, c->state.hash);
}

static void add_claims(cJSON *json, const struct history_claims *c)
{
	cJSON *claims = cJSON_AddObjectToObject(json, "claims");

	cJSON_AddNumberToObject(claims, "lines", (double)c->lines);
	cJSON_AddStringToObject(claims, "hash", c->hash);
	cJSON_AddNumberToObject(claims, "damaged", (double)c->damaged);
}

/* Grants of which nobody knows any more whose they were. */
static size_t grants_unknown(const struct history_index *x)
{
	size_t n = 0;

	for (size_t i = 0; i < x->grants.n; i++)
		n += history_grant_unknown(&x->grants.interval[i].grant);
	return n;
}

static void verify_json(struct writer *w, const struct history_files *f, const struct history_claims *claims,
			const struct chain_check *chain, const struct chain_check *desk,
			const struct evidence_check *evidence)
{
	const struct history_index *x = &f->index;
	cJSON *json = cJSON_CreateObject();
	cJSON *damage;
	char *text;

	cJSON_AddNumberToObject(json, "lines", (double)x->lines);
	cJSON_AddNumberToObject(json, "withheld", (double)x->withheld);
	if (grants_unknown(x))
		cJSON_AddNumberToObject(json, "grants_gone", (double)grants_unknown(x));
	add_time(json, "first", x->first_time);
	add_time(json, "last", x->last_time);
	add_time(json, "known_until", history_files_known_until(f));
	cJSON_AddStringToObject(json, "hash", x->hash);
	if (*x->gateway)
		cJSON_AddStringToObject(json, "gateway", x->gateway);
	else
		cJSON_AddNullToObject(json, "gateway");
	cJSON_AddStringToObject(json, "head", end_words[f->end]);
	cJSON_AddNumberToObject(json, "torn", (double)f->torn);
	damage = cJSON_AddArrayToObject(json, "damage");
	for (size_t i = 0; i < x->n_damages; i++) {
		cJSON *item = cJSON_CreateObject();

		cJSON_AddNumberToObject(item, "line", (double)x->damages[i].line);
		cJSON_AddStringToObject(item, "text", x->damages[i].text);
		cJSON_AddItemToArray(damage, item);
	}
	if (claims->lines)
		add_claims(json, claims);
	chain_json(json, "leases", chain);
	chain_json(json, "desk", desk);
	evidence_check_json(json, evidence);
	text = cJSON_PrintUnformatted(json);
	if (text)
		writer_json(w, text, strlen(text));
	cJSON_free(text);
	cJSON_Delete(json);
}

static void verify_text(struct writer *w, const struct history_files *f)
{
	const struct history_index *x = &f->index;
	char first[TIME_TEXT], last[TIME_TEXT], text[128];

	for (size_t i = 0; i < x->n_damages; i++)
		writer_line(w, "line %" PRIu64 " %s", x->damages[i].line, x->damages[i].text);
	if (f->torn)
		writer_line(w, "line %" PRIu64 " is incomplete, %zu octets: it is being written, or was at a crash",
			    x->lines + 1, f->torn);
	if (history_end_text(f, text, sizeof(text)))
		writer_line(w, "%s", text);
	if (f->end == END_NO_HEAD)
		writer_line(w,
			    "there is no " HISTORY_HEAD_FILE ": whether lines are missing at the end cannot be seen");
	if (!x->lines)
		writer_line(w, "0 lines");
	else
		writer_line(w, "%" PRIu64 " lines from %s to %s, the last of checksum %s", x->lines,
			    time_format(x->first_time, first), time_format(x->last_time, last), x->hash);
	if (grants_unknown(x))
		writer_line(w, "%zu grants were in files of their days that have gone", grants_unknown(x));
	if (x->withheld)
		writer_line(w, "%" PRIu64 " of these lines are withheld", x->withheld);
}

static void verify_claims(struct writer *w, const struct history_claims *c)
{
	if (c->damaged)
		writer_line(w, CLAIMS_FILE ": line %" PRIu64 " %s; lines that are not used: %" PRIu64, c->first_damage,
			    c->damage, c->damaged);
	if (c->lines)
		writer_line(w, CLAIMS_FILE ": %" PRIu64 " lines, the last of checksum %s", c->lines, c->hash);
}

/* Adds the ledger of a directory, if there is one. What cannot be read is a fault: the rest is checked all the same. */
static void verify_another(struct chain_check *ret, const char *format, const char *dir)
{
	struct ledger_state earlier = ret->state, *now = &ret->state;
	char path[PATH_MAX];
	struct error why;
	struct stat st;

	if (snprintf(path, sizeof(path), format, dir) >= (int)sizeof(path) || lstat(path, &st) || !S_ISDIR(st.st_mode))
		return;
	if (ledger_verify(path, chain_fault, ret, now, &why)) {
		chain_fault(ret, "", 0, false, why.text);
		memcpy(now->hash, HASH_NONE, HASH_TEXT);
		now->wrong++;
	}
	now->files += earlier.files;
	now->lines += earlier.lines;
	now->ledger += earlier.ledger;
	now->wrong += earlier.wrong;
	now->erased += earlier.erased;
}

static int verify_run(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	_cleanup_free_ char *dir = NULL;
	struct history_files f;
	_cleanup_claims_ struct history_claims claims = { 0 };
	int status = history_read_named(socket, args, false, &f, &dir, err);
	struct chain_check chain = { 0 }, desk = { 0 };
	struct evidence_check evidence;
	char text[128];

	if (status)
		return status;
	if (history_claims_read(dir, &claims, err) || evidence_check(dir, &f, &evidence, err)) {
		history_files_free(&f);
		return EXIT_REFUSED;
	}
	chain = (struct chain_check){ .faults = cJSON_CreateArray(), .erased = cJSON_CreateArray() };
	desk = (struct chain_check){ .faults = cJSON_CreateArray(), .erased = cJSON_CreateArray() };
	/* Until 1.0.0 it was in the state directory; then it is beside. What is there counts, the one in use last. */
	verify_another(&desk, "%s/" DESK_DIR, dir);
	verify_another(&desk, "%s-" DESK_DIR, dir);
	status = ledger_verify(dir, chain_fault, &chain, &chain.state, err) ? EXIT_REFUSED : EXIT_DONE;
	verify_another(&chain, "%s/" LEASES_DIR, dir);
	if (w->json && !status)
		verify_json(w, &f, &claims, &chain, &desk, &evidence);
	else if (!status)
		verify_text(w, &f);
	if (!w->json && !status) {
		verify_claims(w, &claims);
		chain_text(w, "", &chain);
		chain_text(w, DESK_DIR "/", &desk);
		evidence_check_text(w, &evidence, cJSON_HasObjectItem(args, "directory"));
	}
	if (!status && cJSON_GetArraySize(evidence.faults))
		status = error_set(err, EXIT_REFUSED, "the evidence is damaged");
	if (!status && (chain.state.wrong || desk.state.wrong))
		status = error_set(err, EXIT_REFUSED, "the leases or queries are damaged");
	if (!status && claims.damaged)
		status = error_set(err, EXIT_REFUSED, CLAIMS_FILE " is damaged");
	if (f.index.n_damages || f.torn || history_end_text(&f, text, sizeof(text)))
		status = error_set(err, EXIT_REFUSED, "the history is damaged");
	evidence_check_free(&evidence);
	history_files_free(&f);
	free_check(&chain);
	free_check(&desk);
	return status;
}

const struct view view_history_verify = { .run = verify_run };

/* The same of a directory that is named by a word. */
static int verify_directory(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	_cleanup_json_ cJSON *named = cJSON_CreateObject();

	cJSON_AddStringToObject(named, "state_dir", json_text(args, "directory", "."));
	cJSON_AddTrueToObject(named, "directory");
	return verify_run(socket, named, w, err);
}

const struct view view_verify = { .run = verify_directory };
