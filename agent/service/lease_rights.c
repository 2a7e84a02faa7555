/* SPDX-License-Identifier: BSD-2-Clause */
#include "service/lease_rights.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "host/accounts.h"
#include "host/paths.h"
#include "identity/secret_file.h"

#define DROP_INS "/etc/systemd/system/" LEASES_USER ".service.d"

void lease_rights_warn(const struct config *c)
{
	for (uint32_t i = 0; i < c->leases.n; i++) {
		const struct config_lease_source *s = &c->leases.source[i];
		const char *path, *key;

		if (*s->path && !account_may_read(LEASES_USER, s->path))
			log_warning("leases[%u].path: user " LEASES_USER
				    " cannot read %s: give it the group of the file or of its directory "
				    "by SupplementaryGroups= in a drop-in of detnat-leases.service",
				    i, s->path);
		for (uint32_t n = 0; (path = config_lease_secret(s, n, &key)); n++)
			if (!account_may_read(LEASES_USER, path))
				log_warning("leases[%u].%s: user " LEASES_USER " cannot read %s: `chown " LEASES_USER
					    ": %s`",
					    i, key, path, path);
	}
}

static struct unit_groups both(const struct unit_groups *a, const struct unit_groups *b, size_t without)
{
	struct unit_groups g = *a;

	for (size_t i = 0; i < b->n; i++)
		if (i != without)
			unit_groups_add(&g, b->gid[i]);
	return g;
}

/* Adds to *has as few of the other groups as it takes to read a file. */
static void gain(struct unit_groups *has, struct unit_groups needed, const char *path)
{
	struct unit_groups with = both(has, &needed, SIZE_MAX);

	if (account_may_read_with(LEASES_USER, has, path) || !account_may_read_with(LEASES_USER, &with, path))
		return;
	for (size_t i = 0; i < needed.n;) {
		with = both(has, &needed, i);
		if (account_may_read_with(LEASES_USER, &with, path))
			needed.gid[i] = needed.gid[--needed.n];
		else
			i++;
	}
	*has = both(has, &needed, SIZE_MAX);
}

/* A file that is not there at the moment will have the group of its directory, as servers make theirs anew. */
static void gain_for(struct unit_groups *has, const struct unit_groups *had, const char *path)
{
	char directory[PATH_MAX];

	snprintf(directory, sizeof(directory), "%s", path);
	if (access(path, F_OK) && strrchr(directory, '/') > directory)
		*strrchr(directory, '/') = '\0';
	gain(has, *had, directory);
}

static void print_group(FILE *out, const char *before, gid_t gid)
{
	const struct group *group = getgrgid(gid);

	if (group)
		fprintf(out, "%s%s", before, group->gr_name);
	else
		fprintf(out, "%s%u", before, gid);
}

static int write_drop_in(const struct unit_groups *g, size_t from, struct error *err)
{
	FILE *out;
	int r;

	umask(0022);
	r = path_make_directory(DROP_INS, 0755, err);
	out = r ? NULL : fopen(DROP_INS "/groups.conf", "wxe");
	if (!out)
		return r ? r : error_set(err, -errno, DROP_INS "/groups.conf cannot be made: %s", strerror(errno));
	fputs("# Groups of detnat.service and its user, by which files of leases can be read.\n"
	      "[Service]\nSupplementaryGroups=",
	      out);
	for (size_t i = from; i < g->n; i++)
		print_group(out, i == from ? "" : " ", g->gid[i]);
	fputs("\n", out);
	r = ferror(out) ? -EIO : 0;
	if (fclose(out) || r)
		return error_set(err, r ? r : -errno, DROP_INS "/groups.conf cannot be written");
	log_info(DROP_INS "/groups.conf gives detnat-leases the groups by which the agent read files of leases");
	return 0;
}

int lease_rights_carry(const struct config *c, struct error *err)
{
	struct unit_groups had, has;
	size_t before;

	if (!access(DROP_INS, F_OK) || account_groups(AGENT_USER, &had) || account_groups(LEASES_USER, &has))
		return 0;
	before = has.n;
	for (uint32_t i = 0; i < c->leases.n; i++)
		if (*c->leases.source[i].path)
			gain_for(&has, &had, c->leases.source[i].path);
	return has.n > before ? write_drop_in(&has, before, err) : 0;
}
