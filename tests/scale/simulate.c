// SPDX-License-Identifier: BSD-2-Clause
/* A country's subscribers behind gateways of detnat: what failures lose, for how long, and what it takes in machines.
 * See docs/evidence/SCALE.md. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "failures.h"
#include "measured.h"
#include "model.h"
#include "report.h"

int main(int argc, char **argv)
{
	struct options options = default_options;
	struct model model;
	struct tally tally;
	int error = options_read(argc, argv, &options, stdout, stderr);

	if (error)
		return error < 0 ? 2 : 0;
	if (options.compare) {
		compare_with_measurement(&options, stdout);
		return 0;
	}
	model = model_of(&options);
	error = failures_simulate(&options, &model, &tally);
	if (error) {
		fprintf(stderr, "simulate: %s\n",
			error == -E2BIG ? "too many events: fewer --years, --upgrades or gateways" : strerror(-error));
		return 1;
	}
	report_machines(&options, &model, stdout);
	report_ecmp(&options, &model, stdout);
	report_failures(&options, &model, &tally, stdout);
	return 0;
}
