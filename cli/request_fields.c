// SPDX-License-Identifier: BSD-2-Clause
#include "request_fields.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/text.h"
#include "base/timestamp.h"

static const char *print_place(FILE *out, const char *comma, const char *name, const struct complaint_place *p)
{
	if (!p->line)
		return comma;
	fprintf(out, "%s\"%s\":{\"line\":%u,\"column\":%u,\"length\":%u}", comma, name, p->line, p->column, p->length);
	return ",";
}

static void print_places(FILE *out, const struct complaint_place *addr, const struct complaint_place *port,
			 const struct complaint_place *time)
{
	const char *comma = "";

	fputs(",\"places\":{", out);
	comma = print_place(out, comma, "addr", addr);
	comma = print_place(out, comma, "port", port);
	print_place(out, comma, "time", time);
	fputc('}', out);
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
