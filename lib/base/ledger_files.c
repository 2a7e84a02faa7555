/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/ledger_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array_grow.h"
#include "base/base.h"
#include "base/timestamp.h"

#define SUFFIX ".jsonl"

static const struct {
	const char *word;
	size_t size; /* of the time in a name */
} kinds[] = {
#define X(constant, word, size) [constant] = { word, size },
	LEDGER_KINDS(X)
#undef X
};

const char *ledger_file_name(enum ledger_kind kind, int64_t time, char ret[static LEDGER_NAME])
{
	char text[TIME_TEXT];

	snprintf(ret, LEDGER_NAME, "%s-%.*s" SUFFIX, kinds[kind].word, (int)kinds[kind].size, time_format(time, text));
	return ret;
}

const char *ledger_index_name(const char *file, char ret[static LEDGER_NAME])
{
	size_t word = strcspn(file, "-"), time = strcspn(file + word, ".");

	snprintf(ret, LEDGER_NAME, "%.*s.index%.*s", (int)word, file, (int)time, file + word);
	return ret;
}

int ledger_file_begin(enum ledger_kind kind, const char *name, int64_t *ret)
{
	size_t word = strlen(kinds[kind].word) + 1;
	char day[] = "YYYY-MM-01", again[LEDGER_NAME];

	if (strlen(name) != word + kinds[kind].size + strlen(SUFFIX))
		return -EINVAL;
	memcpy(day, name + word, kinds[kind].size);
	return time_parse(day, ret) || strcmp(ledger_file_name(kind, *ret, again), name) != 0 ? -EINVAL : 0;
}

bool ledger_file_named(const char *name)
{
	int64_t begin;

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!ledger_file_begin((enum ledger_kind)i, name, &begin))
			return true;
	return false;
}

bool ledger_index_named(const char *name)
{
	size_t word = strcspn(name, ".");
	char file[LEDGER_NAME];

	return !strncmp(name + word, ".index", strlen(".index")) &&
	       snprintf(file, sizeof(file), "%.*s%s" SUFFIX, (int)word, name, name + word + strlen(".index")) <
		       LEDGER_NAME &&
	       ledger_file_named(file);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int add_name(struct ledger_names *names, size_t *room, const char *name)
{
	if (array_grow(&names->name, names->n, room, sizeof(*names->name)))
		return -ENOMEM;
	memcpy(names->name[names->n++], name, strlen(name) + 1); /* it has the length of the form */
	return 0;
}

int ledger_files_list(const char *dir, enum ledger_kind kind, struct ledger_names *ret, struct error *err)
{
	struct ledger_names names = { 0 };
	const struct dirent *entry;
	DIR *d = opendir(dir);
	size_t room = 0;
	int64_t begin;
	int r = 0;

	if (!d)
		return error_set(err, -errno, "no %s at %.200s: %s%s", kinds[kind].word, dir, strerror(errno),
				 kind == LEDGER_LEASES ? "; --leases names their directory" : "");
	while (!r && (entry = readdir(d)))
		if (!ledger_file_begin(kind, entry->d_name, &begin))
			r = add_name(&names, &room, entry->d_name);
	closedir(d);
	if (r) {
		free(names.name);
		return error_set(err, r, "out of memory");
	}
	if (names.n)
		qsort(names.name, names.n, sizeof(*names.name), compare_names);
	*ret = names;
	return 0;
}
