// SPDX-License-Identifier: BSD-2-Clause
#include "options.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

const struct options default_options = {
	.subscribers = 10e6,
	.mbit = 3,
	.octets = 800,
	.sessions = 50,
	.destinations = 20,
	.short_life = 30,
	.long_life = 900,
	.long_percent = 5,
	.silent_percent = 20,
	.displaced_percent = 1,
	.cores = 16,
	.mpps = 1.4,
	.load_percent = 70,
	.spare = 1,
	.memory = 2113,
	.mtbf = 8766,
	.repair = 4,
	.upgrades = 4,
	.upgrade = 0.5,
	.detection = 1,
	.convergence = 1,
	.min_age = 2,
	.interval = 1,
	.opening_octets = 23,
	.opening_us = 1.5,
	.copy_octets = 16.1,
	.copy_rate = 2.5e6,
	.years = 100,
	.seed = 1,
};

static const char *const layouts[] = { "pair", "ring", "ecmp", NULL };
static const char *const hashes[] = { "source", "addresses", "ports", NULL };
static const char *const rehashes[] = { "threshold", "modulo", "resilient", NULL };

enum kind { NUMBER, WHOLE };

struct option_row {
	const char *name;
	size_t member;
	enum kind kind;
	double min, max;
	const char *const *words;
	const char *unit;
	const char *help;
};

#define AT(name) offsetof(struct options, name)

static const struct option_row rows[] = {
	{ "subscribers", AT(subscribers), WHOLE, 1, 1e9, NULL, "", "inside addresses, all gateways together" },
	{ "mbit", AT(mbit), NUMBER, 0.001, 1e5, NULL, "Mbit/s",
	  "of a subscriber in the busy hour, both directions together" },
	{ "octets", AT(octets), NUMBER, 64, 9000, NULL, "octets", "mean length of a packet" },
	{ "sessions", AT(sessions), NUMBER, 1, 65535, NULL, "", "of a subscriber, in use at a time" },
	{ "destinations", AT(destinations), WHOLE, 1, 65535, NULL, "", "of a subscriber, in use at a time" },
	{ "short-life", AT(short_life), NUMBER, 0.1, 1e6, NULL, "s", "mean life of a short session" },
	{ "long-life", AT(long_life), NUMBER, 0.1, 1e7, NULL, "s", "mean life of a long session" },
	{ "long", AT(long_percent), NUMBER, 0, 100, NULL, "%", "of openings: long sessions" },
	{ "silent", AT(silent_percent), NUMBER, 0, 100, NULL, "%",
	  "of sessions in use: the inside waits to hear something" },
	{ "displaced", AT(displaced_percent), NUMBER, 0, 100, NULL, "%",
	  "of sessions in use: not at their first choice of a port" },
	{ "layout", AT(layout), WHOLE, 0, 0, layouts, "",
	  "pair, ring (docs/guide/ROUTING.md: many), ecmp (a pool for each gateway)" },
	{ "hash", AT(hash), WHOLE, 0, 0, hashes, "", "what ECMP routers hash: source, addresses, ports" },
	{ "rehash", AT(rehash), WHOLE, 0, 0, rehashes, "",
	  "what ECMP does when a gateway goes: threshold, modulo, resilient" },
	{ "cores", AT(cores), WHOLE, 1, 4096, NULL, "", "of a gateway" },
	{ "mpps", AT(mpps), NUMBER, 0.001, 1000, NULL, "Mpps", "million packets a second that a core translates" },
	{ "load", AT(load_percent), NUMBER, 1, 100, NULL, "%",
	  "of its cores that a gateway may use with all others up" },
	{ "spare", AT(spare), WHOLE, 0, 1000, NULL, "", "gateways beyond those needed, with ecmp" },
	{ "memory", AT(memory), NUMBER, 64, 1e6, NULL, "octets", "of tables for a subscriber" },
	{ "mtbf", AT(mtbf), NUMBER, 0.01, 1e7, NULL, "h", "mean time of a gateway between failures" },
	{ "repair", AT(repair), NUMBER, 0.001, 1e5, NULL, "h", "mean time until it is back" },
	{ "upgrades", AT(upgrades), NUMBER, 0, 8766, NULL, "a year", "of each gateway, drained before" },
	{ "upgrade", AT(upgrade), NUMBER, 0.001, 1000, NULL, "h", "that an upgrade takes" },
	{ "detection", AT(detection), NUMBER, 0.001, 3600, NULL, "s", "until BFD or BGP notices a failure, at most" },
	{ "convergence", AT(convergence), NUMBER, 0, 3600, NULL, "s", "until routers send elsewhere, from then on" },
	{ "min-age", AT(min_age), NUMBER, 0, 3600, NULL, "s", "replication: age from which a session is copied" },
	{ "interval", AT(interval), NUMBER, 0.01, 3600, NULL, "s", "replication: time between passes" },
	{ "opening-octets", AT(opening_octets), NUMBER, 1, 1e5, NULL, "octets",
	  "replication: on the link for an opening" },
	{ "opening-us", AT(opening_us), NUMBER, 0, 1e4, NULL, "us",
	  "replication: of a core, on either side, for an opening" },
	{ "copy-octets", AT(copy_octets), NUMBER, 1, 1e5, NULL, "octets", "replication: of a session in a whole copy" },
	{ "copy-rate", AT(copy_rate), NUMBER, 1, 1e9, NULL, "/s", "replication: sessions a second in a whole copy" },
	{ "years", AT(years), NUMBER, 0.001, 1e6, NULL, "years", "that are simulated" },
	{ "seed", AT(seed), WHOLE, 0, 1e15, NULL, "", "of the random numbers: the same one, the same output" },
};

#define N_ROWS (sizeof(rows) / sizeof(*rows))

static double *value_of(struct options *options, const struct option_row *row)
{
	return (double *)((char *)options + row->member);
}

static void print_help(FILE *out)
{
	struct options options = default_options;

	fputs("Usage: simulate [--NAME VALUE]...\n\n"
	      "What failures and upgrades of gateways cost a network of many, what it takes in machines. Nothing is "
	      "sent, no root needed.\n\n",
	      out);
	for (size_t i = 0; i < N_ROWS; i++) {
		char standard[64];
		double value = *value_of(&options, &rows[i]);

		if (rows[i].words)
			snprintf(standard, sizeof(standard), "%s", rows[i].words[(int)value]);
		else
			snprintf(standard, sizeof(standard), "%.10g%s%s", value, *rows[i].unit ? " " : "",
				 rows[i].unit);
		fprintf(out, "  --%-15s %s (%s)\n", rows[i].name, rows[i].help, standard);
	}
	fputs("  --compare         what was measured with two gateways beside what is computed for them, and nothing "
	      "else\n"
	      "  --help            this\n\n"
	      "Examples:\n"
	      "  simulate                                           ten million subscribers by pairs\n"
	      "  simulate --layout ring --cores 32                  larger gateways, each the stand-in of its "
	      "neighbour\n"
	      "  simulate --layout ecmp --rehash resilient          ECMP by source address, next-hop groups that "
	      "move no other\n"
	      "  simulate --detection 90 --min-age 10               BGP's hold time in place of BFD; only older "
	      "sessions are copied\n",
	      out);
}

static int read_value(const struct option_row *row, const char *text, double *ret, FILE *err)
{
	char *end;
	double value;

	if (row->words) {
		for (int i = 0; row->words[i]; i++) {
			if (!strcmp(text, row->words[i])) {
				*ret = i;
				return 0;
			}
		}
		fprintf(err, "simulate: --%s is none of", row->name);
		for (int i = 0; row->words[i]; i++)
			fprintf(err, "%s %s", i ? "," : "", row->words[i]);
		fprintf(err, ": %s\n", text);
		return -EINVAL;
	}
	value = strtod(text, &end);
	if (end == text || *end || !isfinite(value)) {
		fprintf(err, "simulate: --%s is not a number: %s\n", row->name, text);
		return -EINVAL;
	}
	if (value < row->min || value > row->max || (row->kind == WHOLE && value != floor(value))) {
		fprintf(err, "simulate: --%s is not a%s number from %.10g to %.10g%s%s: %s\n", row->name,
			row->kind == WHOLE ? " whole" : "", row->min, row->max, *row->unit ? " " : "", row->unit, text);
		return -EINVAL;
	}
	*ret = value;
	return 0;
}

static const struct option_row *find_row(const char *argument)
{
	if (strncmp(argument, "--", 2) != 0)
		return NULL;
	for (size_t i = 0; i < N_ROWS; i++)
		if (!strcmp(argument + 2, rows[i].name))
			return &rows[i];
	return NULL;
}

int options_read(int argc, char *const *argv, struct options *ret, FILE *out, FILE *err)
{
	struct options options = *ret;

	for (int i = 1; i < argc; i++) {
		const struct option_row *row = find_row(argv[i]);

		if (!strcmp(argv[i], "--help")) {
			print_help(out);
			return 1;
		}
		if (!strcmp(argv[i], "--compare")) {
			options.compare = true;
			continue;
		}
		if (!row) {
			fprintf(err, "simulate: no argument '%s'; --help lists them\n", argv[i]);
			return -EINVAL;
		}
		if (++i == argc) {
			fprintf(err, "simulate: --%s needs a value\n", row->name);
			return -EINVAL;
		}
		if (read_value(row, argv[i], value_of(&options, row), err))
			return -EINVAL;
	}
	*ret = options;
	return 0;
}

const char *options_word(const char *name, double value)
{
	for (size_t i = 0; i < N_ROWS; i++)
		if (!strcmp(name, rows[i].name) && rows[i].words)
			return rows[i].words[(int)value];
	return NULL;
}
