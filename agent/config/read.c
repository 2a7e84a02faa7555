/* SPDX-License-Identifier: BSD-2-Clause */
/* Objects and values read from JSON by the tables of config/fields.c. */
#include <errno.h>
#include <string.h>

#include "base/spelling.h"
#include "base/text.h"
#include "config/fields.h"

/* A value as messages quote it, shortened. */
static void describe(const cJSON *json, char *text, size_t size)
{
	if (cJSON_IsString(json)) {
		text_quote(text, size, json->valuestring, strlen(json->valuestring));
	} else if (cJSON_IsNumber(json)) {
		snprintf(text, size, "%.15g", json->valuedouble);
	} else {
		snprintf(text, size, "%s",
			 cJSON_IsBool(json)	? (cJSON_IsTrue(json) ? "true" : "false")
			 : cJSON_IsNull(json)	? "null"
			 : cJSON_IsObject(json) ? "an object"
						: "a list");
	}
}

int field_read(struct reader *r, const cJSON *json, const struct field *f, void *base)
{
	int ret = f->type->read(r, json, f, (char *)base + f->offset);

	if (ret == -ENOMEM)
		return reader_no_memory(r);
	if (ret == -EINVAL && f->type->expected) {
		char expected[128], found[64];

		f->type->expected(f, expected, sizeof(expected));
		describe(json, found, sizeof(found));
		return reader_refuse(r, json, "must be %s, not %s", expected, found);
	}
	return ret == -EBADMSG ? -EINVAL : ret;
}

static const struct field *find_field(const struct fields *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->field[i].name, name) == 0)
			return &t->field[i];
	return NULL;
}

/* A key that no object here has, and the one that may be meant. */
static int refuse_unknown(struct reader *r, const cJSON *value, const struct fields *t)
{
	struct spelling s = {};

	for (size_t i = 0; i < t->n; i++)
		spelling_offer(&s, value->string, t->field[i].name);
	return s.meant ? reader_refuse(r, value, "unknown key; did you mean %s?", s.meant)
		       : reader_refuse(r, value, "unknown key");
}

int fields_read(struct reader *r, const cJSON *json, const struct fields *t, void *base)
{
	uint64_t seen = 0;
	const cJSON *value;

	if (!cJSON_IsObject(json))
		return reader_refuse(r, json, "must be an object");

	cJSON_ArrayForEach (value, json) {
		const struct field *f = find_field(t, value->string);
		size_t before = json_path_add_key(&r->path, value->string, strlen(value->string));
		int ret;

		if (!f)
			return refuse_unknown(r, value, t);
		if (seen & 1ULL << (f - t->field))
			return reader_refuse(r, value, "this key is here twice");
		seen |= 1ULL << (f - t->field);
		ret = field_read(r, value, f, base);
		if (ret < 0)
			return ret;
		json_path_cut(&r->path, before);
	}

	for (size_t i = 0; i < t->n; i++) {
		if (t->field[i].required && !(seen & 1ULL << i)) {
			json_path_add_key(&r->path, t->field[i].name, strlen(t->field[i].name));
			return reader_refuse(r, json, "this key is missing");
		}
	}
	return 0;
}

/* The lines of values that are checked only together with others: those of whole objects. */

static const char *const objects[] = { "pcp", "replication", "leases", "attack", "suspects", "metrics" };

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

/* Adds a value and those in it. The rules for keys, already applied, limit their depth. */
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

/* Lists with a maximum size, kept in the structure itself. */

int elements_read(struct reader *r, const cJSON *json, void *array, element_read read, uint32_t max,
		  const char *of_what, uint32_t *ret_n)
{
	const cJSON *element;
	uint32_t n = 0;

	if (!cJSON_IsArray(json) || !json->child)
		return reader_refuse(r, json, "must be a list of %s", of_what);
	cJSON_ArrayForEach (element, json) {
		size_t before = json_path_add_index(&r->path, n);
		int ret;

		if (n == max)
			return reader_refuse(r, element, "more than %u %s", max, of_what);
		ret = read(r, element, array, n);
		if (ret < 0)
			return ret;
		n++;
		json_path_cut(&r->path, before);
	}
	*ret_n = n;
	return 0;
}

int element_repeated(struct reader *r, const cJSON *json)
{
	return reader_refuse(r, json, "is in this list already");
}

int element_mapping_read(struct reader *r, const cJSON *json, void *array, uint32_t n)
{
	char(*names)[LABEL_TEXT] = array;

	if (!cJSON_IsString(json) || !label_valid(json->valuestring))
		return reader_refuse(r, json, "must be the name of a mapping");
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(names[i], json->valuestring))
			return element_repeated(r, json);
	snprintf(names[n], LABEL_TEXT, "%s", json->valuestring);
	return 0;
}

cJSON *element_mappings_write(const char (*names)[LABEL_TEXT], uint32_t n)
{
	_cleanup_json_ cJSON *list = cJSON_CreateArray();

	for (uint32_t i = 0; list && i < n; i++)
		if (json_append(list, cJSON_CreateString(names[i])))
			return NULL;
	return take_pointer(list);
}
