/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "base/json_scan.h"

/* Longer keys cannot be valid ones. */
#define KEY_SHOWN 48U

static void append(struct json_path *p, const char *text, size_t size)
{
	for (size_t i = 0; i < size && p->length + 1 < sizeof(p->text); i++)
		p->text[p->length++] = (char)(text[i] > ' ' && text[i] < 0x7f ? text[i] : '?');
	p->text[p->length] = '\0';
}

size_t json_path_add_key(struct json_path *p, const char *key, size_t size)
{
	size_t before = p->length;

	if (before)
		append(p, ".", 1);
	if (!size)
		append(p, "\"\"", 2);
	append(p, key, size < KEY_SHOWN ? size : KEY_SHOWN);
	if (size > KEY_SHOWN)
		append(p, "...", 3);
	return before;
}

size_t json_path_add_index(struct json_path *p, size_t index)
{
	size_t before = p->length;
	char text[24] = "";

	snprintf(text, sizeof(text), "[%zu]", index);
	append(p, text, strlen(text));
	return before;
}

void json_path_cut(struct json_path *p, size_t length)
{
	p->length = length;
	p->text[length] = '\0';
}
