/* SPDX-License-Identifier: BSD-2-Clause */
#include "syslog/syslog_message.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/timestamp.h"

/*
 * An SD-ID outside IANA's list has an enterprise number (RFC 5424 section 7.2.2). detnat has none; this is the one for
 * examples (RFC 5612).
 */
#define SD_ID "detnat@32473"

struct buffer {
	char *text;
	size_t n;
};

/* Room for "]" and the text's first characters is left by the sizes of parameters: names and values are short. */
static void put(struct buffer *b, char c)
{
	if (b->n < SYSLOG_MESSAGE - 1)
		b->text[b->n++] = c;
}

static void put_text(struct buffer *b, const char *text)
{
	for (; *text; text++)
		put(b, *text);
}

/* Nothing in it ends the line or drives a terminal. */
static void put_shown(struct buffer *b, const char *text)
{
	_cleanup_free_ char *shown = text_escaped(text, strlen(text));

	put_text(b, shown ? shown : "");
}

/* RFC 5424 section 6.3.3: '"', '\' and ']' are escaped. */
static void put_value(struct buffer *b, const char *text)
{
	_cleanup_free_ char *shown = text_escaped(text, strlen(text));

	for (const char *at = shown ? shown : ""; *at; at++) {
		if (*at == '"' || *at == '\\' || *at == ']')
			put(b, '\\');
		put(b, *at);
	}
}

static void put_param(struct buffer *b, const struct notice_param *p)
{
	char number[24];

	snprintf(number, sizeof(number), "%llu", (unsigned long long)p->number);
	put(b, ' ');
	put_text(b, p->name);
	put_text(b, "=\"");
	put_value(b, p->text ? p->text : number);
	put(b, '"');
}

size_t syslog_format(const struct syslog_origin *o, const struct notice *n, char text[static SYSLOG_MESSAGE])
{
	char time[TIME_US_TEXT], head[512];
	struct buffer b = { .text = text };

	snprintf(head, sizeof(head), "<%u>1 %s %.255s detnat-agent %u %.32s [" SD_ID, o->facility * 8U + n->level,
		 time_format_us(n->wall_ns, time), o->host, o->pid, n->event);
	put_text(&b, head);
	for (unsigned i = 0; i < n->n_params; i++)
		put_param(&b, &n->param[i]);
	put_text(&b, "] ");
	put_shown(&b, n->text);
	text[b.n] = '\0';
	return b.n;
}
