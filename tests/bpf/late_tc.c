// SPDX-License-Identifier: BSD-2-Clause
#include <criterion/criterion.h>

#include "datapath/datapath_private.h"
#include "fixture.h"
#include "late_tc.h"

/* The tests are linked with --wrap=build_load_tc. */
int __real_build_load_tc(const struct datapath *d, struct datapath_build *b, struct error *err);
int __wrap_build_load_tc(const struct datapath *d, struct datapath_build *b, struct error *err);

bool tc_is_late;

int __wrap_build_load_tc(const struct datapath *d, struct datapath_build *b, struct error *err)
{
	return !tc_is_late || b->settings.tc ? __real_build_load_tc(d, b, err) : 0;
}

int tc_program(void)
{
	struct datapath_build *b = datapath.build;
	struct error err;

	if (b->tc_outside < 0)
		cr_assert_eq(__real_build_load_tc(&datapath, b, &err), 0, "%s", err.text);
	datapath.tc_outside = b->tc_outside;
	return b->tc_outside;
}
