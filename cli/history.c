// SPDX-License-Identifier: BSD-2-Clause
/* The mapping history: list and verify; the command `who` is in who.c. */
#include <inttypes.h>
#include <string.h>

#include "base/json_scan.h"
#include "history/history_claims.h"
#include "history_files.h"
#include "json_get.h"
#include "leases/chain_verify.h"
#include "message.h"
#include "proto/words.h"

/* Limits the warnings about damage in commands other than verify. */
#define MAX_WARNINGS 5U

/* The configuration of the agent at a socket; NULL with EXIT_UNREACHABLE: there is none. */
static cJSON *ask_config(const char *socket, int *ret_status, struct error *err)
{
	_cleanup_json_ cJSON *all = cJSON_CreateObject();

	cJSON_AddTrueToObject(all, "all");
	return command_ask("config show", socket, all, ret_status, err);
}

static void warn_of_usual_place(const struct error *why)
{
	struct error said;

	error_set(&said, 0, "warning: the history in " DEFAULT_STATE_DIR " is read: %.400s", why->text);
	message_show(said.text);
}

int history_read_named(const char *socket, const cJSON *args, bool cached, struct history_files *ret, char **ret_dir,
		       struct error *err)
{
	const char *dir = json_text(args, "state_dir", NULL);
	_cleanup_json_ cJSON *config = NULL;
	_cleanup_free_ char *copy = NULL;
	int status = EXIT_DONE;

	if (!dir)
		config = ask_config(socket, &status, err);
	/* An agent in the usual place that fails to answer does not prevent an answer. */
	if (status == EXIT_UNREACHABLE || (status && !socket))
		warn_of_usual_place(err);
	else if (status)
		return status;
	if (!dir)
		dir = json_text(config, "state_dir", DEFAULT_STATE_DIR);
	copy = strdup(dir);
	if (!copy)
		return error_set(err, EXIT_REFUSED, "out of memory");
	if (cached ? history_files_read_cached(dir, ret, err) : history_files_read(dir, ret, err))
		return EXIT_REFUSED;
	*ret_dir = take_pointer(copy);
	return EXIT_DONE;
}

bool history_end_text(const struct history_files *f, char *text, size_t size)
{
	uint64_t last = f->index.number;

	if (f->end == END_MISSING && f->head.line > last + 1)
		snprintf(text, size, "lines %" PRIu64 " to %" PRIu64 " are missing at the end", last + 1, f->head.line);
	else if (f->end == END_MISSING)
		snprintf(text, size, "line %" PRIu64 " is missing at the end", f->head.line);
	else if (f->end == END_OTHER)
		snprintf(text, size, "it lacks the line whose checksum is in " HISTORY_HEAD_FILE);
	else if (f->end == END_BAD_HEAD)
		snprintf(text, size, HISTORY_HEAD_FILE " is damaged");
	else
		return false;
	return true;
}

void history_warn(const struct history_files *f)
{
	const struct history_index *x = &f->index;
	char text[128];

	for (size_t i = 0; i < x->n_damages && i < MAX_WARNINGS; i++)
		fprintf(stderr, "detnatctl: warning: the history is damaged: line %" PRIu64 " %s\n", x->damages[i].line,
			x->damages[i].text);
	if (x->n_damages > MAX_WARNINGS)
		fprintf(stderr, "detnatctl: warning: and %zu more; detnatctl history verify lists them all\n",
			x->n_damages - MAX_WARNINGS);
	if (history_end_text(f, text, sizeof(text)))
		fprintf(stderr, "detnatctl: warning: the history is damaged: %s\n", text);
}

static void describe_confirmation(const struct history_record *r, char *text, size_t size)
{
	char time[TIME_TEXT];

	if (r->first == r->last)
		snprintf(text, size, "line %" PRIu64 " was in force by %s", r->first, time_format(r->until, time));
	else
		snprintf(text, size, "lines %" PRIu64 " to %" PRIu64 " were in force by %s", r->first, r->last,
			 time_format(r->until, time));
}

static void describe(const struct history_record *r, char *text, size_t size)
{
	char time[TIME_TEXT], after[TIME_TEXT], addr[ADDR_TEXT];

	text[0] = '\0';
	switch (r->event) {
	case EVENT_START:
		if (r->since == TIME_NONE)
			snprintf(text, size, "on %s, %zu mapping%s", r->host, r->n_mappings,
				 r->n_mappings == 1 ? "" : "s");
		else
			snprintf(text, size, "on %s, %zu mapping%s; no record since %s", r->host, r->n_mappings,
				 r->n_mappings == 1 ? "" : "s", time_format(r->since, time));
		break;
	case EVENT_DAILY:
		snprintf(text, size, "%zu mapping%s", r->n_mappings, r->n_mappings == 1 ? "" : "s");
		break;
	case EVENT_PORTMAP:
		if (r->ends)
			snprintf(text, size, "%s, since %s", word_text(proto_words, r->portmap.proto),
				 time_format(r->portmap.from, time));
		else
			snprintf(text, size, "%s", word_text(proto_words, r->portmap.proto));
		break;
	case EVENT_RETIRE:
	case EVENT_DRAINED:
		if (!history_drain_whole(&r->drain))
			snprintf(text, size, "of %s", prefix_text(r->drain.in, addr));
		break;
	case EVENT_ADD:
		snprintf(text, size, "%s", r->mapping.name);
		break;
	case EVENT_DEL:
		snprintf(text, size, "%s%ssince %s", r->mapping.name, *r->mapping.name ? ", " : "",
			 time_format(r->mapping.from, time));
		break;
	case EVENT_UNDO:
		if (r->first == r->last)
			snprintf(text, size, "line %" PRIu64 " did not take place", r->first);
		else
			snprintf(text, size, "lines %" PRIu64 " to %" PRIu64 " did not take place", r->first, r->last);
		break;
	case EVENT_CONFIRM:
		describe_confirmation(r, text, size);
		break;
	case EVENT_CLOCK:
		snprintf(text, size, "set from %s to %s", time_format(r->since, time), time_format(r->after, after));
		break;
	default:
		break;
	}
}

/* The widths of columns, at least those of their titles. */
struct widths {
	int event, in, out;
};

#define ROW "%6" PRIu64 "  %-20s  %-*s  %-*s  %-*s  %s"

/* Beginning and end of a portmap are one event. */
static const char *event_text(const struct history_record *r)
{
	return r->event == EVENT_PORTMAP && r->ends ? "portmap-end" : history_event_word(r->event);
}

static void ranges_text(const struct history_record *r, char in[static SPAN_TEXT], char out[static SPAN_TEXT])
{
	snprintf(in, SPAN_TEXT, "-");
	snprintf(out, SPAN_TEXT, "-");
	if (r->event == EVENT_ADD || r->event == EVENT_DEL) {
		prefix_text(r->mapping.in, in);
		prefix_text(r->mapping.out, out);
	}
	if (r->event == EVENT_RETIRE || r->event == EVENT_DRAINED) {
		prefix_text(r->drain.of, in);
		prefix_text(r->drain.out, out);
	}
	if (r->event == EVENT_PORTMAP) {
		span_format(r->portmap.in, in);
		span_format(r->portmap.out, out);
	}
}

static void widen(int *width, const char *text)
{
	int n = (int)strlen(text);

	*width = n > *width ? n : *width;
}

/* The widths needed for the records. */
static struct widths widths_of(const struct history_files *f)
{
	struct widths widths = { 6, 18, 18 };
	const char *at = f->text, *newline;

	while ((newline = memchr(at, '\n', f->size - (size_t)(at - f->text)))) {
		struct history_record r = { 0 };
		char in[SPAN_TEXT], out[SPAN_TEXT];
		struct error ignored;

		if (!history_record_read(at, (size_t)(newline - at), &r, &ignored)) {
			ranges_text(&r, in, out);
			widen(&widths.event, event_text(&r));
			widen(&widths.in, in);
			widen(&widths.out, out);
		}
		history_record_free(&r);
		at = newline + 1;
	}
	return widths;
}

static void list_record(struct writer *w, const struct widths *width, const struct history_record *r)
{
	char time[TIME_TEXT], in[SPAN_TEXT], out[SPAN_TEXT], text[160];

	ranges_text(r, in, out);
	describe(r, text, sizeof(text));
	writer_line(w, ROW, r->line, time_format(r->time, time), width->event, event_text(r), width->in, in, width->out,
		    out, text);
}

/* Prints one line of the file; `place` is its line number there. */
static void list_line(struct writer *w, const struct widths *width, const char *line, size_t size, uint64_t place)
{
	struct history_record r = { 0 };
	struct error err = { 0 };
	_cleanup_free_ char *text = NULL;
	int read = history_record_read(line, size, &r, &err);

	if (w->json && read)
		text = asprintf(&text, "{\"line\":%" PRIu64 ",\"event\":null}", place) < 0 ? NULL : text;
	else if (w->json)
		text = strndup(line, size);
	if (text)
		writer_stream_row(w, NULL, text, NULL);
	else if (read)
		writer_line(w, ROW, place, "-", width->event, "-", width->in, "-", width->out, "-", err.text);
	else
		list_record(w, width, &r);
	history_record_free(&r);
}

static int list_run(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	_cleanup_free_ char *dir = NULL;
	struct history_files f;
	int status = history_read_named(socket, args, false, &f, &dir, err);
	const char *at, *newline;
	struct widths width = { 0 };
	uint64_t place = 0;

	if (status)
		return status;
	if (!w->json)
		width = widths_of(&f);
	if (w->json)
		writer_stream_begin(w, NULL);
	else
		writer_line(w, "%6s  %-20s  %-*s  %-*s  %-*s  %s", "LINE", "TIME", width.event, "EVENT", width.in,
			    "INSIDE", width.out, "OUTSIDE", "");
	for (at = f.text; !w->failed && (newline = memchr(at, '\n', f.size - (size_t)(at - f.text))); at = newline + 1)
		list_line(w, &width, at, (size_t)(newline - at), ++place);
	if (w->json)
		writer_stream_end(w, "");
	history_warn(&f);
	history_files_free(&f);
	return EXIT_DONE;
}

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
	struct chain_state state;
	cJSON *faults; /* array of objects */
};

static void chain_fault(void *arg, const char *file, uint64_t line, const char *text)
{
	struct chain_check *c = arg;
	cJSON *item = cJSON_CreateObject();

	cJSON_AddStringToObject(item, "file", file);
	if (line)
		cJSON_AddNumberToObject(item, "line", (double)line);
	else
		cJSON_AddNullToObject(item, "line");
	cJSON_AddStringToObject(item, "text", text);
	cJSON_AddItemToArray(c->faults, item);
}

static bool chain_there(const struct chain_check *c)
{
	return c->state.ledger || c->state.files || c->state.wrong;
}

static void chain_json(cJSON *json, const struct chain_check *c)
{
	cJSON *chain = chain_there(c) ? cJSON_AddObjectToObject(json, "leases") : NULL;

	if (!chain)
		return;
	cJSON_AddNumberToObject(chain, "files", (double)c->state.files);
	cJSON_AddNumberToObject(chain, "lines", (double)c->state.lines);
	cJSON_AddNumberToObject(chain, "ledger", (double)c->state.ledger);
	cJSON_AddStringToObject(chain, "hash", c->state.hash);
	cJSON_AddItemToObject(chain, "damage", cJSON_Duplicate(c->faults, true));
}

static void chain_text(struct writer *w, const struct chain_check *c)
{
	const cJSON *item;

	if (!chain_there(c))
		return;
	cJSON_ArrayForEach (item, c->faults)
		if (cJSON_IsNumber(json_get(item, "line")))
			writer_line(w, "%s: line %.0f %s", json_text(item, "file", ""), json_number(item, "line"),
				    json_text(item, "text", ""));
		else
			writer_line(w, "%s %s", json_text(item, "file", ""), json_text(item, "text", ""));
	writer_line(w,
		    "%" PRIu64 " lines of leases and queries in %" PRIu64 " files; their ledger has %" PRIu64
		    " lines, the last of checksum %s",
		    c->state.lines, c->state.files, c->state.ledger, c->state.hash);
}

static void add_claims(cJSON *json, const struct history_claims *c)
{
	cJSON *claims = cJSON_AddObjectToObject(json, "claims");

	cJSON_AddNumberToObject(claims, "lines", (double)c->lines);
	cJSON_AddStringToObject(claims, "hash", c->hash);
	cJSON_AddNumberToObject(claims, "damaged", (double)c->damaged);
}

static void verify_json(struct writer *w, const struct history_files *f, const struct history_claims *claims,
			const struct chain_check *chain)
{
	const struct history_index *x = &f->index;
	cJSON *json = cJSON_CreateObject();
	cJSON *damage;
	char *text;

	cJSON_AddNumberToObject(json, "lines", (double)x->lines);
	add_time(json, "first", x->first_time);
	add_time(json, "last", x->last_time);
	add_time(json, "known_until", history_files_known_until(f));
	cJSON_AddStringToObject(json, "hash", x->hash);
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
	chain_json(json, chain);
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
}

static void verify_claims(struct writer *w, const struct history_claims *c)
{
	if (c->damaged)
		writer_line(w, CLAIMS_FILE ": line %" PRIu64 " %s; lines that are not used: %" PRIu64, c->first_damage,
			    c->damage, c->damaged);
	if (c->lines)
		writer_line(w, CLAIMS_FILE ": %" PRIu64 " lines, the last of checksum %s", c->lines, c->hash);
}

static int verify_run(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	_cleanup_free_ char *dir = NULL;
	struct history_files f;
	_cleanup_claims_ struct history_claims claims = { 0 };
	int status = history_read_named(socket, args, false, &f, &dir, err);
	struct chain_check chain = { 0 };
	char text[128];

	if (status)
		return status;
	if (history_claims_read(dir, &claims, err)) {
		history_files_free(&f);
		return EXIT_REFUSED;
	}
	chain.faults = cJSON_CreateArray();
	status = chain_verify(dir, chain_fault, &chain, &chain.state, err) ? EXIT_REFUSED : EXIT_DONE;
	if (w->json && !status)
		verify_json(w, &f, &claims, &chain);
	else if (!status)
		verify_text(w, &f);
	if (!w->json && !status) {
		verify_claims(w, &claims);
		chain_text(w, &chain);
	}
	if (!status && chain.state.wrong)
		status = error_set(err, EXIT_REFUSED, "the leases or queries are damaged");
	if (!status && claims.damaged)
		status = error_set(err, EXIT_REFUSED, CLAIMS_FILE " is damaged");
	if (f.index.n_damages || f.torn || history_end_text(&f, text, sizeof(text)))
		status = error_set(err, EXIT_REFUSED, "the history is damaged");
	history_files_free(&f);
	cJSON_Delete(chain.faults);
	return status;
}

const struct view view_history_list = { .run = list_run };
const struct view view_history_verify = { .run = verify_run };
