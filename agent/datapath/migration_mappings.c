/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes over the records of mappings, whose arithmetic has other members before layout 7. */
#include "datapath/migration_private.h"

/* Layouts before 7 have prefixes and the defaults of all figures. */
static bool is_plain_layout(const struct migration *m)
{
	struct layout_member member;

	return layout_find(m->from, "geometry", "last_subscriber", &member) != 0;
}

bool migration_geometry_fits(const struct migration *m)
{
	static const struct {
		const char *name;
		uint32_t size;
	} needed[] = { { "in_base", 4 }, { "out_base", 4 }, { "in_plen", 1 }, { "out_plen", 1 }, { "flags", 1 } };
	struct layout_member member;

	if (!is_plain_layout(m))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (layout_find(m->from, "geometry", needed[i].name, &member) || member.size != needed[i].size)
			return false;
	return true;
}

/* Makes the arithmetic of a mapping from its prefixes; that of a record without a mapping stays all zeros. */
static void make_geometry(struct geometry *g)
{
	struct geometry made;

	if (g->out_plen == PLEN_NONE)
		made = mapping_untranslated(g->in_base, ~prefix_mask(g->in_plen));
	else if (!g->ports_per_host || mapping_geometry(g->in_base, g->in_plen, g->out_base, g->out_plen, &made) ||
		 made.ports_per_host != g->ports_per_host)
		return;
	made.flags = g->flags;
	*g = made;
}

int migration_copy_mappings(const struct migration *m, struct mapping_table *ret)
{
	int r = layout_copy(m->from, m->to, "mapping_table", m->table, ret);

	for (unsigned i = 0; !r && is_plain_layout(m) && i < MAX_MAPPINGS; i++)
		make_geometry(&ret->mapping[i].geo);
	return r;
}
