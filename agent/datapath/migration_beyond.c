/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes over the hash of sessions beyond the slots that layouts before had. */
#include <errno.h>

#include "datapath/former_hash.h"
#include "datapath/migration_private.h"

bool migration_beyond_fits(const struct migration *m)
{
	_cleanup_close_ int map = migration_pin(m->pin_dir, PIN_HASH);

	return !hash_is_former(map) || hash_layout_fits(m->from);
}

int migration_beyond_open(struct migration *m)
{
	int map = migration_pin(m->pin_dir, PIN_HASH);

	if (map >= 0 && hash_is_former(map))
		return former_sessions_of_layout(map, m->from, m->resumed, &m->beyond);
	close_fd(&map);
	return 0;
}

int migration_beyond_copy(struct datapath *d, struct migration *m, const struct migration_row *row)
{
	int r = migration_beyond_open(m);

	if (r || !m->beyond)
		return r;
	/* Of the old table. None is in the hash any more. */
	__atomic_store_n(&d->global->beyond, 0, __ATOMIC_RELEASE);
	return former_sessions_bring_over(d, m->beyond);
}
