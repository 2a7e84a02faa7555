// SPDX-License-Identifier: BSD-2-Clause
/* leases import: what another server wrote down becomes lines of leases; leases expire: old ones go;
 * customer --erase: those of one customer do. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_scan.h"
#include "command.h"
#include "history/history_grant_days.h"
#include "history_files.h"
#include "customer_list.h"
#include "json_get.h"
#include "base/ledger.h"
#include "base/rights.h"
#include "leases/lease_append.h"
#include "leases/lease_days.h"
#include "leases/lease_erase.h"
#include "leases/lease_files.h"
#include "looks.h"
#include "leases/lease_import.h"

/* When a file was written: --at, or its time of modification, or now for a pipe. */
static int64_t time_of(const cJSON *args, FILE *in)
{
	const char *at = json_text(args, "at", NULL);
	int64_t t = time(NULL);
	struct stat st;

	if (at)
		time_parse(at, &t);
	else if (!fstat(fileno(in), &st) && S_ISREG(st.st_mode))
		t = st.st_mtime;
	return t;
}

static int read_input(struct lease_import *x, const cJSON *args, const char *path, struct error *err)
{
	FILE *in = strcmp(path, "-") != 0 ? fopen(path, "re") : stdin;
	uint32_t format = 0;
	int r;

	if (!in)
		return error_set(err, EXIT_REFUSED, "%.200s: %s", path, strerror(errno));
	word_number(lease_words, json_text(args, "format", ""), &format);
	x->at = time_of(args, in);
	r = lease_import(x, (enum lease_format)format, in);
	if (in != stdin)
		fclose(in);
	if (r == -EBADMSG)
		return error_set(err, EXIT_REFUSED, "%.200s:%" PRIu64 ": is no header of %s: nothing was imported",
				 path, x->line, word_text(lease_words, format));
	return r ? error_set(err, EXIT_REFUSED, "%.200s: %s: nothing was imported", path, strerror(-r)) : EXIT_DONE;
}

static void show(struct writer *w, const struct lease_import *x, const struct lease_batch *b, const char *dir)
{
	char json[192];
	int n = snprintf(json, sizeof(json), "{\"added\":%" PRIu64 ",\"known\":%" PRIu64 ",\"skipped\":%" PRIu64 "}",
			 b->lines, b->known, x->skipped);

	if (w->json)
		writer_json(w, json, (size_t)n);
	else
		writer_line(w, "%" PRIu64 " lines added to %s, %" PRIu64 " were there, %" PRIu64 " records skipped",
			    b->lines, dir, b->known, x->skipped);
}

/* Answers then need not read whole days; where none can be written, they do. */
static int make_indexes(const char *dir, struct error *err)
{
	struct lease_days *d;
	size_t n;
	int r;

	/* It may be that nothing was worth a line. */
	if (lease_days_open(dir, &d, NULL))
		return 0;
	r = lease_days_index(d, &n, err);
	lease_days_free(d);
	return r;
}

static int import(const cJSON *args, const char *dir, struct lease_batch *batch, struct writer *w, struct error *err)
{
	struct lease_import x = { .take = lease_batch_add, .arg = batch, .tenant = json_text(args, "tenant", NULL) };
	const char *path = json_text(args, "file", ""), *zone = json_text(args, "zone", NULL);
	int status;

	if (zone && zone_parse(zone, &x.zone, err))
		return EXIT_USAGE;
	status = read_input(&x, args, path, err);
	if (status)
		return status;
	if (!x.events && !x.skipped)
		return error_set(err, EXIT_REFUSED, "%.200s has no record of %s: nothing was imported", path,
				 json_text(args, "format", ""));
	if (lease_batch_write(batch, time(NULL), err) || make_indexes(dir, err))
		return EXIT_REFUSED;
	show(w, &x, batch, dir);
	if (x.skipped)
		return error_set(err, EXIT_REFUSED, "%.100s: %" PRIu64 " records were skipped; the first: %.300s", path,
				 x.skipped, x.first.text);
	return EXIT_DONE;
}

static int import_run(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	const char *dir = json_text(args, "leases", NULL);
	struct lease_batch batch = { .dir = dir, .fresh = true, .opens = true };
	int status;

	(void)socket;
	if (!dir)
		return error_set(err, EXIT_USAGE, "leases import: --leases DIR names the directory of leases");
	status = import(args, dir, &batch, w, err);
	lease_batch_free(&batch);
	return status;
}

/* Rows of files that go. */
struct leaving {
	struct writer *w;
	bool dry;
	int64_t before;
	const struct history_index *history; /* of grants */
};

static void show_gone(void *arg, const char *name)
{
	const struct leaving *x = arg;
	char json[64];

	snprintf(json, sizeof(json), "{\"file\":\"%s\"}", name);
	if (x->w->json)
		writer_stream_row(x->w, NULL, json, NULL);
	else
		writer_line(x->w, "%s%s", name, x->dry ? "" : " removed");
}

static bool grants_stay(void *arg, const char *name)
{
	const struct leaving *x = arg;

	return history_grants_stay(x->history, name, x->before);
}

/* With the rights of the agent's user, whose directory it is. */
static void remove_cache(const char *dir)
{
	_cleanup_close_ int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_rights_ struct rights lesser = rights_of(at);

	unlinkat(at, HISTORY_CACHE_FILE, 0);
}

/* Files of grants are beside the history, whose agent forgets what they had. */
static int expire_grants(const char *socket, const cJSON *args, const struct leaving *of, struct error *err)
{
	_cleanup_free_ char *dir = NULL;
	struct history_files f;
	struct leaving leaving = *of;
	struct ledger_expiry x = { .kind = LEDGER_GRANTS,
				   .before = leaving.before,
				   .dry = leaving.dry,
				   .stays = grants_stay,
				   .gone = show_gone,
				   .arg = &leaving };
	int status = json_text(args, "leases", NULL) || !cJSON_HasObjectItem(args, "older")
			     ? error_set(err, EXIT_USAGE,
					 "leases expire: --grants takes --state-dir DIR in place of --leases, and "
					 "--older 180d for their age")
			     : history_read_named(socket, args, true, &f, &dir, err);
	unsigned n = 0;

	if (status)
		return status;
	x.dir = dir;
	leaving.history = &f.index;
	if (leaving.w->json)
		writer_stream_begin(leaving.w, NULL);
	status = ledger_expire(&x, time(NULL), &n, err) ? EXIT_REFUSED : EXIT_DONE;
	/* It has who had them. */
	if (n && !x.dry)
		remove_cache(dir);
	if (!status && leaving.w->json)
		writer_stream_end(leaving.w, "");
	history_files_free(&f);
	return status;
}

/* A day is older once its last second is. */
static int expire_run(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	struct leaving leaving = { .w = w,
				   .dry = cJSON_IsTrue(json_get(args, "dry_run")),
				   .before = time(NULL) - (int64_t)json_number(args, "older") };
	struct ledger_expiry x = { .dir = json_text(args, "leases", NULL),
				   .kind = LEDGER_LEASES,
				   .before = leaving.before,
				   .dry = leaving.dry,
				   .gone = show_gone,
				   .arg = &leaving };
	unsigned n;

	if (cJSON_IsTrue(json_get(args, "grants")))
		return expire_grants(socket, args, &leaving, err);
	if (!x.dir || !cJSON_HasObjectItem(args, "older"))
		return error_set(
			err, EXIT_USAGE,
			"leases expire: --leases DIR names the directory of leases, and --older 180d their age");
	if (w->json)
		writer_stream_begin(w, NULL);
	if (ledger_expire(&x, time(NULL), &n, err))
		return EXIT_REFUSED;
	if (w->json)
		writer_stream_end(w, "");
	return EXIT_DONE;
}

/* Days of others that may not be written to stay without one. */
static int index_run(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	const char *dir = json_text(args, "leases", NULL);
	struct lease_days *d;
	size_t n;
	int r;

	(void)socket;
	if (!dir)
		return error_set(err, EXIT_USAGE, "leases index: --leases DIR names the directory of leases");
	if (lease_days_open(dir, &d, err))
		return EXIT_REFUSED;
	r = lease_days_index(d, &n, err);
	lease_days_free(d);
	if (r)
		return EXIT_REFUSED;
	if (w->json)
		writer_line(w, "{\"indexed\":%zu}", n);
	else
		writer_line(w, "%zu days have an index", n);
	return EXIT_DONE;
}

const struct view view_leases_index = { .run = index_run };
const struct view view_leases_expire = { .run = expire_run };
const struct view view_leases_import = { .run = import_run };

static int show_erased(struct writer *w, const struct lease_erased *e, size_t n, bool dry)
{
	if (w->json)
		writer_stream_begin(w, NULL);
	for (size_t i = 0; i < n; i++) {
		char json[96];

		snprintf(json, sizeof(json), "{\"file\":\"%s\",\"lines\":%" PRIu64 "}", e[i].file, e[i].lines);
		if (w->json)
			writer_stream_row(w, NULL, json, NULL);
		else
			writer_line(w, "%s: %" PRIu64 " line%s%s", e[i].file, e[i].lines, e[i].lines == 1 ? "" : "s",
				    dry ? "" : " erased");
	}
	if (w->json)
		writer_stream_end(w, "");
	return EXIT_DONE;
}

static int customer_run(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	bool dry = cJSON_IsTrue(json_get(args, "dry_run"));
	const char *dir = json_text(args, "leases", NULL);
	_cleanup_free_ struct lease_erased *erased = NULL;
	_cleanup_free_ char *own = NULL;
	_cleanup_looks_ struct looks looks = { 0 };
	char at[PATH_MAX];
	struct history_files f = { 0 };
	size_t n;
	int status;

	if (!cJSON_IsTrue(json_get(args, "erase")))
		return customer_list(socket, args, w, err);
	if (cJSON_HasObjectItem(args, "from") || cJSON_HasObjectItem(args, "to") || cJSON_HasObjectItem(args, "tenant"))
		return error_set(err, EXIT_USAGE,
				 "customer: --erase takes all of the customer's lines, of any time and tenant");
	if (!dir) {
		status = history_read_named(socket, args, true, &f, &own, err);
		if (status)
			return status;
		history_files_free(&f);
	}
	/* No line may name who is erased. */
	looks_begin(&looks, "customer", args, &f, dir ? dir : own);
	looks.wanted = f.head.audit_queries || looks.query.reason;
	looks_add_text(&looks, dry ? "lines that an erasure would take out" : "an erasure");
	if (looks_write(&looks, err))
		return EXIT_REFUSED;
	if (lease_erase(dir ? dir : lease_directory(own, at), json_text(args, "customer", ""),
			json_text(args, "case", NULL), dry, time(NULL), &erased, &n, err))
		return EXIT_REFUSED;
	return show_erased(w, erased, n, dry);
}

const struct view view_customer = { .run = customer_run };
