// SPDX-License-Identifier: BSD-2-Clause
/* Answers of `who`, as JSON and as text. */
#include "who_view.h"

#include <string.h>

#include "base/text.h"
#include "base/virtual6.h"
#include "proto/words.h"

static const char *time_or_null(int64_t t, char text[static TIME_TEXT + 2])
{
	char plain[TIME_TEXT];

	if (t == TIME_OPEN)
		return "null";
	snprintf(text, TIME_TEXT + 2, "\"%s\"", time_format(t, plain));
	return text;
}

const char *who_subscriber(const struct who_holder *h, char text[static WHO_SUBSCRIBER_TEXT])
{
	char addr[INSIDE_TEXT];

	snprintf(text, WHO_SUBSCRIBER_TEXT, "%s%s%s", inside_text(h->in_addr, addr), *h->tenant ? " of " : "",
		 h->tenant);
	return text;
}

void who_print_holder(FILE *out, const struct who_holder *h)
{
	char addr[INSIDE_TEXT], in[INSIDE_TEXT], pool[INSIDE_TEXT], from[TIME_TEXT + 2], to[TIME_TEXT + 2];

	fprintf(out, "\"%s\":\"%s\"", virtual6_is(h->in_addr) ? "in_prefix" : "in_addr", inside_text(h->in_addr, addr));
	if (*h->tenant)
		fprintf(out, ",\"tenant\":\"%s\"", h->tenant);
	fprintf(out, ",\"mapping\":{\"in\":\"%s\",\"out\":\"%s\"", inside_prefix_text(h->in, in),
		prefix_text(h->out, pool));
	if (*h->name)
		fprintf(out, ",\"name\":\"%s\"", h->name);
	fprintf(out, "},\"from\":%s,\"to\":%s", time_or_null(h->from, from), time_or_null(h->to, to));
	if (h->ports)
		fprintf(out, ",\"grant\":{\"port_lo\":%u,\"port_hi\":%u}", h->port_lo, h->port_lo + h->ports - 1U);
}

void who_print_portmap(FILE *out, const char *key, const struct portmap_interval *v)
{
	char in[INSIDE_TEXT], from[TIME_TEXT + 2], to[TIME_TEXT + 2];

	fprintf(out, ",\"%s\":{\"proto\":\"%s\",\"in\":\"%s:%u\",\"from\":%s,\"to\":%s}", key,
		word_text(proto_words, v->portmap.proto), addr_format(v->portmap.in.addr, in), v->portmap.in.first,
		time_or_null(v->portmap.from, from), time_or_null(v->to, to));
}

/* "portmap":{...}, and if UDP leads elsewhere than TCP "portmap_udp":{...} */
static void print_portmaps(FILE *out, const struct who_answer *a)
{
	for (unsigned i = 0; i < a->n_portmaps; i++)
		who_print_portmap(out, i ? "portmap_udp" : "portmap", &a->portmap[i]);
}

/* "also":{...},"holders":[...], preceded by a comma, if there is more than the answer. */
void who_print_others(FILE *out, const struct who_answer *a)
{
	if (a->other) {
		fputs(",\"also\":{", out);
		who_print_holder(out, a->other);
		fputc('}', out);
	}
	if (!a->other && a->n_holders < 2)
		return;
	fputs(",\"holders\":[", out);
	for (size_t i = 0; i < a->n_holders; i++) {
		fputs(i ? ",{" : "{", out);
		who_print_holder(out, &a->holders[i]);
		fputc('}', out);
	}
	fputc(']', out);
}

void who_print_answer(FILE *out, const struct who_answer *a)
{
	who_print_holder(out, &a->best);
	print_portmaps(out, a);
	who_print_others(out, a);
}

/* ,"state_dir":…,"read_until":… */
void who_print_source(FILE *out, const struct who_source *s)
{
	char until[TIME_TEXT + 2];

	fputs(",\"state_dir\":", out);
	text_json_string(out, s->dir);
	fprintf(out, ",\"read_until\":%s", s->until == TIME_NONE ? "null" : time_or_null(s->until, until));
}

const char *who_reason(enum who_result result)
{
	return result == WHO_NOBODY ? "no-subscriber" : "no-record";
}

static void print_named(FILE *out, const struct who_reply *r)
{
	if (r->result == WHO_FOUND) {
		who_print_answer(out, &r->answer);
		return;
	}
	if (!who_reply_claimed(r))
		fprintf(out, "\"in_addr\":null,\"reason\":\"%s\"%s", who_reason(r->result), r->claimed ? "," : "");
	if (r->claimed)
		who_claimed_json(out, r->claimed);
	who_print_others(out, &r->answer);
}

void who_print_reply(FILE *out, const struct who_reply *r)
{
	print_named(out, r);
	if (r->clock.is == CLOCK_NOT_READ)
		fputs(",\"clock\":null", out);
	clock_state_write(out, r->clock);
}

/* How right the machine's clock was that recorded the times of an answer. */
static void show_clock(struct writer *w, struct clock_state s)
{
	if (s.is == CLOCK_SYNCHRONISED)
		writer_line(w, "Clock:          synchronised within %u ms", s.error_ms);
	else
		writer_line(w, "Clock:          not known to have been right: %s",
			    s.is == CLOCK_NOT_READ ? "nothing is recorded of it" : "it was not synchronised");
}

void who_show_json(struct writer *w, const struct who_reply *r, int64_t known_until, const struct who_source *source)
{
	_cleanup_free_ char *text = NULL;
	char until[TIME_TEXT + 2];
	size_t size;
	FILE *memory = open_memstream(&text, &size);

	if (!memory)
		return;
	fputc('{', memory);
	who_print_reply(memory, r);
	if (known_until != TIME_NONE)
		fprintf(memory, ",\"known_until\":%s", time_or_null(known_until, until));
	customer_print(memory, &source->customers, &r->customer);
	who_print_source(memory, source);
	fputc('}', memory);
	if (!fclose(memory))
		writer_json(w, text, size);
}

void who_show_others(struct writer *w, const struct who_answer *a, bool found)
{
	char addr[WHO_SUBSCRIBER_TEXT], in[INSIDE_TEXT], out[INSIDE_TEXT], from[TIME_TEXT], to[TIME_TEXT];

	for (size_t i = 0; a->other && i < a->n_holders; i++) {
		const struct who_holder *h = &a->holders[i];

		if (found && who_same_subscriber(h, &a->best) && !h->also)
			continue;
		writer_line(w,
			    "But also:       %s, %s to %s, from %s to %s: in the same second, before a change was "
			    "confirmed, or before the clock was set",
			    who_subscriber(h, addr), inside_prefix_text(h->in, in), prefix_text(h->out, out),
			    time_format(h->from, from), time_or(h->to, "now", to));
	}
}

void who_show_text(struct writer *w, const struct who_reply *r, int64_t known_until, const struct who_source *source)
{
	_cleanup_free_ char *dir = text_word(source->dir);
	const struct who_answer *a = &r->answer;
	const struct who_holder *h = &a->best;
	char addr[WHO_SUBSCRIBER_TEXT], in[INSIDE_TEXT], out[INSIDE_TEXT], from[TIME_TEXT], to[TIME_TEXT];

	writer_line(w, "Inside address: %s", who_subscriber(h, addr));
	writer_line(w, "Mapping:        %s to %s%s%s", inside_prefix_text(h->in, in), prefix_text(h->out, out),
		    *h->name ? ", " : "", h->name);
	writer_line(w, "From:           %s", time_format(h->from, from));
	writer_line(w, "To:             %s", time_or(h->to, "still", to));
	if (h->ports)
		writer_line(w, "Grant:          ports %u to %u", h->port_lo, h->port_lo + h->ports - 1U);
	for (unsigned i = 0; i < a->n_portmaps; i++)
		writer_line(w, "Portmap:        %s to %s:%u", word_text(proto_words, a->portmap[i].portmap.proto),
			    addr_format(a->portmap[i].portmap.in.addr, addr), a->portmap[i].portmap.in.first);
	if (known_until != TIME_NONE)
		writer_line(w, "Known until:    %s", time_format(known_until, to));
	who_show_others(w, a, true);
	show_clock(w, r->clock);
	customer_show(w, &source->customers, &r->customer, h->in_addr);
	writer_line(w, "History:        %s, read until %s", dir ? dir : "", time_format(source->until, to));
}

/* If no subscriber held it at the end of that second, adds one that may have held it in the second. */
void who_add_other(const struct who_answer *a, struct error *why)
{
	size_t n = strlen(why->text);
	char addr[WHO_SUBSCRIBER_TEXT], from[TIME_TEXT], to[TIME_TEXT];

	if (a->other)
		snprintf(why->text + n, sizeof(why->text) - n, "; but also %s may have held it then, from %s to %s",
			 who_subscriber(a->other, addr), time_format(a->other->from, from),
			 time_or(a->other->to, "now", to));
}

void who_show_claimed(struct writer *w, const struct who_reply *r, const struct who_source *source)
{
	_cleanup_free_ char *dir = text_word(source->dir);
	char time[TIME_TEXT];

	who_claimed_show(w, r->claimed);
	if (source->customers.days)
		customer_show(w, &source->customers, &r->customer, r->claimed->answer.in_addr);
	who_show_others(w, &r->answer, false);
	writer_line(w, "History:        %s, %s%s", dir ? dir : "", source->until == TIME_NONE ? "empty" : "read until ",
		    source->until == TIME_NONE ? "" : time_format(source->until, time));
}
