// SPDX-License-Identifier: BSD-2-Clause
/*
 * Nanoseconds a packet of the datapath, as ratios to the parse-and-rewrite floor, measured alternately in one process.
 * docs/evidence/PERFORMANCE.md has the method.
 */
#include "stand.h"

#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define MAX_ROWS 64

static const char usage[] =
	"usage: run [--full|--quick] [--rounds N] [--packets N] [--output FILE] [ROW...]\n"
	"\n"
	"Measures what a packet costs in the datapath. Needs root; makes a network namespace of its own.\n"
	"\n"
	"  ROW            rows to measure, shell patterns (h1024-*); without: those that the goals name\n"
	"  --full         all rows (3 GB of memory, half an hour)\n"
	"  --quick        h1024-p63 alone, its main ways, in a few seconds\n"
	"  --rounds N     rounds of each row, 1 to 25 (7)\n"
	"  --packets N    packets of a run at least, 1000 to 100000000 (1000000)\n"
	"  --output FILE  also writes the results as JSON\n"
	"  --list         the rows\n"
	"\n"
	"A row with another one beside it is measured in turn with that, in as many pairs as there are rounds; ratios "
	"that\n"
	"lie more than 3 % apart are measured again, up to twice, if they have a goal, and say \"noisy\" then.\n"
	"A goal that is missed is no failure. Exit status: 0; 1 where something went wrong, sessions or packets\n"
	"included; 2 usage.\n";

struct arguments {
	struct options options;
	unsigned runs;
	const char *output;
	char **patterns;
	int n_patterns;
};

static void bad_usage(const char *what)
{
	fprintf(stderr, "bench: %s\n%s", what, usage);
	exit(2);
}

static bool selected(const struct row *row, const struct arguments *a)
{
	if (!a->n_patterns)
		return row->runs & a->runs;
	for (int i = 0; i < a->n_patterns; i++)
		if (!fnmatch(a->patterns[i], row->name, 0))
			return true;
	return false;
}

static void list_rows(void)
{
	const struct row *row;
	char name[ROW_NAME];

	for (unsigned i = 0; (row = row_get(i)); i++)
		printf("%-25s %-48s %s\n", row->name, row_csit_name(row, name), row->runs & IN_BENCH ? "" : "(--full)");
}

/* Before much time is spent for nothing. A run that does not come to its end leaves no results of another. */
static void clear_output(const char *path)
{
	FILE *f = fopen(path, "we");

	if (!f || fclose(f))
		die(path, errno);
}

static unsigned long number(const char *text, unsigned long lo, unsigned long hi)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n < lo || n > hi)
		bad_usage("a number is malformed or out of range");
	return n;
}

static struct arguments parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "full", no_argument, NULL, 'f' },	    { "quick", no_argument, NULL, 'q' },
		{ "rounds", required_argument, NULL, 'r' }, { "packets", required_argument, NULL, 'p' },
		{ "output", required_argument, NULL, 'o' }, { "list", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },	    { 0 },
	};
	struct arguments a = { .options = { .rounds = 7, .packets = 1000000, .paths = ~0U }, .runs = IN_BENCH };

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 'f':
			a.runs = IN_FULL;
			break;
		case 'q':
			a.runs = IN_QUICK;
			a.options.paths = BIT(IN) | BIT(OUT) | BIT(OPEN) | BIT(REFUSE);
			break;
		case 'r':
			a.options.rounds = (unsigned)number(optarg, 1, 25);
			break;
		case 'p':
			a.options.packets = (uint32_t)number(optarg, 1000, 100000000);
			break;
		case 'o':
			a.output = optarg;
			break;
		case 'l':
			list_rows();
			exit(0);
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			bad_usage("unknown option");
		}
	}
	a.patterns = argv + optind;
	a.n_patterns = argc - optind;
	return a;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Rows to be measured, and what their world must have. */
static unsigned choose_rows(const struct arguments *a, const struct row *ret[static MAX_ROWS], struct room *ret_room)
{
	const struct row *row;
	uint64_t list = 1;
	unsigned n = 0;

	*ret_room = (struct room){ .cores = 1 };
	for (unsigned i = 0; (row = row_get(i)) && n < MAX_ROWS; i++) {
		if (!selected(row, a))
			continue;
		ret[n++] = row;
		list = most(list, list_wanted(row));
		if (row_beside(row))
			list = most(list, list_wanted(row_beside(row)));
		if (row->paths & a->options.paths & BIT(IN_2))
			ret_room->cores = 2;
		ret_room->extent_buckets = (uint32_t)most(ret_room->extent_buckets, row->extent_buckets);
	}
	ret_room->list = list < MAX_LIST ? (uint32_t)list : MAX_LIST;
	return n;
}

static bool any_beside(const struct row *const rows[], unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (rows[i]->beside)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	static struct result results[MAX_ROWS];
	struct arguments a = parse(argc, argv);
	const struct row *rows[MAX_ROWS];
	struct bench b;
	struct room room;
	unsigned n = choose_rows(&a, rows, &room);
	struct partner partner = { .requests = -1, .answers = -1 };
	bool wrong = false;
	int r = 0;

	if (!n)
		bad_usage("no such row");
	if (geteuid() != 0) {
		fputs("bench: needs root, for namespaces and BPF programs\n", stderr);
		return 1;
	}
	if (a.output)
		clear_output(a.output);
	/* The pins are in a mount namespace of the bench alone, which the datapath would warn of. */
	log_set_level(LOG_LEVEL_ERROR);
	if (any_beside(rows, n))
		partner_start(&partner, &a.options, &room);
	world_make(&b, &room);
	b.partner = &partner;
	report_machine(&b, &a.options);
	for (unsigned i = 0; i < n; i++) {
		row_run(&b, rows[i], &a.options, &results[i]);
		report_row(&results[i]);
		wrong |= results[i].wrong;
	}
	report_features(results, n);
	report_slots();
	report_goals(results, n);
	if (a.output)
		r = report_json(&b, &a.options, results, n, a.output);
	if (r)
		fprintf(stderr, "bench: %s: %s\n", a.output, strerror(-r));
	world_end(&b);
	partner_end(&partner);
	return wrong || r ? 1 : 0;
}
