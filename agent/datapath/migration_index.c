/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes over prefix indexes of another size: before layout 8 they had 4096 nodes, for 1024 mappings. An entry means the
 * same in both, and no agent changes the old ones any more, so a copy before the programs are exchanged is enough.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "datapath/migration_private.h"

bool migration_index_fits(const struct migration *m)
{
	struct layout_member entries, nodes;

	return !layout_find(m->from, "index_node", "entry", &entries) && entries.size == sizeof(struct index_node) &&
	       !layout_find(m->from, "index_table", "node", &nodes) && !nodes.offset &&
	       nodes.size <= sizeof(struct index_table);
}

/* Whether each entry leads to a mapping or a node that this layout can have. */
static bool is_within(const struct index_node *nodes, size_t n)
{
	for (size_t node = 0; node < n; node++)
		for (size_t i = 0; i < ARRAY_SIZE(nodes->entry); i++) {
			uint16_t entry = nodes[node].entry[i];

			if ((entry & ~INDEX_LEAF) >= (entry & INDEX_LEAF ? MAX_MAPPINGS : n))
				return false;
		}
	return true;
}

static int copy(const struct migration *m, const char *pin, struct index_node *to)
{
	struct layout_member nodes;
	size_t size;
	_cleanup_close_ int fd = migration_pin(m->pin_dir, pin);
	void *from = migration_mmap(fd, &size);
	int r = from ? 0 : errno_or(EIO);

	if (!r && (layout_find(m->from, "index_table", "node", &nodes) || nodes.size > size ||
		   !is_within(from, nodes.size / sizeof(struct index_node))))
		r = -EXDEV;
	if (!r)
		memcpy(to, from, nodes.size);
	if (from)
		munmap(from, size);
	return r;
}

int migration_index_copy(struct datapath *d, struct migration *m, const struct migration_row *row)
{
	if (migration_is_shared(d, m, row->pin))
		return 0;
	return copy(m, row->pin, strcmp(row->pin, "in_index") ? d->out_nodes : d->in_nodes);
}
