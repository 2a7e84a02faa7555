// SPDX-License-Identifier: BSD-2-Clause
/* MikroTik RouterOS: address lists, and the keys of a line. */
#include <string.h>

#include "import/format_routeros.h"

const char *routeros_value(const struct import_lines *l, unsigned from, const char *key)
{
	size_t n = strlen(key);

	for (unsigned i = from; i < l->n_words; i++)
		if (import_begins(l->word[i], key) && l->word[i][n] == '=')
			return l->word[i] + n + 1;
	return NULL;
}

const struct routeros_list *routeros_list_find(const struct routeros *r, const char *name)
{
	for (size_t i = 0; i < r->n_lists; i++)
		if (!strcmp(r->list[i].name, name))
			return r->list[i].open ? NULL : &r->list[i];
	return NULL;
}

static struct routeros_list *list_of(struct routeros *r, const char *name)
{
	struct routeros_list *list = r->list;

	for (size_t i = 0; i < r->n_lists; i++)
		if (!strcmp(list[i].name, name))
			return &list[i];
	list = realloc(list, (r->n_lists + 1) * sizeof(*list));
	if (!list) {
		import_fail(r->m, "out of memory");
		return NULL;
	}
	r->list = list;
	list += r->n_lists++;
	*list = (struct routeros_list){};
	snprintf(list->name, sizeof(list->name), "%.63s", name);
	return list;
}

void routeros_list_take(struct routeros *r, unsigned from)
{
	const char *name = routeros_value(r->l, from, "list"), *address = routeros_value(r->l, from, "address");
	const char *disabled = routeros_value(r->l, from, "disabled");
	struct routeros_list *list;
	struct import_range range;

	if (!name || !address || (disabled && (!strcmp(disabled, "yes") || !strcmp(disabled, "true"))))
		return;
	list = list_of(r, name);
	if (!list)
		return;
	if (import_range_parse(address, &range) || routeros_value(r->l, from, "timeout"))
		list->open = true;
	else
		import_ranges_add(r->m, &list->range, range);
}
