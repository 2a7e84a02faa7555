/* SPDX-License-Identifier: BSD-2-Clause */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/text.h"

/* Longer keys cannot be valid ones. */
#define KEY_SHOWN 48U

static void append(struct json_path *p, const char *text, size_t size)
{
	for (size_t i = 0; i < size && p->length + 1 < sizeof(p->text); i++)
		p->text[p->length++] = text[i];
	p->text[p->length] = '\0';
}

/* Whether a key looks like one, and not like a piece of a path or of a message. */
static bool is_word(const char *key, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!isalnum((unsigned char)key[i]) && key[i] != '_' && key[i] != '-')
			return false;
	return size;
}

static void append_quoted(struct json_path *p, const char *text, size_t size)
{
	size_t room = sizeof(p->text) - p->length;

	if (room > sizeof("\"\"..."))
		p->length += text_quote(p->text + p->length, room < KEY_SHOWN + 6 ? room : KEY_SHOWN + 6, text, size);
}

size_t json_path_add_key(struct json_path *p, const char *key, size_t size)
{
	size_t before = p->length;

	if (before)
		append(p, ".", 1);
	if (size <= KEY_SHOWN && is_word(key, size))
		append(p, key, size);
	else
		append_quoted(p, key, size);
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
