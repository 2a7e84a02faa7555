// SPDX-License-Identifier: BSD-2-Clause
/*
 * Complaints, times with their zones, files of other servers, lines of leases and answers from them, against recorded
 * results: listings/complaints.txt, zones.txt, lease_files.txt, lease_lines.txt and lease_answers.txt.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "complaints/complaint.h"
#include "leases/lease_import.h"
#include "listed.h"

#define AT 1795690800LL /* 2026-11-26T11:00:00Z */

/* The zone that a name of a case ends with, after "of zone ". */
static struct zone zone_of(const char *name)
{
	const char *in = strstr(name, " of zone ");
	struct zone zone = { 0 };

	if (in)
		cr_assert_eq(zone_parse(in + 9, &zone, NULL), 0, "%s", name);
	return zone;
}

static int note_complaint(void *arg, const struct complaint *c)
{
	char addr[ADDR_TEXT], when[TIME_TEXT];

	if (c->good)
		fprintf(arg, "%llu: %s %s:%u\n", (unsigned long long)c->line, time_format(c->t, when),
			addr_format(c->out.addr, addr), c->out.port);
	else
		fprintf(arg, "%llu: %s, %s\n", (unsigned long long)c->line, complaint_fault_word(c->fault),
			c->why.text);
	return 0;
}

static void print_complaint(FILE *out, const char *name, const char *text, size_t size)
{
	struct zone zone = zone_of(name);
	const struct complaint_reader reader = { .zone = &zone, .take = note_complaint, .arg = out };

	fprintf(out, "%d\n", complaint_read(text, size, &reader));
}

Test(complaint, questions_and_refusals_are_as_recorded)
{
	listed_expect("tests/unit/listings/complaints.txt", print_complaint);
}

static void print_found(FILE *out, const char *what, int r, int64_t t, const struct error *err)
{
	char when[TIME_TEXT];

	if (!r)
		fprintf(out, "  %s %s", what, time_format(t, when));
	else
		fprintf(out, "  %s %d %s", what, r, err->text);
}

/* Each line is a time, or a name of a zone after "zone ". */
static void print_zones(FILE *out, const char *name, const char *text, size_t size)
{
	struct zone zone = zone_of(name), other;

	for (const char *at = text; *at; at = strchr(at, '\n') + 1) {
		_cleanup_free_ char *line = strndup(at, strcspn(at, "\n"));
		struct error err = { 0 };
		int64_t t = 0;
		size_t end = 0;
		int r;

		if (!strncmp(line, "zone ", 5)) {
			r = zone_parse(line + 5, &other, &err);
			fprintf(out, "%s: %s\n", line, r ? err.text : other.named ? other.name : "an offset");
			if (!r && !other.named)
				fprintf(out, "  %d\n", other.offset);
			continue;
		}
		fprintf(out, "%s\n", line);
		r = zone_time_find(line, strlen(line), &zone, &t, &end, &err);
		print_found(out, "found", r, t, &err);
		fprintf(out, " until %zu\n", end);
		err.text[0] = '\0';
		r = zone_time_read(line, &zone, &t, &err);
		print_found(out, "read", r, t, &err);
		fputc('\n', out);
	}
}

Test(zone, times_and_zones_are_read_as_recorded)
{
	listed_expect("tests/unit/listings/zones.txt", print_zones);
}

static int note_lease(void *arg, const struct lease_line *l)
{
	lease_line_write(arg, l);
	fputc('\n', arg);
	return 0;
}

/* The name begins with the format; "live": the file was seen to change. */
static void print_import(FILE *out, const char *name, const char *text, size_t size)
{
	struct lease_import x = { .take = note_lease, .arg = out, .at = AT, .live = strstr(name, "live") };
	char word[32];
	uint32_t format;
	FILE *in = fmemopen((void *)(uintptr_t)text, size, "r");
	int r;

	snprintf(word, sizeof(word), "%.*s", (int)strcspn(name, " "), name);
	cr_assert_eq(word_number(lease_words, word, &format), 0, "%s", name);
	x.zone = zone_of(name);
	r = lease_import(&x, (enum lease_format)format, in);
	fprintf(out, "%d: %llu lines, %llu events, %llu skipped %s\n", r, (unsigned long long)x.line,
		(unsigned long long)x.events, (unsigned long long)x.skipped, x.first.text);
	fclose(in);
}

Test(lease_import, files_of_other_servers_become_lines_as_recorded)
{
	listed_expect("tests/unit/listings/lease_files.txt", print_import);
}

static void print_lines(FILE *out, const char *name, const char *text, size_t size)
{
	for (const char *at = text; *at; at = strchr(at, '\n') + 1) {
		struct lease_line l;
		struct error err;

		if (lease_line_read(at, strcspn(at, "\n"), &l, &err)) {
			fprintf(out, "refused: %s\n", err.text);
			continue;
		}
		lease_line_write(out, &l);
		fprintf(out, " hash %016llx\n", (unsigned long long)(lease_texts_hash(&l) != 0));
	}
}

Test(lease_line, lines_are_read_and_written_as_recorded)
{
	listed_expect("tests/unit/listings/lease_lines.txt", print_lines);
}
