/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes over the hash of sessions beyond the slots that layouts before had. */
#include <errno.h>

#include "datapath/migration_private.h"

bool migration_beyond_fits(const struct migration *m)
{
	return former_sessions_fit(m->from);
}

int migration_beyond_open(const struct datapath *d, struct migration *m)
{
	int map = migration_is_shared(d, m, PIN_OVERFLOW) ? -ENOENT : migration_pin(m->pin_dir, PIN_OVERFLOW);

	return map < 0 ? 0 : former_sessions_of_layout(map, m->from, m->resumed, &m->beyond);
}

int migration_beyond_copy(struct datapath *d, struct migration *m, const struct migration_row *row)
{
	int r = migration_beyond_open(d, m);

	if (r || !m->beyond)
		return r;
	/* Of the old table. None is in the hash any more. */
	__atomic_store_n(&d->global->overflow, 0, __ATOMIC_RELEASE);
	return former_sessions_bring_over(d, m->beyond);
}
