/* SPDX-License-Identifier: BSD-2-Clause */
/* What `config diff` says: applied to the one document, the patch makes the other of it. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"
#include "config/config.h"

/* The last name of a JSON pointer, and the value that holds it; NULL: there is none. */
static cJSON *holder_of(cJSON *document, const char *pointer, char last[static 128])
{
	cJSON *at = document;

	for (;;) {
		size_t size = strcspn(++pointer, "/");

		snprintf(last, 128, "%.*s", (int)size, pointer);
		pointer += size;
		if (!*pointer || !at)
			return at;
		at = cJSON_IsArray(at) ? cJSON_GetArrayItem(at, atoi(last))
				       : cJSON_GetObjectItemCaseSensitive(at, last);
	}
}

/* Applies one operation as RFC 6902 sections 4.1 to 4.3 have it. false: it does not fit. */
static bool apply_operation(cJSON *document, const cJSON *operation)
{
	const char *op = cJSON_GetStringValue(cJSON_GetObjectItem(operation, "op"));
	const cJSON *value = cJSON_GetObjectItem(operation, "value"), *was = cJSON_GetObjectItem(operation, "was");
	char last[128];
	cJSON *holder = holder_of(document, cJSON_GetStringValue(cJSON_GetObjectItem(operation, "path")), last), *old;

	if (!holder)
		return false;
	if (cJSON_IsArray(holder) && !strcmp(last, "-"))
		return !strcmp(op, "add") && cJSON_AddItemToArray(holder, cJSON_Duplicate(value, true));
	old = cJSON_IsArray(holder) ? cJSON_GetArrayItem(holder, atoi(last))
				    : cJSON_GetObjectItemCaseSensitive(holder, last);
	if (!strcmp(op, "add"))
		return !old && cJSON_AddItemToObject(holder, last, cJSON_Duplicate(value, true));
	if (!old || !was || !cJSON_Compare(old, was, true))
		return false;
	if (!strcmp(op, "remove")) {
		cJSON_Delete(cJSON_DetachItemViaPointer(holder, old));
		return true;
	}
	if (strcmp(op, "replace") != 0)
		return false;
	return cJSON_IsArray(holder)
		       ? cJSON_ReplaceItemViaPointer(holder, old, cJSON_Duplicate(value, true))
		       : cJSON_ReplaceItemInObjectCaseSensitive(holder, last, cJSON_Duplicate(value, true));
}

/* Whether the documents are equal but for the order of lists. */
static bool same(const cJSON *a, const cJSON *b)
{
	const cJSON *item;

	if (cJSON_IsObject(a) && cJSON_IsObject(b)) {
		if (cJSON_GetArraySize(a) != cJSON_GetArraySize(b))
			return false;
		cJSON_ArrayForEach (item, a)
			if (!same(item, cJSON_GetObjectItemCaseSensitive(b, item->string)))
				return false;
		return true;
	}
	if (cJSON_IsArray(a) && cJSON_IsArray(b)) {
		if (cJSON_GetArraySize(a) != cJSON_GetArraySize(b))
			return false;
		cJSON_ArrayForEach (item, a) {
			const cJSON *other;
			bool found = false;

			cJSON_ArrayForEach (other, b)
				found |= same(item, other);
			if (!found)
				return false;
		}
		return true;
	}
	return cJSON_Compare(a, b, true);
}

static void expect_patch(const cJSON *from, const cJSON *to, const char *what)
{
	_cleanup_json_ cJSON *patch = config_patch(from, to), *patched = cJSON_Duplicate(from, true);
	char *patch_text = cJSON_PrintUnformatted(patch), *from_text = cJSON_PrintUnformatted(from),
	     *to_text = cJSON_PrintUnformatted(to);
	const cJSON *operation;

	cr_assert_not_null(patch);
	cJSON_ArrayForEach (operation, patch)
		cr_assert(apply_operation(patched, operation), "%s: %s does not apply to %s", what, patch_text,
			  from_text);
	cr_assert(same(patched, to), "%s: %s and %s do not make %s", what, from_text, patch_text, to_text);
	cr_assert_eq(!patch->child, same(from, to), "%s: %s", what, patch_text);
	free(patch_text);
	free(from_text);
	free(to_text);
}

Test(config_patch, makes_the_one_document_the_other)
{
	static const struct {
		const char *from, *to, *patch; /* NULL: any that does */
	} rows[] = {
		{ "{}", "{}", "[]" },
		{ "{\"a\":1}", "{}", "[{\"op\":\"remove\",\"path\":\"/a\",\"was\":1}]" },
		{ "{}", "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":1}]" },
		{ "{\"a\":1}", "{\"a\":\"1\"}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":\"1\",\"was\":1}]" },
		{ "{\"a\":{\"b\":true}}", "{\"a\":{\"b\":false}}",
		  "[{\"op\":\"replace\",\"path\":\"/a/b\",\"value\":false,\"was\":true}]" },
		{ "{\"a\":{\"b\":1}}", "{\"a\":[1]}", NULL },
		{ "{\"l\":[1,2,3]}", "{\"l\":[3,1,2]}", "[]" },
		{ "{\"l\":[1,2,3]}", "{\"l\":[]}", NULL },
		{ "{\"l\":[1,2,3]}", "{\"l\":[4,2]}", NULL },
		{ "{\"m\":[{\"in\":\"x\",\"q\":1},{\"in\":\"y\"}]}", "{\"m\":[{\"in\":\"y\",\"q\":2},{\"in\":\"z\"}]}",
		  "[{\"op\":\"remove\",\"path\":\"/m/0\",\"was\":{\"in\":\"x\",\"q\":1}},"
		  "{\"op\":\"add\",\"path\":\"/m/0/q\",\"value\":2},"
		  "{\"op\":\"add\",\"path\":\"/m/-\",\"value\":{\"in\":\"z\"}}]" },
		{ "{\"p\":[{\"proto\":\"tcp\",\"in\":\"x\"},{\"proto\":\"udp\",\"in\":\"x\"}]}",
		  "{\"p\":[{\"proto\":\"udp\",\"in\":\"x\"},{\"proto\":\"tcp\",\"in\":\"x\"}]}", "[]" },
		{ "{\"p\":[{\"proto\":\"tcp\",\"in\":\"x\"},{\"proto\":\"udp\",\"in\":\"x\"}]}",
		  "{\"p\":[{\"proto\":\"udp\",\"in\":\"x\",\"name\":\"n\"}]}",
		  "[{\"op\":\"remove\",\"path\":\"/p/0\",\"was\":{\"proto\":\"tcp\",\"in\":\"x\"}},"
		  "{\"op\":\"add\",\"path\":\"/p/0/name\",\"value\":\"n\"}]" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_json_ cJSON *from = cJSON_Parse(rows[i].from), *to = cJSON_Parse(rows[i].to);
		_cleanup_json_ cJSON *patch = config_patch(from, to);
		char *text = cJSON_PrintUnformatted(patch);

		cr_assert(from && to, "row %zu", i);
		expect_patch(from, to, rows[i].from);
		cr_expect(!rows[i].patch || !strcmp(text, rows[i].patch), "row %zu: %s", i, text);
		free(text);
	}
}

/* Random documents of the kind that configurations are, and random edits of them. */

static unsigned random_number;

static unsigned draw(unsigned below)
{
	random_number = random_number * 1103515245 + 12345;
	return (random_number >> 16) % below;
}

static cJSON *random_value(unsigned depth);

static cJSON *random_object(unsigned depth, unsigned members)
{
	cJSON *json = cJSON_CreateObject();
	char name[8];

	while (members--) {
		snprintf(name, sizeof(name), "k%u", draw(6));
		if (!cJSON_HasObjectItem(json, name))
			cJSON_AddItemToObject(json, name, random_value(depth + 1));
	}
	return json;
}

/* Mappings with different prefixes, or different words: a configuration has no list with the same element twice. */
static cJSON *random_list(unsigned depth)
{
	bool mappings = draw(2);
	cJSON *json = cJSON_CreateArray();

	for (unsigned i = 0; i < 8; i++) {
		char text[16];
		cJSON *element;

		snprintf(text, sizeof(text), "10.%u.0.0/16", i);
		if (draw(2))
			continue;
		element = mappings ? random_object(depth + 2, draw(4)) : cJSON_CreateString(text);
		if (mappings)
			cJSON_AddStringToObject(element, "in", text);
		if (draw(2))
			cJSON_AddItemToArray(json, element);
		else
			cJSON_InsertItemInArray(json, 0, element);
	}
	return json;
}

static cJSON *random_value(unsigned depth)
{
	switch (draw(depth < 3 ? 6 : 4)) {
	case 0:
		return cJSON_CreateNumber(draw(3));
	case 1:
		return cJSON_CreateBool(draw(2) == 1);
	case 2:
		return cJSON_CreateString(draw(2) ? "auto" : "");
	case 3:
		return cJSON_CreateString("\xc3\xa4 \"quoted\"\\");
	case 4:
		return random_object(depth, draw(5));
	default:
		return random_list(depth);
	}
}

/* Replaces, removes or adds members of an object or of what it holds. */
static void edit(cJSON *json, unsigned depth)
{
	for (unsigned n = draw(3) + 1; n; n--) {
		cJSON *item = cJSON_GetArrayItem(json, (int)draw(4));
		char name[8];

		snprintf(name, sizeof(name), "k%u", draw(6));
		if (item && cJSON_IsObject(item) && draw(2))
			edit(item, depth + 1);
		else if (item && draw(2))
			cJSON_Delete(cJSON_DetachItemViaPointer(json, item));
		else if (cJSON_HasObjectItem(json, name))
			cJSON_ReplaceItemInObjectCaseSensitive(json, name, random_value(depth + 1));
		else
			cJSON_AddItemToObject(json, name, random_value(depth + 1));
	}
}

Test(config_patch, holds_for_random_documents_and_edits, .timeout = 300)
{
	for (unsigned seed = 0; seed < 20000; seed++) {
		char what[32];

		random_number = seed;
		snprintf(what, sizeof(what), "seed %u", seed);

		_cleanup_json_ cJSON *from = random_object(0, draw(7)), *to = cJSON_Duplicate(from, true);

		edit(to, 0);
		expect_patch(from, to, what);
		expect_patch(to, from, what);
	}
}
