/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turns one document of the configuration into another by a JSON patch (RFC 6902). Mappings are identified by their
 * inside prefix and tenant, portmaps by protocol, inside endpoint and tenant, elements of other lists by their value;
 * the order of a list does not matter. "was" is a member of our own, which other programs ignore by RFC 6902 section 4.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "config/fields.h"

#define POINTER_TEXT 128

struct patch {
	cJSON *list;
	bool failed; /* out of memory */
};

static void add_operation(struct patch *p, const char *op, const char *path, const cJSON *value, const cJSON *was)
{
	cJSON *json = cJSON_CreateObject();

	if (!json || !cJSON_AddStringToObject(json, "op", op) || !cJSON_AddStringToObject(json, "path", path) ||
	    (value && json_add(json, "value", cJSON_Duplicate(value, true))) ||
	    (was && json_add(json, "was", cJSON_Duplicate(was, true)))) {
		cJSON_Delete(json);
		p->failed = true;
		return;
	}
	p->failed |= json_append(p->list, json) != 0;
}

static void compare(struct patch *p, const char *path, const cJSON *from, const cJSON *to);

/* No key of the configuration has a character that a JSON pointer escapes. */
static void compare_objects(struct patch *p, const char *path, const cJSON *from, const cJSON *to)
{
	char below[POINTER_TEXT];
	const cJSON *item;

	cJSON_ArrayForEach (item, from) {
		const cJSON *now = cJSON_GetObjectItemCaseSensitive(to, item->string);

		snprintf(below, sizeof(below), "%s/%s", path, item->string);
		if (now)
			compare(p, below, item, now);
		else
			add_operation(p, "remove", below, NULL, item);
	}
	cJSON_ArrayForEach (item, to) {
		snprintf(below, sizeof(below), "%s/%s", path, item->string);
		if (!cJSON_GetObjectItemCaseSensitive(from, item->string))
			add_operation(p, "add", below, item, NULL);
	}
}

/* Whether two objects have the same member of a name, or neither has one. */
static bool same_member(const cJSON *a, const cJSON *b, const char *name)
{
	const cJSON *of_a = cJSON_GetObjectItemCaseSensitive(a, name),
		    *of_b = cJSON_GetObjectItemCaseSensitive(b, name);

	return of_a && of_b ? cJSON_Compare(of_a, of_b, true) : !of_a && !of_b;
}

/* Whether two elements of lists denote the same thing. */
static bool same_element(const cJSON *a, const cJSON *b)
{
	if (cJSON_HasObjectItem(a, "in") && cJSON_HasObjectItem(b, "in"))
		return same_member(a, b, "in") && same_member(a, b, "proto") && same_member(a, b, "tenant");
	return cJSON_Compare(a, b, true);
}

static uint64_t text_hash(const cJSON *json)
{
	const char *text = cJSON_GetStringValue(cJSON_IsArray(json) ? json->child : json);

	return text ? hash_octets(text, strlen(text)) : 0;
}

/* Equal for all that denote the same thing. */
static uint64_t element_hash(const cJSON *element)
{
	const cJSON *in = cJSON_GetObjectItemCaseSensitive(element, "in");

	if (!cJSON_IsObject(element))
		return text_hash(element);
	if (!in)
		return text_hash(cJSON_GetObjectItemCaseSensitive(element, "name"));
	return HASH_OF(text_hash(in), text_hash(cJSON_GetObjectItemCaseSensitive(element, "proto")),
		       text_hash(cJSON_GetObjectItemCaseSensitive(element, "tenant")));
}

/* The elements of a list, by number and by what they denote. */
struct elements {
	const cJSON **item;
	uint32_t n;
	struct hash_index index;
};

static void elements_free(struct elements *e)
{
	free(e->item);
	hash_index_free(&e->index);
}

/* 0 or -ENOMEM. */
static int elements_of(const cJSON *list, struct elements *ret)
{
	const cJSON *item;

	ret->item = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(void *));
	if (!ret->item)
		return -ENOMEM;
	cJSON_ArrayForEach (item, list) {
		ret->item[ret->n] = item;
		if (hash_index_add(&ret->index, element_hash(item), ret->n++))
			return -ENOMEM;
	}
	return 0;
}

/* The first element that denotes the same thing, or NULL. */
static const cJSON *find_element(const struct elements *e, const cJSON *wanted)
{
	uint32_t number, found = UINT32_MAX;

	for (uint32_t step = 0; hash_index_next(&e->index, element_hash(wanted), &step, &number);)
		if (number < found && same_element(e->item[number], wanted))
			found = number;
	return found < UINT32_MAX ? e->item[found] : NULL;
}

/* Elements are removed from the last to the first, so that the numbers of those before them stay; then others change.
 */
static void compare_lists(struct patch *p, const char *path, const cJSON *from, const cJSON *to)
{
	__attribute__((cleanup(elements_free))) struct elements before = { 0 }, after = { 0 };
	char below[POINTER_TEXT];
	int number = 0;

	if (elements_of(from, &before) || elements_of(to, &after)) {
		p->failed = true;
		return;
	}
	for (uint32_t i = before.n; i > 0; i--) {
		snprintf(below, sizeof(below), "%s/%u", path, i - 1);
		if (!find_element(&after, before.item[i - 1]))
			add_operation(p, "remove", below, NULL, before.item[i - 1]);
	}
	for (uint32_t i = 0; i < before.n; i++) {
		const cJSON *now = find_element(&after, before.item[i]);

		if (!now)
			continue;
		snprintf(below, sizeof(below), "%s/%d", path, number++);
		compare(p, below, before.item[i], now);
	}
	snprintf(below, sizeof(below), "%s/-", path);
	for (uint32_t i = 0; i < after.n; i++)
		if (!find_element(&before, after.item[i]))
			add_operation(p, "add", below, after.item[i], NULL);
}

static void compare(struct patch *p, const char *path, const cJSON *from, const cJSON *to)
{
	if (cJSON_IsObject(from) && cJSON_IsObject(to))
		compare_objects(p, path, from, to);
	else if (cJSON_IsArray(from) && cJSON_IsArray(to))
		compare_lists(p, path, from, to);
	else if (!cJSON_Compare(from, to, true))
		add_operation(p, "replace", path, to, from);
}

cJSON *config_patch(const cJSON *from, const cJSON *to)
{
	struct patch p = { .list = cJSON_CreateArray() };

	if (!p.list)
		return NULL;
	compare(&p, "", from, to);
	if (p.failed) {
		cJSON_Delete(p.list);
		return NULL;
	}
	return p.list;
}
