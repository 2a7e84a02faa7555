// SPDX-License-Identifier: BSD-2-Clause
/* The map `untranslated` of <detnat/tables.h>: the prefixes of mappings without an outside one. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>

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

static bool is_untranslated(const struct mappings *m, const struct prefix_key *key)
{
	int number = mappings_find(m, (struct prefix){ ntohl(key->addr), (uint8_t)key->plen }, PREFIX_NONE);

	return number >= 0;
}

int mappings_settle_untranslated(const struct mappings *m)
{
	struct prefix_key key, before, *at = NULL;
	unsigned n = 0;

	while (n++ < MAX_MAPPINGS && !bpf_map_get_next_key(m->d->untranslated, at, &key)) {
		if (!is_untranslated(m, &key)) {
			bpf_map_delete_elem(m->d->untranslated, &key);
			/* From the beginning: the place of a key that is gone is not known. */
			at = NULL;
			continue;
		}
		before = key;
		at = &before;
	}
	for (int number = mappings_next(m, 0); number >= 0; number = mappings_next(m, number + 1)) {
		int r = mappings_show_untranslated(m, &mappings_get(m, number)->geo);

		if (r)
			return r;
	}
	return 0;
}
