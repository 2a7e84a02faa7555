// SPDX-License-Identifier: BSD-2-Clause
#include "update_fixture.h"

#include <unistd.h>

#include <criterion/criterion.h>

#include "fixture.h"
#include "sessions/limit_count.h"

void begin_update(const struct mapping_spec *spec)
{
	struct error err = { 0 };
	int r = mappings_update_begin(mappings, spec, &err);

	cr_assert_eq(r, 0, "%s", err.text);
	while ((r = mappings_update_step(mappings, spec, &err)) > 0)
		usleep(100);
	cr_assert_eq(r, 0, "%s", err.text);
}

void count_limits(void)
{
	struct limit_count *c = limit_count_new(mappings);
	int r;

	while (c && (r = limit_count_step(c, 1000)) != LIMIT_COUNT_DONE)
		if (r == LIMIT_COUNT_WAITS)
			usleep(100);
	limit_count_free(c);
}
