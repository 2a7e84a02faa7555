// SPDX-License-Identifier: BSD-2-Clause
#include "proto/label.h"

#include <string.h>

#include "base/text.h"

bool label_valid(const char *text)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t size = strlen(text);

	if (!size || size >= LABEL_TEXT || *text == '-' || strspn(text, allowed) != size)
		return false;
	/* A mistyped address must not pass for a name. */
	return !strchr(text, '.') || strspn(text, "0123456789.") != size;
}

bool comment_valid(const char *text)
{
	return strlen(text) < COMMENT_TEXT && text_printable(text);
}
