// SPDX-License-Identifier: BSD-2-Clause
/* who: which subscriber held an outside address and port at a time. One question, or a list on standard input. */
#include <inttypes.h>
#include <string.h>

#include "base/duration.h"
#include "base/json_scan.h"
#include "history_files.h"
#include "json_get.h"
#include "history/history_who.h"
#include "proto/words.h"
#include "who_claims.h"

/* Rows written between two checks whether the output is still read. */
#define ROWS_A_LOOK 1024U

static const char *time_or_null(int64_t t, char text[static TIME_TEXT + 2])
{
	char plain[TIME_TEXT];

	if (t == TIME_OPEN)
		return "null";
	snprintf(text, TIME_TEXT + 2, "\"%s\"", time_format(t, plain));
	return text;
}

/* A running agent confirms the history's continuation at shorter intervals. */
#define CURRENT_S 120

/* "in_addr":…,"mapping":…,"from":…,"to":… */
static void print_holder(FILE *out, const struct who_holder *h)
{
	char addr[ADDR_TEXT], in[ADDR_TEXT], pool[ADDR_TEXT], from[TIME_TEXT + 2], to[TIME_TEXT + 2];

	fprintf(out, "\"in_addr\":\"%s\",\"mapping\":{\"in\":\"%s\",\"out\":\"%s\"", addr_format(h->in_addr, addr),
		prefix_format(h->in.base, h->in.plen, in), prefix_format(h->out.base, h->out.plen, pool));
	if (*h->name)
		fprintf(out, ",\"name\":\"%s\"", h->name);
	fprintf(out, "},\"from\":%s,\"to\":%s", time_or_null(h->from, from), time_or_null(h->to, to));
}

/* "portmap":{...}, and if UDP leads elsewhere than TCP "portmap_udp":{...} */
static void print_portmaps(FILE *out, const struct who_answer *a)
{
	for (unsigned i = 0; i < a->n_portmaps; i++) {
		const struct portmap_interval *v = &a->portmap[i];
		char in[ADDR_TEXT], from[TIME_TEXT + 2], to[TIME_TEXT + 2];

		fprintf(out, ",\"portmap%s\":{\"proto\":\"%s\",\"in\":\"%s:%u\",\"from\":%s,\"to\":%s}",
			i ? "_udp" : "", word_text(proto_words, v->proto), addr_format(v->in.addr, in), v->in.port,
			time_or_null(v->from, from), time_or_null(v->to, to));
	}
}

/* "also":{...},"holders":[...], preceded by a comma, if there is more than the answer. */
static void print_others(FILE *out, const struct who_answer *a)
{
	if (a->other) {
		fputs(",\"also\":{", out);
		print_holder(out, a->other);
		fputc('}', out);
	}
	if (!a->other && a->n_holders < 2)
		return;
	fputs(",\"holders\":[", out);
	for (size_t i = 0; i < a->n_holders; i++) {
		fputs(i ? ",{" : "{", out);
		print_holder(out, &a->holders[i]);
		fputc('}', out);
	}
	fputc(']', out);
}

static void print_answer(FILE *out, const struct who_answer *a)
{
	print_holder(out, &a->best);
	print_portmaps(out, a);
	print_others(out, a);
}

static const char *time_or(int64_t t, const char *open, char text[static TIME_TEXT])
{
	return t == TIME_OPEN ? open : time_format(t, text);
}

/* The history that was read. */
struct source {
	struct who *who;
	const struct history_index *index;
	struct history_claims *claims;
	const char *dir;
	int64_t until; /* known until then; TIME_NONE: empty */
};

/* ,"state_dir":…,"read_until":… */
static void print_source(FILE *out, const struct source *s)
{
	_cleanup_json_ cJSON *dir = cJSON_CreateString(s->dir);
	char *quoted = dir ? cJSON_PrintUnformatted(dir) : NULL;
	char until[TIME_TEXT + 2];

	fprintf(out, ",\"state_dir\":%s,\"read_until\":%s", quoted ? quoted : "null",
		s->until == TIME_NONE ? "null" : time_or_null(s->until, until));
	cJSON_free(quoted);
}

static const char *reason(enum who_result result)
{
	return result == WHO_NOBODY ? "no-subscriber" : "no-record";
}

/* An answer by a claim, with those who may have had it by the history. */
static void show_claimed_json(struct writer *w, const struct who_claimed *c, const struct who_answer *a,
			      const struct source *source)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *memory = open_memstream(&text, &size);

	if (!memory)
		return;
	fputc('{', memory);
	if (!c->answer.held)
		fprintf(memory, "\"in_addr\":null,\"reason\":\"%s\",", reason(WHO_NOBODY));
	who_claimed_json(memory, c);
	print_others(memory, a);
	print_source(memory, source);
	fputc('}', memory);
	if (!fclose(memory))
		writer_json(w, text, size);
}

/* known_until: TIME_NONE if it need not be shown. */
static void show_json(struct writer *w, enum who_result result, const struct who_answer *a, int64_t known_until,
		      const struct source *source)
{
	_cleanup_free_ char *text = NULL;
	char until[TIME_TEXT + 2];
	size_t size;
	FILE *memory = open_memstream(&text, &size);

	if (!memory)
		return;
	fputc('{', memory);
	if (result == WHO_FOUND)
		print_answer(memory, a);
	else
		fprintf(memory, "\"in_addr\":null,\"reason\":\"%s\"", reason(result));
	if (result != WHO_FOUND)
		print_others(memory, a);
	if (known_until != TIME_NONE)
		fprintf(memory, ",\"known_until\":%s", time_or_null(known_until, until));
	print_source(memory, source);
	fputc('}', memory);
	if (!fclose(memory))
		writer_json(w, text, size);
}

static void show_others(struct writer *w, const struct who_answer *a, bool found)
{
	char addr[ADDR_TEXT], in[ADDR_TEXT], out[ADDR_TEXT], from[TIME_TEXT], to[TIME_TEXT];

	for (size_t i = 0; a->other && i < a->n_holders; i++) {
		const struct who_holder *h = &a->holders[i];

		if (found && h->in_addr == a->best.in_addr && !h->also)
			continue;
		writer_line(w,
			    "But also:       %s, %s to %s, from %s to %s: in the same second, before a change was "
			    "confirmed, or before the clock was set",
			    addr_format(h->in_addr, addr), prefix_format(h->in.base, h->in.plen, in),
			    prefix_format(h->out.base, h->out.plen, out), time_format(h->from, from),
			    time_or(h->to, "now", to));
	}
}

static void show_text(struct writer *w, const struct who_answer *a, int64_t known_until, const struct source *source)
{
	const struct who_holder *h = &a->best;
	char addr[ADDR_TEXT], in[ADDR_TEXT], out[ADDR_TEXT], from[TIME_TEXT], to[TIME_TEXT];

	writer_line(w, "Inside address: %s", addr_format(h->in_addr, addr));
	writer_line(w, "Mapping:        %s to %s%s%s", prefix_format(h->in.base, h->in.plen, in),
		    prefix_format(h->out.base, h->out.plen, out), *h->name ? ", " : "", h->name);
	writer_line(w, "From:           %s", time_format(h->from, from));
	writer_line(w, "To:             %s", time_or(h->to, "still", to));
	for (unsigned i = 0; i < a->n_portmaps; i++)
		writer_line(w, "Portmap:        %s to %s:%u", word_text(proto_words, a->portmap[i].proto),
			    addr_format(a->portmap[i].in.addr, addr), a->portmap[i].in.port);
	if (known_until != TIME_NONE)
		writer_line(w, "Known until:    %s", time_format(known_until, to));
	show_others(w, a, true);
	writer_line(w, "History:        %s, read until %s", source->dir, time_format(source->until, to));
}

static void show_claimed(struct writer *w, const struct who_claimed *c, const struct who_answer *a,
			 const struct source *source)
{
	char time[TIME_TEXT];

	who_claimed_show(w, c);
	show_others(w, a, false);
	writer_line(w, "History:        %s, %s%s", source->dir, source->until == TIME_NONE ? "empty" : "read until ",
		    source->until == TIME_NONE ? "" : time_format(source->until, time));
}

/* If no subscriber held it at the end of that second, adds one that may have held it in the second. */
static void add_other(const struct who_answer *a, struct error *why)
{
	size_t n = strlen(why->text);
	char addr[ADDR_TEXT], from[TIME_TEXT], to[TIME_TEXT];

	if (a->other)
		snprintf(why->text + n, sizeof(why->text) - n, "; but also %s may have held it then, from %s to %s",
			 addr_format(a->other->in_addr, addr), time_format(a->other->from, from),
			 time_or(a->other->to, "now", to));
}

static int ask_one(const struct source *source, const char *endpoint_text, int64_t t, struct writer *w,
		   struct error *err)
{
	struct endpoint out = { 0 };
	struct who_answer a;
	struct error why = { 0 };
	char when[TIME_TEXT];
	enum who_result result;
	int64_t known_until = source->until;
	struct who_claimed room;
	const struct who_claimed *claimed;

	endpoint_parse(endpoint_text, &out);
	result = who_ask(source->who, out, t, &a, &why);
	claimed = who_claims_ask(source->claims, source->index, out, t, &result, &room, &why);
	if (claimed && w->json)
		show_claimed_json(w, claimed, &a, source);
	else if (claimed && claimed->answer.held)
		show_claimed(w, claimed, &a, source);
	if (claimed && claimed->answer.held)
		return EXIT_DONE;
	if (result != WHO_FOUND || a.best.to != TIME_OPEN || t - CURRENT_S <= known_until)
		known_until = TIME_NONE;
	if (w->json && !claimed && (result == WHO_FOUND || a.other))
		show_json(w, result, &a, known_until, source);
	else if (result == WHO_FOUND)
		show_text(w, &a, known_until, source);
	else if (!w->json)
		show_others(w, &a, false);
	if (result == WHO_FOUND)
		return EXIT_DONE;
	add_other(&a, &why);
	return error_set(err, EXIT_REFUSED, "%s %s at %s: %.400s",
			 result == WHO_NOBODY ? "no subscriber held" : "no record of", endpoint_text,
			 time_format(t, when), why.text);
}

struct question {
	uint64_t line; /* line number in the input */
	int64_t t;
	struct endpoint out;
};

/* Reads "TIME ADDR:PORT", where the time may contain a space. */
static bool read_question(char *text, size_t size, struct question *ret)
{
	char *blank;

	while (size && strchr("\n\r\t ", text[size - 1]) && text[size - 1])
		text[--size] = '\0';
	blank = strrchr(text, ' ');
	for (char *tab = strrchr(text, '\t'); tab > blank;)
		blank = tab;
	if (strlen(text) != size || !blank || endpoint_parse(blank + 1, &ret->out))
		return false;
	while (blank > text && (blank[-1] == ' ' || blank[-1] == '\t'))
		blank--;
	*blank = '\0';
	text += strspn(text, " \t");
	return !time_parse_typed(text, time(NULL), &ret->t);
}

static void row_json(FILE *out, const struct question *q, enum who_result result, const struct who_answer *a,
		     const struct who_claimed *claimed, const struct error *why, const struct source *source)
{
	char addr[ADDR_TEXT], when[TIME_TEXT];

	fprintf(out, "{\"line\":%" PRIu64 ",\"time\":\"%s\",\"out_addr\":\"%s\",\"out_port\":%u,", q->line,
		time_format(q->t, when), addr_format(q->out.addr, addr), q->out.port);
	if (result == WHO_FOUND)
		print_answer(out, a);
	else if (!claimed || !claimed->answer.held)
		fprintf(out, "\"in_addr\":null,\"reason\":\"%s\",\"error\":\"%s\"%s", reason(result), why->text,
			claimed ? "," : "");
	if (claimed)
		who_claimed_json(out, claimed);
	if (result != WHO_FOUND)
		print_others(out, a);
	print_source(out, source);
	fputc('}', out);
}

#define ROW WHO_ROW

/* In parentheses: the portmaps, and other possible holders. The caller frees it; NULL: out of memory. */
static char *row_notes(enum who_result result, const struct who_answer *a)
{
	char addr[ADDR_TEXT], *text = NULL;
	size_t size;
	FILE *memory = open_memstream(&text, &size);

	if (!memory)
		return NULL;
	for (unsigned i = 0; i < a->n_portmaps; i++)
		fprintf(memory, "%s%s to %s:%u%s", i ? ", " : " (portmap ", word_text(proto_words, a->portmap[i].proto),
			addr_format(a->portmap[i].in.addr, addr), a->portmap[i].in.port,
			i + 1 == a->n_portmaps ? ")" : "");
	for (size_t i = 0, n = 0; a->other && i < a->n_holders; i++)
		if (result != WHO_FOUND || a->holders[i].in_addr != a->best.in_addr || a->holders[i].also)
			fprintf(memory, "%s%s", n++ ? ", " : " (also ", addr_format(a->holders[i].in_addr, addr));
	fputs(a->other ? ")" : "", memory);
	fclose(memory);
	return text;
}

static void row_text(struct writer *w, const struct question *q, enum who_result result, const struct who_answer *a,
		     const struct error *why)
{
	const struct who_holder *h = &a->best;
	char endpoint[ADDR_TEXT + 8], addr[ADDR_TEXT], when[TIME_TEXT], in[ADDR_TEXT], out[ADDR_TEXT];
	char from[TIME_TEXT], to[TIME_TEXT];
	_cleanup_free_ char *notes = row_notes(result, a);

	if (!notes)
		return;
	snprintf(endpoint, sizeof(endpoint), "%s:%u", addr_format(q->out.addr, addr), q->out.port);
	time_format(q->t, when);
	if (result != WHO_FOUND)
		writer_line(w, ROW "%s: %s%s", when, endpoint, "-",
			    result == WHO_NOBODY ? "no subscriber" : "no record", why->text, notes);
	else
		writer_line(w, ROW "%-20s  %-20s  %s to %s%s%s%s", when, endpoint, addr_format(h->in_addr, addr),
			    time_format(h->from, from), time_or(h->to, "still", to),
			    prefix_format(h->in.base, h->in.plen, in), prefix_format(h->out.base, h->out.plen, out),
			    *h->name ? ", " : "", h->name, notes);
}

static void row_claimed(struct writer *w, const struct question *q, const struct who_claimed *c)
{
	char endpoint[ADDR_TEXT + 8], addr[ADDR_TEXT], when[TIME_TEXT];

	snprintf(endpoint, sizeof(endpoint), "%s:%u", addr_format(q->out.addr, addr), q->out.port);
	who_claimed_row(w, time_format(q->t, when), endpoint, c);
}

static void row_malformed(struct writer *w, uint64_t line)
{
	static const char text[] = "is no TIME ADDR:PORT";
	char json[160];

	snprintf(json, sizeof(json),
		 "{\"line\":%" PRIu64 ",\"in_addr\":null,\"reason\":\"malformed\",\"error\":\"%s\"}", line, text);
	if (w->json)
		writer_stream_row(w, NULL, json, NULL);
	else
		writer_line(w, ROW "line %" PRIu64 " %s", "-", "-", "-", line, text);
}

/* Answers one line of input. Returns an exit status. */
static int answer_line(const struct source *source, char *text, size_t size, uint64_t line, struct writer *w)
{
	struct question q = { .line = line };
	struct who_answer a;
	struct error why = { 0 };
	enum who_result result;
	struct who_claimed room_claimed;
	const struct who_claimed *claimed;

	if (!read_question(text, size, &q)) {
		row_malformed(w, line);
		return EXIT_USAGE;
	}
	result = who_ask(source->who, q.out, q.t, &a, &why);
	claimed = who_claims_ask(source->claims, source->index, q.out, q.t, &result, &room_claimed, &why);
	if (w->json) {
		_cleanup_free_ char *row = NULL;
		size_t room;
		FILE *memory = open_memstream(&row, &room);

		if (!memory)
			return EXIT_REFUSED;
		if (result != WHO_FOUND)
			add_other(&a, &why);
		row_json(memory, &q, result, &a, claimed, &why, source);
		if (fclose(memory))
			return EXIT_REFUSED;
		writer_stream_row(w, NULL, row, NULL);
	} else if (claimed && claimed->answer.held) {
		row_claimed(w, &q, claimed);
	} else {
		row_text(w, &q, result, &a, &why);
	}
	return result == WHO_FOUND || (claimed && claimed->answer.held) ? EXIT_DONE : EXIT_REFUSED;
}

static int ask_many(const struct source *source, struct writer *w, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	uint64_t line = 0, malformed = 0, unanswered = 0;
	size_t room = 0;
	ssize_t size;

	if (w->json)
		writer_stream_begin(w, NULL);
	else
		writer_line(w, ROW "%-20s  %-20s  %s", "TIME", "OUTSIDE", "INSIDE", "FROM", "TO", "MAPPING");
	while ((size = getline(&text, &room, stdin)) >= 0) {
		int status;

		line++;
		if (text[strspn(text, " \t\r\n")] == '\0' && strlen(text) == (size_t)size)
			continue;
		status = answer_line(source, text, (size_t)size, line, w);
		malformed += status == EXIT_USAGE;
		unanswered += status == EXIT_REFUSED;
		if (line % ROWS_A_LOOK == 0 && (w->failed || ferror(w->out)))
			break;
	}
	if (w->json)
		writer_stream_end(w, "");
	if (malformed)
		return error_set(err, EXIT_USAGE, "malformed lines: %" PRIu64 "; each must be TIME ADDR:PORT",
				 malformed);
	if (unanswered)
		return error_set(err, EXIT_REFUSED, "questions without an answer: %" PRIu64, unanswered);
	return EXIT_DONE;
}

/* endpoint is NULL if the questions are on standard input. */
static int answer(const struct history_files *f, const char *dir, const char *endpoint, int64_t t, struct writer *w,
		  struct error *err)
{
	_cleanup_claims_ struct history_claims claims = { 0 };
	struct source source = {
		.index = &f->index, .claims = &claims, .dir = dir, .until = history_files_known_until(f)
	};
	int status;

	if (history_claims_read(dir, &claims, err))
		return EXIT_REFUSED;
	if (claims.damaged)
		fprintf(stderr, "detnatctl: warning: " CLAIMS_FILE " is damaged: line %" PRIu64 " %s\n",
			claims.first_damage, claims.damage);

	if (who_new(&f->index, &source.who))
		return error_set(err, EXIT_REFUSED, "out of memory");
	status = endpoint ? ask_one(&source, endpoint, t, w, err) : ask_many(&source, w, err);
	who_free(source.who);
	return status;
}

static int who_run(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	const char *endpoint = json_text(args, "endpoint", NULL);
	const char *at = json_text(args, "at", NULL);
	bool many = !strcmp(endpoint, "-");
	_cleanup_free_ char *dir = NULL;
	struct history_files f;
	int64_t t = time(NULL);
	int status;

	if (many && at)
		return error_set(err, EXIT_USAGE, "who -: each line has a time of its own, so --at is not taken");
	if (at)
		time_parse(at, &t);
	status = history_read_named(socket, args, true, &f, &dir, err);
	if (status)
		return status;
	history_warn(&f);
	status = answer(&f, dir, many ? NULL : endpoint, t, w, err);
	history_files_free(&f);
	return status;
}

const struct view view_who = { .run = who_run };
