// SPDX-License-Identifier: BSD-2-Clause
#include "measured.h"

#include "hashing.h"
#include "model.h"

/* The pair's files: BFD's 5 packets of 200 ms; a second for the routers is what the arguments assume. */
static double longest_gap(const struct options *o)
{
	return o->detection + o->convergence;
}

static double met_by_two(const struct options *o)
{
	return 100 * hashing_met(o, 2);
}

/* Sessions that the inside keeps alive, with their first choice of a port, in a failover without copies. */
static double lost_of_talkers(const struct options *o)
{
	struct options talkers = *o;

	talkers.silent_percent = 0;
	talkers.displaced_percent = 0;
	return 100 * model_lost(&talkers);
}

/* Of sessions that all have been copied when their gateway dies. */
static double lost_of_copied(const struct options *o)
{
	return 100 * model_lost_copied(o, 0);
}

/* Figures as the tests print them. */
static const struct measurement {
	const char *what, *unit, *test;
	double measured;
	double (*compute)(const struct options *options);
} measurements[] = {
	{ "longest gap, gateway cut off on both sides, BIRD", "s", "test_routing_pair.py", 1.8, longest_gap },
	{ "the same, FRR", "s", "test_routing_pair.py", 1.6, longest_gap },
	{ "longest gap, inside link cut, BIRD", "s", "test_routing_pair.py", 1.0, longest_gap },
	{ "the same, FRR", "s", "test_routing_pair.py", 2.0, longest_gap },
	{ "sessions lost whose inside goes on sending", "%", "test_routing_pair.py", 0, lost_of_talkers },
	{ "sessions that work with one pool and ECMP both ways", "%", "test_routing_ecmp.py", 100.0 * 58 / 120,
	  met_by_two },
	{ "sessions lost of 10,000 that were copied, FRR", "%", "test_failover.py", 0, lost_of_copied },
	{ "their longest gap", "s", "test_failover.py", 1.0, longest_gap },
};

void compare_with_measurement(const struct options *options, FILE *out)
{
	fprintf(out, "%-54s %10s %10s\n", "TWO GATEWAYS", "MEASURED", "COMPUTED");
	for (size_t i = 0; i < sizeof(measurements) / sizeof(*measurements); i++) {
		const struct measurement *m = &measurements[i];

		fprintf(out, "%-54s %8.1f %s %8.1f %s   %s\n", m->what, m->measured, m->unit, m->compute(options),
			m->unit, m->test);
	}
}
