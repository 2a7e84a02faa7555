// SPDX-License-Identifier: BSD-2-Clause
#include "statements_told.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct lease_addr addr_of(const char *text)
{
	struct lease_addr a;

	cr_assert_eq(lease_addr_parse(text, &a), 0);
	return a;
}

static bool take_word(struct lease_line *l, const char *word)
{
	long long value = strchr(word, '=') ? strtoll(strchr(word, '=') + 1, NULL, 10) : 0;

	if (!strncmp(word, "from=", 5))
		l->from = value;
	else if (!strncmp(word, "to=", 3))
		l->to = value;
	else if (!strncmp(word, "early=", 6) || !strncmp(word, "seen=", 5))
		l->early = value;
	else if (!strncmp(word, "late=", 5))
		l->late = value;
	else if (!strcmp(word, "broken"))
		l->broken = true;
	else if (!strncmp(word, "mac=", 4))
		snprintf(l->mac, sizeof(l->mac), "%s", word + 4);
	else if (!strncmp(word, "tenant=", 7))
		snprintf(l->tenant, sizeof(l->tenant), "%s", word + 7);
	else if (!strcmp(word, "at=none"))
		l->addr.plen = 0;
	else if (!strncmp(word, "at=", 3))
		l->addr = addr_of(word + 3);
	else if (strchr(word, '/'))
		snprintf(l->session, sizeof(l->session), "%s", word);
	else
		snprintf(l->id, sizeof(l->id), "%s", word);
	return true;
}

void told_feed(struct statements *book, char *text)
{
	static const char *const events[] = { "start", "interim", "stop", "off",  "begin",
					      "mark",  "lost",	  "step", "open", "erased" };
	static const enum lease_event numbers[] = { LEASE_START, LEASE_INTERIM, LEASE_STOP, LEASE_OFF,	LEASE_BEGIN,
						    LEASE_MARK,	 LEASE_LOST,	LEASE_STEP, LEASE_OPEN, LEASE_ERASED };
	char *save, *word = strtok_r(text, " ", &save);
	int64_t time = strtoll(word, NULL, 10);
	struct lease_line l;
	unsigned i = 0;

	word = strtok_r(NULL, " ", &save);
	while (strcmp(events[i], word) != 0)
		cr_assert_lt(++i, sizeof(numbers) / sizeof(*numbers), "%s", word);
	lease_line_init(&l, time, numbers[i]);
	if (lease_event_of_session(l.event))
		l.addr = addr_of("10.0.0.1");
	if (l.event == LEASE_START)
		l.from = time;
	while ((word = strtok_r(NULL, " ", &save)))
		take_word(&l, word);
	cr_assert_eq(statements_feed(book, &l), 0);
}

struct statements *statements_told(const char *lines)
{
	char *text = strdup(lines), *save = NULL;
	struct lease_addr addr = addr_of("10.0.0.1");
	struct statements *book;

	cr_assert_eq(statements_new(&addr, &book), 0);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char one[256];

		snprintf(one, sizeof(one), "%s", line);
		told_feed(book, one);
	}
	cr_assert_eq(statements_finish(book), 0);
	free(text);
	return book;
}
