/* SPDX-License-Identifier: BSD-2-Clause */
/* On which lines of the file values stand that are checked only with others: those of whole objects. */
#include <errno.h>
#include <string.h>

#include "config/fields.h"

static const char *const objects[] = { "pcp", "replication", "metrics" };

static int add(struct config *c, const char *path, unsigned line)
{
	struct config_line *lines = realloc(c->lines, (c->n_lines + 1) * sizeof(*lines));

	if (!lines)
		return -ENOMEM;
	c->lines = lines;
	snprintf(lines[c->n_lines].path, sizeof(lines->path), "%.47s", path);
	lines[c->n_lines++].line = line;
	return 0;
}

/* Adds a value and those in it. They are as deep as the rules for keys allow, which have been applied. */
static int add_all(struct config *c, const cJSON *json, struct json_path *path) /* NOLINT(misc-no-recursion) */
{
	const cJSON *child;
	size_t n = 0;
	int r = add(c, path->text, json_line(json));

	cJSON_ArrayForEach (child, json) {
		size_t before = child->string ? json_path_add_key(path, child->string, strlen(child->string))
					      : json_path_add_index(path, n++);

		if (!r)
			r = add_all(c, child, path);
		json_path_cut(path, before);
	}
	return r;
}

int config_lines_read(struct config *c, const cJSON *document)
{
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(objects); i++) {
		const cJSON *json = cJSON_GetObjectItemCaseSensitive(document, objects[i]);
		struct json_path path = { 0 };

		json_path_add_key(&path, objects[i], strlen(objects[i]));
		if (json)
			r = add_all(c, json, &path);
	}
	return r;
}

unsigned config_line(const struct config *c, const char *path)
{
	for (size_t i = 0; i < c->n_lines; i++)
		if (!strcmp(c->lines[i].path, path))
			return c->lines[i].line;
	return 0;
}
