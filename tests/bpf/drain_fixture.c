// SPDX-License-Identifier: BSD-2-Clause
#include "drain_fixture.h"

#include <criterion/criterion.h>

const struct prefix all = { ADDR(10, 0, 0, 0), 24 }, old_out = { POOL, 30 }, new_out = { NEW_POOL, 28 };

void drain_set_up(void)
{
	settings.drains = 1;
	set_up();
}

void drain_add(struct prefix in, struct prefix out, uint16_t slots, uint32_t quota, const struct mapping_handover *how)
{
	struct mapping_spec spec = { .in = in, .out = out, .sessions_per_user = quota, .session_slots = slots };

	for (int i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = ticks_of_seconds(300, datapath.hz);
	make_mapping(&spec, how);
}

void start_again(void)
{
	struct error err;

	mappings_close(mappings);
	datapath.reused = true;
	cr_assert_eq(mappings_open(&datapath, &mappings, &err), 0, "%s", err.text);
}

void renumber(void)
{
	drain_add(all, new_out, 64, 1000, &(struct mapping_handover){ true, old_out, 600 });
}
