/* SPDX-License-Identifier: BSD-2-Clause */
/* Sources of leases: whether detnat-leases may read what it has to, and for how long leases are kept. */
#include <string.h>
#include <unistd.h>

#include "diagnosis/doctor_private.h"
#include "host/accounts.h"
#include "identity/secret_file.h"

static void examine_secret(struct doctor *d, const char *path)
{
	if (access(path, F_OK))
		doctor_say(d, DOCTOR_FAILURE, "%s does not exist: no access server gets an answer", path);
	else if (!account_may_read(LEASES_USER, path))
		doctor_say(d, DOCTOR_FAILURE,
			   "%s cannot be read by the service, which runs as user " LEASES_USER ": `chown " LEASES_USER
			   ": %s`",
			   path, path);
}

static void examine_secrets(struct doctor *d, const struct config_lease_source *s)
{
	const char *path, *key;

	for (uint32_t n = 0; (path = config_lease_secret(s, n, &key)); n++)
		examine_secret(d, path);
}

/* Servers make their files anew, so rights are given by a group. */
static void examine_file(struct doctor *d, const char *path)
{
	if (!account_may_read(LEASES_USER, path))
		doctor_say(d, DOCTOR_FAILURE,
			   "%s cannot be read by the service, which runs as user " LEASES_USER
			   ": SupplementaryGroups= with the group of the file or of its directory in a drop-in of "
			   "detnat-leases.service",
			   path);
	else if (access(path, F_OK))
		doctor_say(d, DOCTOR_WARNING, "%s does not exist yet", path);
}

void doctor_leases(struct doctor *d)
{
	const struct config_leases *c = &d->config->leases;
	unsigned before = d->count[DOCTOR_FAILURE] + d->count[DOCTOR_WARNING];

	for (uint32_t i = 0; i < c->n; i++) {
		if (c->source[i].type == SOURCE_RADIUS)
			examine_secrets(d, &c->source[i]);
		else
			examine_file(d, c->source[i].path);
	}
	if (c->n && !c->retention)
		doctor_say(d, DOCTOR_WARNING,
			   "leases are kept for ever, as there is no `lease_retention`; they are about persons");
	if (before != d->count[DOCTOR_FAILURE] + d->count[DOCTOR_WARNING])
		return;
	if (c->n)
		doctor_say(d, DOCTOR_OK, "%u source%s, kept for %u days", c->n, c->n == 1 ? "" : "s", c->retention);
	else
		doctor_say(d, DOCTOR_OK, "none are recorded");
}
