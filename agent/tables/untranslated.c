// SPDX-License-Identifier: BSD-2-Clause
/* The map `untranslated` of <detnat/tables.h>: the prefixes of mappings without an outside one. */
#include <arpa/inet.h>
#include <bpf/bpf.h>

#include "tables/mapping_tables.h"

static struct prefix_key key_of(const struct geometry *g)
{
	return (struct prefix_key){ g->in_plen, htonl(g->in_base) };
}

int mappings_show_untranslated(const struct mappings *m, const struct geometry *g)
{
	const struct prefix_key key = key_of(g);
	const uint32_t none = 0;

	return g->out_plen == PLEN_NONE ? bpf_map_update_elem(m->d->untranslated, &key, &none, BPF_ANY) : 0;
}

void mappings_hide_untranslated(const struct mappings *m, const struct geometry *g)
{
	const struct prefix_key key = key_of(g);

	if (g->out_plen == PLEN_NONE)
		bpf_map_delete_elem(m->d->untranslated, &key);
}
