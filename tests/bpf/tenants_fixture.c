// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include <criterion/criterion.h>

#include "tenants_fixture.h"

int second;

void be(uint8_t tenant)
{
	datapath.device[inside_ifindex].tenant = tenant;
}

static struct mapping_spec spec_of(struct prefix in, struct prefix out, uint8_t tenant)
{
	struct mapping_spec spec = {
		.in = in, .out = out, .sessions_per_user = 1000, .session_slots = 1024, .tenant = tenant
	};

	memcpy(spec.timeout_ticks, datapath.mapping[0].timeout_ticks, sizeof(spec.timeout_ticks));
	return spec;
}

static void become_tenants(uint8_t tenant)
{
	const struct mapping_spec spec =
		spec_of((struct prefix){ ADDR(10, 0, 0, 0), 24 }, (struct prefix){ POOL, 30 }, tenant);

	cr_assert_eq(mappings_update(mappings, &spec), 0);
}

uint16_t *entry_of_prefix(void)
{
	const uint16_t node = datapath.in_nodes[10].entry[0];

	cr_assert(node >= INDEX_ROOTS && node < INDEX_NODES);
	return &datapath.in_nodes[node].entry[0];
}

void share(void)
{
	struct index_node *of = &datapath.in_nodes[INDEX_NODES - 1];

	second = mappings_find_any(mappings, ADDR(10, 1, 0, 0));
	cr_assert_geq(second, 0);
	datapath.mapping[second].geo.in_base = ADDR(10, 0, 0, 0);
	of->entry[FIRST] = *entry_of_prefix();
	of->entry[SECOND] = (uint16_t)(INDEX_LEAF | (unsigned)second);
	*entry_of_prefix() = INDEX_LEAF | INDEX_SHARED | (INDEX_NODES - 1);
}

void set_up_shared(void)
{
	settings.tenants = 1;
	settings.tc = TC_ALONE;
	settings.drains = 1;
	portmap_set_up();
	become_tenants(FIRST);

	const struct mapping_spec spec =
		spec_of((struct prefix){ ADDR(10, 1, 0, 0), 24 }, (struct prefix){ POOL_B, 30 }, SECOND);

	make_mapping(&spec, NULL);
	share();
	be(FIRST);
}
