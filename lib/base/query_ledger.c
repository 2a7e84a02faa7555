/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/query_ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/cleanup.h"
#include "base/ledger.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "base/whole_file.h"

/* The end of a file is found in its last octets, which must have a whole line (base/chain.c). */
#define QUERY_LINE_MAX 8192U

#define HEAD_MAX 4096U

static void write_text(FILE *out, const char *key, const char *text)
{
	if (!text)
		return;
	fprintf(out, ",\"%s\":", key);
	text_json_string(out, text);
}

int query_write(FILE *out, const struct query *q, int64_t now, struct error *err)
{
	const struct {
		const char *key, *text;
	} texts[] = {
		{ "user", q->user },	 { "sudo_user", q->sudo_user }, { "for", q->for_whom },
		{ "via", q->via },	 { "kind", q->kind },		{ "case", q->case_id },
		{ "reason", q->reason }, { "question", q->question },	{ "endpoint", q->endpoint },
		{ "at", q->at },	 { "answer", q->answer },	{ "refused", q->refused },
	};
	_cleanup_free_ char *line = NULL, *shown = NULL;
	char time[TIME_TEXT];
	size_t size = 0, n = 0;
	FILE *memory;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].text && strlen(texts[i].text) > QUERY_TEXT_MAX)
			return error_set(err, -E2BIG, "%s: has more than %u octets; shorten it", texts[i].key,
					 QUERY_TEXT_MAX);
	memory = open_memstream(&line, &size);
	if (!memory)
		return error_set(err, -ENOMEM, "out of memory");
	fprintf(memory, "\"time\":\"%s\",\"uid\":%lu", time_format(now, time), (unsigned long)q->uid);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		write_text(memory, texts[i].key, texts[i].text);
	if (q->times)
		fprintf(memory, ",\"times\":%" PRIu64, q->times);
	if (fclose(memory))
		return error_set(err, -ENOMEM, "out of memory");
	memory = open_memstream(&shown, &n);
	if (!memory)
		return error_set(err, -ENOMEM, "out of memory");
	text_print_json(memory, line, size);
	if (fclose(memory))
		return error_set(err, -ENOMEM, "out of memory");
	if (n > QUERY_LINE_MAX)
		return error_set(err, -E2BIG, "the line of this look would have more than %u octets; shorten its texts",
				 QUERY_LINE_MAX);
	fprintf(out, "%s\n", shown);
	return 0;
}

bool query_audited(const char *dir, const char *head)
{
	_cleanup_close_ int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = at < 0 ? -1 : file_open(at, head);
	_cleanup_free_ char *text = NULL;
	size_t size;

	return fd >= 0 && !file_read(fd, HEAD_MAX, &text, &size) &&
	       memmem(text, size, QUERY_AUDIT, strlen(QUERY_AUDIT));
}

int query_append(const char *dir, const char *lines, size_t size, int64_t now, struct error *err)
{
	char file[LEDGER_NAME];
	struct error why = { 0 };
	int r = ledger_append(dir, ledger_file_name(LEDGER_QUERIES, now, file), lines, size, now, &why);

	return r ? error_set(err, r, "each look at a person leaves a line in the ledger, and this one cannot: %.300s",
			     why.text)
		 : 0;
}

int query_note(const char *dir, const struct query *q, int64_t now, struct error *err)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&line, &size);
	int r = out ? query_write(out, q, now, err) : -ENOMEM;

	if ((out && fclose(out)) || !out)
		return error_set(err, -ENOMEM, "out of memory");
	return r ? r : query_append(dir, line, size, now, err);
}
