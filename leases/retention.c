/* SPDX-License-Identifier: BSD-2-Clause */
#include "retention.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "leases/lease_files.h"

/* Requests that no server of the configuration gets any more. */
static void remove_forwards(const char *dir, int64_t limit)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	struct stat st;

	while (d && (entry = readdir(d)))
		if (!strncmp(entry->d_name, SPOOL_PREFIX, strlen(SPOOL_PREFIX)) &&
		    !fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode) &&
		    st.st_mtime < limit)
			unlinkat(dirfd(d), entry->d_name, 0);
	if (d)
		closedir(d);
}

int retention_tick(struct expiry_day *r, const char *dir, uint32_t days, int64_t now, int64_t boot_s,
		   struct chain_tip *ret_tip, unsigned *ret_removed, struct error *err)
{
	const struct ledger_expiry x = { .dir = dir, .kind = LEDGER_LEASES, .before = now - (int64_t)days * DAY_S };
	int ret = 0;

	if (!expiry_due(r, now, boot_s))
		return 0;
	*ret_removed = 0;
	if (days)
		ret = ledger_expire(&x, now, ret_removed, err);
	if (days)
		remove_forwards(dir, x.before);
	if (!ret && ledger_tip(dir, ret_tip))
		*ret_tip = (struct chain_tip){ .hash = HASH_NONE };
	if (ret)
		return ret;
	expiry_done(r, now);
	return 1;
}
