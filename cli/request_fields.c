// SPDX-License-Identifier: BSD-2-Clause
#include "request_fields.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/text.h"
#include "base/timestamp.h"

/* A complaint may have hundreds of thousands of places: their text is put together without formats. */
static char *add_text(char *at, const char *text)
{
	return stpcpy(at, text);
}

static char *add_number(char *at, const char *before, uint32_t number)
{
	char digits[10];
	unsigned n = 0;

	at = add_text(at, before);
	do
		digits[n++] = (char)('0' + number % 10);
	while (number /= 10);
	while (n)
		*at++ = digits[--n];
	return at;
}

static char *add_place(char *at, const char **comma, const char *name, const struct complaint_place *p)
{
	if (!p->line)
		return at;
	at = add_text(at, *comma);
	at = add_text(at, name);
	at = add_number(at, ":{\"line\":", p->line);
	at = add_number(at, ",\"column\":", p->column);
	at = add_number(at, ",\"length\":", p->length);
	*comma = ",";
	return add_text(at, "}");
}

static void print_places(FILE *out, const struct complaint_place *addr, const struct complaint_place *port,
			 const struct complaint_place *time)
{
	/* Three names with three numbers each. */
	char text[320], *at = add_text(text, ",\"places\":{");
	const char *comma = "";

	at = add_place(at, &comma, "\"addr\"", addr);
	at = add_place(at, &comma, "\"port\"", port);
	at = add_place(at, &comma, "\"time\"", time);
	at = add_text(at, "}");
	fwrite(text, 1, (size_t)(at - text), out);
}

static void print_candidate(FILE *out, const struct complaint_candidate *c)
{
	char addr[ADDR_TEXT], when[TIME_TEXT];

	fprintf(out, "{\"out_addr\":\"%s\",\"out_port\":%u,\"time\":", addr_format(c->out.addr, addr), c->out.port);
	fprintf(out, c->timed ? "\"%s\"" : "null", c->timed ? time_format(c->t, when) : "");
	print_places(out, &c->addr, &c->port, &c->time);
	fputc('}', out);
}

void request_fields(FILE *out, const struct complaint *c)
{
	if (c->proto)
		fprintf(out, ",\"proto\":\"%s\"", c->proto == IPPROTO_UDP ? "udp" : "tcp");
	if (c->addr.line || c->port.line || c->time.line)
		print_places(out, &c->addr, &c->port, &c->time);
	for (unsigned i = 0; i < c->n_candidates; i++) {
		fputs(i ? "," : ",\"candidates\":[", out);
		print_candidate(out, &c->candidates[i]);
	}
	if (c->n_candidates)
		fputc(']', out);
}

char *request_notice(const struct complaint_notice *n)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out,
		"{\"line\":%" PRIu64 ",\"in_addr\":null,\"reason\":\"not-read\",\"code\":\"%s\",\"name\":", n->line,
		complaint_notice_word(n->code));
	text_json_string(out, n->name);
	fputs(",\"error\":", out);
	text_json_string(out, n->text);
	fputc('}', out);
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}
