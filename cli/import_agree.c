// SPDX-License-Identifier: BSD-2-Clause
#include "import_agree.h"

#include <errno.h>
#include <string.h>

#include "config/config.h"

/* The name of the configuration in the agent's messages, which are "NAME:LINE: PATH: WORDS". */
#define NAME "import"

/* Parts a message of the agent. Without a path, *ret_path is empty. */
static const char *split(const char *message, char ret_path[static 64])
{
	const char *words = strstr(message, ": "), *path;
	size_t n;

	*ret_path = '\0';
	if (!words)
		return message;
	path = words + 2;
	words = strstr(path, ": ");
	n = words ? (size_t)(words - path) : 0;
	if (!n || n >= 64 || n + 1 != strcspn(path, " "))
		return path;
	snprintf(ret_path, 64, "%.*s", (int)n, path);
	return words + 2;
}

/* 0 if the agent takes what an import writes; -EINVAL with what it says. */
static int ask(const struct import *m, struct error *ret_answer)
{
	_cleanup_free_ char *text = import_write(m, "");
	_cleanup_config_ struct config *c = NULL;

	return text ? config_parse(text, strlen(text), NAME, &c, ret_answer) : -ENOMEM;
}

/* Each part by itself, so that a plan with many that are refused is not read as often as it has parts. */
static int ask_of_parts(struct import *m)
{
	for (size_t i = 0; i < m->n_parts;) {
		struct import one = import_alone(m, i);
		char path[64], number[32];
		struct error answer;
		int r = ask(&one, &answer);
		const char *words = r == -EINVAL ? split(answer.text, path) : "";

		if (r && r != -EINVAL)
			return r;
		snprintf(number, sizeof(number), "mappings[%zu]", i);
		if (r && !strncmp(path, "mappings", 8) && import_refuse(m, number, words))
			continue;
		i++;
	}
	return 0;
}

/* Names that no interface of Linux can have. */
static int ask_of_names(struct import *m, struct import_names *list, bool outside)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->n; i++) {
		struct import one = { .name = m->name };
		struct import_names name = { .name = &list->name[i], .n = 1 };
		struct error answer;
		int r;

		*(outside ? &one.outside : &one.inside) = name;
		r = ask(&one, &answer);
		if (r && r != -EINVAL)
			return r;
		if (r)
			import_refuse_interface(m, list->name[i], outside);
		else
			memmove(list->name[kept++], list->name[i], sizeof(*list->name));
	}
	list->n = kept;
	return 0;
}

int import_agree(struct import *m, struct error *err)
{
	struct error answer;
	char path[64];
	int r;

	r = ask_of_names(m, &m->inside, false);
	r = r ? r : ask_of_names(m, &m->outside, true);
	r = r ? r : ask_of_parts(m);
	while (!r) {
		r = ask(m, &answer);
		if (r != -EINVAL)
			break;
		r = 0;
		if (!import_refuse(m, path, split(answer.text, path)))
			return error_set(err, -EINVAL, "the agent refuses the configuration: %s", answer.text);
	}
	return r ? error_set(err, r, "out of memory") : 0;
}
