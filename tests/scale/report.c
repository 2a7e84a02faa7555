// SPDX-License-Identifier: BSD-2-Clause
#include "report.h"

#include <math.h>

#include "hashing.h"

/* A number with its thousands apart; fractions below 100 alone. */
static const char *number(double value, char *text, size_t size)
{
	char plain[64];
	size_t length, used = 0;

	if (!isfinite(value) || fabs(value) >= 1e18) {
		snprintf(text, size, "%.3g", value);
		return text;
	}
	if (value < 100) {
		snprintf(text, size, value < 0.01 && value > 0 ? "%.2g" : "%.2f", value);
		return text;
	}
	length = (size_t)snprintf(plain, sizeof(plain), "%.0f", value);
	for (size_t i = 0; i < length && used + 2 < size; i++) {
		text[used++] = plain[i];
		if ((length - i - 1) % 3 == 0 && i + 1 < length)
			text[used++] = ',';
	}
	text[used] = '\0';
	return text;
}

static void row(FILE *out, const char *what, double value, const char *unit)
{
	char text[96];

	fprintf(out, "  %-58s %18s %s\n", what, number(value, text, sizeof(text)), unit);
}

void report_machines(const struct options *o, const struct model *m, FILE *out)
{
	double copies = m->openings / m->gateways * ((enum layout)o->layout == LAYOUT_PAIR ? 2 : 1);
	double sessions = m->group * o->sessions;

	fputs("WHAT IT TAKES, in the busy hour\n", out);
	row(out, "traffic", o->subscribers * o->mbit / 1000, "Gbit/s");
	row(out, "packets", m->packets / 1e6, "million a second");
	row(out, "sessions in use", o->subscribers * o->sessions, "");
	row(out, "sessions opened", m->openings, "a second");
	row(out, "cores that translate", m->cores, "cores");
	row(out, "gateways that suffice while none fails", m->needed, "machines");
	row(out, "gateways", m->gateways, "machines");
	row(out, "groups of subscribers that move together", m->groups, "");
	row(out, "subscribers of a group", m->group, "");
	row(out, "tables of a gateway", m->mapped * o->memory / 1e9, "GB");
	if ((enum layout)o->layout == LAYOUT_ECMP)
		return;
	fputs("\nREPLICATION, of a gateway with its own group\n", out);
	row(out, "link to the stand-in", copies * o->opening_octets / 1e6, "MB/s");
	row(out, "of a core, on either side", copies * o->opening_us / 1e4, "%");
	row(out, "a whole copy of the group", sessions * o->copy_octets / 1e6, "MB");
	row(out, "the same, in", sessions / o->copy_rate, "s");
	row(out, "sessions in use too young to be copied", 100 * model_younger(o, o->min_age + o->interval / 2), "%");
}

void report_ecmp(const struct options *o, const struct model *m, FILE *out)
{
	static const unsigned samples = 8;
	uint32_t gateways = (uint32_t)m->gateways;
	double moved = 0;

	if ((enum layout)o->layout != LAYOUT_ECMP)
		return;
	for (unsigned i = 0; i < samples; i++)
		moved += hashing_moved(o, gateways, (uint32_t)((uint64_t)i * gateways / samples));
	fprintf(out, "\nECMP, hash of %s, %s\n", options_word("hash", o->hash), options_word("rehash", o->rehash));
	row(out, "fullest gateway, of the mean", 100 * hashing_fullest(o, gateways), "%");
	row(out, "subscribers with several outside addresses", 100 * hashing_scattered(o, gateways), "%");
	row(out, "other gateways' subscribers moved when one goes", 100 * moved / samples, "%");
	row(out, "sessions that would work with one pool for all gateways", 100 * hashing_met(o, gateways), "%");
}

void report_failures(const struct options *o, const struct model *m, const struct tally *t, FILE *out)
{
	double years = o->years, all = o->subscribers * years * SECONDS_A_YEAR;
	double changes = (enum layout)o->layout == LAYOUT_ECMP ? 0 : t->failovers;

	fprintf(out, "\nWHAT IS LOST, means of %.6g simulated years\n", years);
	row(out, "failures of gateways", t->failures / years, "a year");
	row(out, "upgrades of gateways", t->upgrades / years, "a year");
	row(out, "failovers to another gateway", t->failovers / years, "a year");
	row(out, "gap of a failover", t->failovers > 0 ? t->gap / t->failovers : 0, "s");
	row(out, "longest gap", t->gap_most, "s");
	row(out, "gaps of a subscriber", t->interrupted / o->subscribers / years, "s a year");
	row(out, "sessions lost without replication", t->lost / years, "a year");
	row(out, "sessions lost with replication", t->lost_copied / years, "a year");
	if (changes > 0) {
		row(out, "the same of a failover, without", t->lost / changes, "sessions");
		row(out, "with", t->lost_copied / changes, "sessions");
	}
	row(out, "groups without any gateway", t->outages / years, "times a year");
	row(out, "sessions lost by that", t->cut / years, "a year");
	row(out, "a subscriber without any gateway", t->outage / o->subscribers / years, "s a year");
	if ((enum layout)o->layout == LAYOUT_ECMP)
		row(out, "fewer gateways than needed", t->overloaded / 3600 / years, "h a year");
	else
		row(out, "a group with one gateway alone", t->alone / 3600 / m->groups / years, "h a year");
	fprintf(out, "  %-58s %18.7f %%\n", "availability", 100 * (1 - (t->outage + t->interrupted) / all));
}
