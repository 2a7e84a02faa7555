// SPDX-License-Identifier: BSD-2-Clause
/* The table for people. */
#include "bench.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Processes that want a core, beside the benchmark. */
#define BUSY_LOAD 0.3

void report_machine(const struct bench *b, const struct options *o)
{
	double load[3] = { 0 };

	if (getloadavg(load, 3) < 0)
		load[0] = 0;
	printf("core %d, load average %.2f %.2f %.2f, %u rounds of %" PRIu32 " packets or more\n", b->core[0].cpu,
	       load[0], load[1], load[2], o->rounds, o->packets);
	if (load[0] > BUSY_LOAD)
		puts("warning: the machine is busy: others share its caches and its memory, figures are too high");
	if (!core_first(true) || !core_first(false))
		puts("warning: SCHED_FIFO is not allowed: other processes cool the caches in the middle of runs");
	puts("ns: as run, with the generator; net: without it; floor, generator and program alternate in each round;\n"
	     "of floor: both as run, median of the rounds' ratios; of VPP: net, of det44's graph as measured on a\n"
	     "machine of this kind; direct: by a generator that reaches the programs by constant tail calls");
}

/* By the generator with constant tail calls. */
static void report_direct(const struct figures *f)
{
	if (f)
		printf(" %8.1f %8.1f %7.2f x", f->ns, f->net, f->ratio);
	putchar('\n');
}

static void report_path(const struct result *r, enum path path)
{
	double vpp = vpp_of(r->row, path);
	struct figures f;

	if (!figures_of(r, path, &f))
		return;
	if (f.speedup > 0) {
		printf("  %-28s %8.1f %8s %7.2f %9s  %.2f x one core\n", path_text(path), f.ns, "", 2e3 / f.ns, "",
		       f.speedup);
		return;
	}
	printf("  %-28s %8.1f %8.1f %7.2f %7.2f x", path_text(path), f.ns, f.net, 1e3 / f.ns, f.ratio);
	if (vpp > 0)
		printf(" %5.0f %6.2f x", vpp, f.net / vpp);
	else
		printf(" %5s %8s", "", "");
	report_direct(figures_of_direct(r, path, &f) ? &f : NULL);
}

static void report_one_beside(const char *text, const struct figures *f, double ns, const struct figures *d,
			      double direct_ns)
{
	printf("  %-28s %8.1f %8.1f %7.2f %7.2f x", text, ns, ns - f->generator, 1e3 / ns, ns / f->floor);
	if (d)
		printf(" %*s %8.1f %8.1f %7.2f x", 14, "", direct_ns, direct_ns - d->generator, direct_ns / d->floor);
	putchar('\n');
}

/* The floor and the generator alone, as measured beside a path. */
static void report_beside(const struct result *r)
{
	enum path path = r->path[PATH_IN].n ? PATH_IN : PATH_IN_PACED;
	struct figures f, d = { 0 };
	bool direct = figures_of_direct(r, path, &d);

	if (!figures_of(r, path, &f))
		return;
	report_one_beside("floor", &f, f.floor, direct ? &d : NULL, d.floor);
	report_one_beside("generator alone", &f, f.generator, direct ? &d : NULL, d.generator);
}

static void report_connections(const struct result *r)
{
	struct figures f;

	if (figures_of(r, PATH_CONNECTION, &f))
		printf("  %.0f whole connections a second a core (6 packets each, %.0f ns net)\n", 1e9 / (6 * f.ns),
		       6 * f.net);
}

void report_row(const struct result *r)
{
	printf("\n%s", r->csit);
	if (r->skipped[0]) {
		printf(": skipped: %s\n", r->skipped);
		return;
	}
	printf("\n  %" PRIu64 " of %" PRIu64 " sessions in the table, %u packets verified%s\n", r->in_table,
	       r->sessions, r->verified, r->wrong ? "; WRONG: the figures below are worth nothing" : "");
	printf("  tables %.1f MB (mapping %.1f MB, %.0f octets a subscriber)", (double)r->memory / 1e6,
	       (double)r->memory_mapping / 1e6, (double)r->memory / r->row->hosts);
	if (r->beyond || r->refused || r->row->mix != MIX_NONE)
		printf("; beyond the slots %.3f %%, refused %.3f %%", 100.0 * (double)r->beyond / (double)r->sessions,
		       100.0 * (double)r->refused / (double)r->sessions);
	printf("\n  a read at random in %.1f MB, as much as the sessions take: %.1f ns\n",
	       (double)(row_sessions(r->row) * sizeof(struct slot)) / 1e6, r->read_ns);
	if (r->route.n)
		printf("  a read of the lines that tell the destinations' routes, at random: %.1f ns\n",
		       route_read_of(r));
	printf("  %-28s %8s %8s %7s %9s %5s %8s %8s %8s %9s\n", "PATH", "NS", "NET", "MPPS", "OF FLOOR", "VPP",
	       "OF VPP", "DIRECT", "NET", "OF FLOOR");
	report_beside(r);
	for (unsigned path = 0; path < N_PATHS; path++)
		report_path(r, (enum path)path);
	report_connections(r);
	fflush(stdout);
}

void report_features(const struct result *results, unsigned n)
{
	struct ratio ratio;
	bool any = false;

	for (unsigned i = 0; i < n; i++) {
		for (unsigned path = 0; path < N_PATHS; path++) {
			const struct result *r = &results[i];

			if (!compared(r, (enum path)path, &ratio))
				continue;
			if (!any)
				printf("\n%-30s %-29s %-14s %8s %8s\n", "COMPARED IN TURN, NET", "", "WITH", "RATIO",
				       "SPREAD");
			any = true;
			printf("%-30s %-29s %-14s %8.3f %6.1f %%%s\n", r->row->name, path_text((enum path)path),
			       r->row->beside, ratio.value, 100 * ratio.spread,
			       ratio.spread > MOST_SPREAD ? "  noisy" : "");
		}
	}
}

void report_goals(const struct result *results, unsigned n)
{
	unsigned asked = 0, met = 0;
	struct verdict v;

	printf("\n%-60s %10s %10s\n", "GOAL", "LIMIT", "MEASURED");
	for (unsigned i = 0; goal_judge(i, results, n, &v); i++) {
		if (!v.asked)
			continue;
		asked++;
		met += v.word == VERDICT_MET;
		printf("%-60s %s %7.5g %10.3f  %s\n", v.text, v.at_least ? ">=" : "<=", v.limit, v.value,
		       verdict_word_text(v.word));
	}
	printf("%u of %u met\n", met, asked);
}
