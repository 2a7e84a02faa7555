/* SPDX-License-Identifier: BSD-2-Clause */
/* How many requests of PCP are answered. */
#include <criterion/criterion.h>

#include "pcp/rate.h"

#define SUBSCRIBER 0x64400002U
#define NEIGHBOUR  0x64400003U

Test(pcp_rate, ten_requests_a_second_and_source)
{
	struct pcp_rate r = { 0 };

	for (unsigned second = 0; second < 3; second++) {
		for (unsigned i = 0; i < 20; i++)
			cr_expect_eq(pcp_rate_take(&r, SUBSCRIBER, 3, second), i < 10);
		cr_expect(pcp_rate_take(&r, NEIGHBOUR, 3, second));
		cr_expect(pcp_rate_take(&r, SUBSCRIBER, 4, second), "by another interface it is another source");
	}
	pcp_rate_free(&r);
}

Test(pcp_rate, ten_thousand_requests_a_second_of_all)
{
	struct pcp_rate r = { 0 };
	unsigned taken = 0;

	for (uint32_t i = 0; i < 200000; i++)
		taken += pcp_rate_take(&r, i, 3, 5);
	cr_expect_eq(taken, PCP_PER_SECOND);
	cr_expect(pcp_rate_take(&r, 0, 3, 6));
	pcp_rate_free(&r);
}
