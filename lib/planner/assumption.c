// SPDX-License-Identifier: BSD-2-Clause
#include <math.h>

#include "planner/planner.h"

/* Of the logarithm: the mean is exp(mu + sigma^2 / 2) = 20, and mu + 3.0902 sigma = ln 1000. */
#define MU    1.417
#define SIGMA 1.777

double planner_assumed_exceed(uint32_t ports, double scale)
{
	return erfc((log(ports / scale) - MU) / SIGMA / M_SQRT2) / 2;
}
