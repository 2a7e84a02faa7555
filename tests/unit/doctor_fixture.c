/* SPDX-License-Identifier: BSD-2-Clause */
#include "doctor_fixture.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

char doctor_root[] = "/tmp/detnat-doctor.XXXXXX";
char doctor_said[DOCTOR_SAID];

void doctor_tree_begin(void)
{
	cr_assert_not_null(mkdtemp(doctor_root));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path);
}

void doctor_tree_end(void)
{
	nftw(doctor_root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Makes a file below the root, with its directories. */
void doctor_put(const char *path, const char *content)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", doctor_root, path);
	for (char *slash = full + strlen(doctor_root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		mkdir(full, 0700);
	}

	FILE *f = fopen(full, "w");

	cr_assert_not_null(f, "%s", full);
	fputs(content, f);
	fclose(f);
}

void doctor_collect(struct doctor *d, enum doctor_level level, const char *text)
{
	snprintf(doctor_said + strlen(doctor_said), sizeof(doctor_said) - strlen(doctor_said), "%s\n", text);
}

void doctor_tree_clear(void)
{
	doctor_tree_end();
	mkdir(doctor_root, 0700);
	doctor_said[0] = '\0';
}

enum doctor_level doctor_worst(const struct doctor *d)
{
	enum doctor_level worst = DOCTOR_OK;

	for (int level = 0; level < DOCTOR_N_LEVELS; level++)
		if (d->count[level])
			worst = level;
	return worst;
}
