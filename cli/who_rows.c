// SPDX-License-Identifier: BSD-2-Clause
/* Rows of answers: one question each. */
#include "who_rows.h"

#include <inttypes.h>
#include <string.h>

#include "base/duration.h"
#include "base/text.h"
#include "base/virtual6.h"
#include "proto/words.h"

/* Reads "TIME ADDR:PORT", where the time may contain a space. *ret_portless: it has an address alone. */
static bool read_question(char *text, size_t size, struct who_question *ret, bool *ret_portless)
{
	uint32_t addr;
	char *blank;

	while (size && strchr("\n\r\t ", text[size - 1]) && text[size - 1])
		text[--size] = '\0';
	blank = strrchr(text, ' ');
	for (char *tab = strrchr(text, '\t'); tab > blank;)
		blank = tab;
	*ret_portless = strlen(text) == size && blank && !addr_parse(blank + 1, &addr);
	if (strlen(text) != size || !blank || endpoint_parse(blank + 1, &ret->out))
		return false;
	while (blank > text && (blank[-1] == ' ' || blank[-1] == '\t'))
		blank--;
	*blank = '\0';
	text += strspn(text, " \t");
	return !time_parse_typed(text, time(NULL), &ret->t);
}

static void row_json(FILE *out, const struct who_question *q, const struct who_reply *r,
		     const struct who_source *source)
{
	int64_t known_until = who_reply_known_until(r, source, q->t);
	char addr[INSIDE_TEXT], when[TIME_TEXT];

	fprintf(out, "{\"line\":%" PRIu64 ",\"time\":\"%s\",\"out_addr\":\"%s\",\"out_port\":%u,", q->line,
		time_format(q->t, when), addr_format(q->out.addr, addr), q->out.port);
	who_print_reply(out, r);
	if (!who_reply_named(r)) {
		fputs(",\"error\":", out);
		text_json_string(out, r->why.text);
	} else if (known_until != TIME_NONE) {
		fprintf(out, ",\"known_until\":\"%s\"", time_format(known_until, when));
	}
	customer_print(out, &source->customers, &r->customer);
	who_print_source(out, source);
	fprintf(out, "%s}", q->fields ? q->fields : "");
}

/* In parentheses: the granted block, the portmaps, and other possible holders. The caller frees it; NULL: out of
 * memory. */
static char *row_notes(enum who_result result, const struct who_answer *a)
{
	char addr[WHO_SUBSCRIBER_TEXT], *text = NULL;
	size_t size;
	FILE *memory = open_memstream(&text, &size);

	if (!memory)
		return NULL;
	if (result == WHO_FOUND && a->best.ports)
		fprintf(memory, " (grant of ports %u to %u)", a->best.port_lo, a->best.port_lo + a->best.ports - 1U);
	for (unsigned i = 0; i < a->n_portmaps; i++)
		fprintf(memory, "%s%s to %s:%u%s", i ? ", " : " (portmap ",
			word_text(proto_words, a->portmap[i].portmap.proto),
			addr_format(a->portmap[i].portmap.in.addr, addr), a->portmap[i].portmap.in.first,
			i + 1 == a->n_portmaps ? ")" : "");
	for (size_t i = 0, n = 0; a->other && i < a->n_holders; i++)
		if (result != WHO_FOUND || !who_same_subscriber(&a->holders[i], &a->best) || a->holders[i].also)
			fprintf(memory, "%s%s", n++ ? ", " : " (also ", who_subscriber(&a->holders[i], addr));
	fputs(a->other ? ")" : "", memory);
	fclose(memory);
	return text;
}

static void row_text(struct writer *w, const struct who_question *q, const struct who_reply *r,
		     const struct who_source *source, const char *customer)
{
	const struct who_holder *h = &r->answer.best;
	int64_t known_until = who_reply_known_until(r, source, q->t);
	char endpoint[INSIDE_TEXT + 8], addr[INSIDE_TEXT], subscriber[WHO_SUBSCRIBER_TEXT], when[TIME_TEXT],
		in[INSIDE_TEXT], out[INSIDE_TEXT];
	char from[TIME_TEXT], to[TIME_TEXT], until[TIME_TEXT];
	_cleanup_free_ char *notes = row_notes(r->result, &r->answer);

	if (!notes)
		return;
	snprintf(endpoint, sizeof(endpoint), "%s:%u", addr_format(q->out.addr, addr), q->out.port);
	time_format(q->t, when);
	if (who_reply_claimed(r)) {
		who_claimed_row(w, when, endpoint, r->claimed, customer);
		return;
	}

	bool found = r->result == WHO_FOUND;
	const struct cell cells[] =
		WHO_CELLS(when, endpoint, found ? who_subscriber(h, subscriber) : "-",
			  found ? time_format(h->from, from) : "", found ? time_or(h->to, "still", to) : "");

	if (!found)
		writer_row(w, cells, WHO_UNANSWERED, "%s: %s%s",
			   r->result == WHO_NOBODY ? "no subscriber" : "no record", r->why.text, notes);
	else
		writer_row(w, cells, WHO_N_CELLS, "%s to %s%s%s%s%s%s%s", inside_prefix_text(h->in, in),
			   prefix_text(h->out, out), *h->name ? ", " : "", h->name, notes,
			   known_until == TIME_NONE ? "" : "; known until ",
			   known_until == TIME_NONE ? "" : time_format(known_until, until), customer);
}

static void write_row(struct writer *w, const struct who_question *q, struct who_reply *r,
		      const struct who_source *source)
{
	_cleanup_free_ char *row = NULL;
	size_t room;
	FILE *memory = w->json ? open_memstream(&row, &room) : NULL;

	if (!w->json) {
		_cleanup_free_ char *customer = customer_row(&source->customers, &r->customer);

		row_text(w, q, r, source, customer ? customer : "; out of memory");
		return;
	}
	if (!memory)
		return;
	if (r->result != WHO_FOUND)
		who_add_other(&r->answer, &r->why);
	row_json(memory, q, r, source);
	if (!fclose(memory))
		writer_stream_row(w, NULL, row, NULL);
}

int who_row(struct who_source *source, const struct who_question *q, struct writer *w, struct verdict *v)
{
	struct who_reply r;

	who_reply_ask(source, q->out, q->t, &r);
	who_reply_customer(source, q->out, q->t, &r);
	looks_add(source->looks, q->out, q->t);
	if (v)
		verdict_take(v, q->line, q->t, &r, source);
	write_row(w, q, &r, source);
	if (!who_reply_named(&r) || (source->customers.days && customer_reason(&r.customer)))
		return EXIT_REFUSED;
	return EXIT_DONE;
}

void who_row_question(const struct who_question *q, struct writer *w)
{
	char addr[INSIDE_TEXT], when[TIME_TEXT], endpoint[INSIDE_TEXT + 8];
	_cleanup_free_ char *json = NULL;

	addr_format(q->out.addr, addr);
	time_format(q->t, when);
	if (!w->json)
		snprintf(endpoint, sizeof(endpoint), "%s:%u", addr, q->out.port);
	if (!w->json)
		writer_row(w, (const struct cell[])WHO_CELLS(when, endpoint, "-", "", ""), WHO_UNANSWERED,
			   "line %" PRIu64, q->line);
	else if (asprintf(&json, "{\"line\":%" PRIu64 ",\"time\":\"%s\",\"out_addr\":\"%s\",\"out_port\":%u%s}",
			  q->line, when, addr, q->out.port, q->fields ? q->fields : "") >= 0)
		writer_stream_row(w, NULL, json, NULL);
}

void who_row_malformed(struct writer *w, const struct who_question *q, const char *code, const char *text)
{
	_cleanup_free_ char *json = NULL;
	size_t size;
	FILE *out = w->json ? open_memstream(&json, &size) : NULL;

	if (!w->json)
		writer_row(w, (const struct cell[])WHO_CELLS("-", "-", "-", "", ""), WHO_UNANSWERED,
			   "line %" PRIu64 " %s", q->line, text);
	if (!out)
		return;
	fprintf(out,
		"{\"line\":%" PRIu64 ",\"in_addr\":null,\"reason\":\"malformed\",\"code\":\"%s\",\"error\":", q->line,
		code);
	text_json_string(out, text);
	fprintf(out, "%s}", q->fields ? q->fields : "");
	if (!fclose(out))
		writer_stream_row(w, NULL, json, NULL);
}

int who_row_of_line(struct who_source *source, char *text, size_t size, uint64_t line, struct writer *w,
		    struct verdict *v)
{
	struct who_question q = { .line = line };
	bool portless;

	if (read_question(text, size, &q, &portless))
		return who_row(source, &q, w, v);
	if (portless)
		who_row_malformed(w, &q, "no-port", "has no port: who ADDR --at TIME lists who may have had it");
	else
		who_row_malformed(w, &q, "form", "is no TIME ADDR:PORT");
	return EXIT_USAGE;
}

void who_rows_begin(struct writer *w)
{
	if (w->json)
		writer_stream_begin(w, NULL);
	else
		writer_row(w, (const struct cell[])WHO_CELLS("TIME", "OUTSIDE", "INSIDE", "FROM", "TO"), WHO_N_CELLS,
			   "MAPPING");
}

void who_rows_end(struct writer *w)
{
	if (w->json)
		writer_stream_end(w, "");
}
