/* SPDX-License-Identifier: BSD-2-Clause */
/* A pass over the sessions that looks for suspects, in one go. */
#ifndef DETNAT_TEST_SUSPECTS_FIXTURE_H
#define DETNAT_TEST_SUSPECTS_FIXTURE_H

#include <criterion/criterion.h>

#include "sessions/usage.h"
#include "suspects/suspects.h"

static inline void suspects_pass(struct suspects *suspects, struct mappings *m, uint64_t now_us)
{
	struct session_usage *u;
	int r;

	cr_assert_eq(session_usage_new(m, suspects_begin(suspects, now_us), &u), 0);
	while ((r = session_usage_step(u, 1000)) > 0)
		;
	cr_assert_eq(r, 0);
	while (suspects_step(suspects, now_us, 0))
		;
	suspects_end(suspects, now_us);
	session_usage_free(u);
}

#endif
