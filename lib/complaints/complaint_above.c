// SPDX-License-Identifier: BSD-2-Clause
/* The day of a log that has hours alone, in the sentence above it: "This happened on 15 May 2026:". */
#include <string.h>

#include "complaints/complaint_private.h"
#include "complaints/complaint_sentence.h"

/* Whether a word is of a log. */
static bool is_log(const char *folded)
{
	return word_in_list("log logs logfile* logdatei* protokoll* journal* extract excerpt auszug extrait* registro* "
			    "dziennik* журнал* лог* logboek*",
			    folded);
}

/*
 * Whether a sentence says of its day that something happened on it, or that a log is of it, right before the day or, if
 * it begins with the day, behind it; "at our server" may be between. "The log of our server, which was installed on 1
 * May" does not. dated: it says of its day that the times below are of it.
 */
static bool tells_events(const char *at, const char *day, const char *end, bool dated)
{
	unsigned any = label_read(at, end).any;
	bool before = false, first = true;
	const char *word;
	char folded[WORD_TEXT];

	if (any & (WORD_OTHER | WORD_MEASURE | WORD_ANOTHER | WORD_LATE | WORD_END))
		return false;
	while ((word = word_next(&at, end, folded))) {
		unsigned is = word_meaning(folded);

		/* Short words join, and numbers are of the day. */
		if (digit_octet(*word) || end - word < 3 || !word_octet(word[1]) || !word_octet(word[2]))
			continue;
		/* "The attack of 1 May goes on today:" */
		if (word_in_list(
			    "today yesterday continu* goes still heute gestern noch dauert hier aujourd encore oggi "
			    "ieri ancora hoy ayer sigue hoje ontem ainda dzis* wczoraj nadal vandaag gisteren "
			    "nog idag igar сегодня вчера",
			    folded))
			return false;
		if (word >= day || is == WORD_TARGET || word_in_list("dniu day giorno dia jour tag den", folded) ||
		    (is && !(is & ~(WORD_LINK | WORD_TO | WORD_FROM | WORD_TIME))))
			continue;
		before = is_log(folded) || (is & (WORD_EVENT | WORD_DEED) && !(is & WORD_SOURCE));
		first = false;
	}
	return dated || (first ? any & (WORD_EVENT | WORD_DEED) : before);
}

/* Whether nothing but a note on the times below is behind a day: "on 3 May 2026 (times in UTC):". */
static bool tells_times(const char *at, const char *end)
{
	const char *close;

	while (at < end && *at == ' ')
		at++;
	close = at < end && *at == '(' ? memchr(at, ')', (size_t)(end - at)) : NULL;
	return close && label_read(at, close).any & WORD_TIME && close + 1 < end && close[1] == ':' && close + 2 >= end;
}

bool complaint_gives_day(const struct reading *x, uint32_t day, const char *begin, const char *end)
{
	const char *all = x->text + x->size, *at = x->text + x->items[day].at, *first = at, *last = end;

	if (end - begin > SENTENCE)
		return false;
	while (first > begin && !sentence_ends(x->text, first - 1, all))
		first--;
	/* In the last sentence. */
	while (last > at && octet_is_of(last[-1], " \n.:"))
		last--;
	for (const char *p = at + x->items[day].size; p < last; p++)
		if (sentence_ends(x->text, p, all))
			return false;
	for (last = end; last > at && octet_is_of(last[-1], " \n");)
		last--;
	return tells_events(first, at, last, tells_times(at + x->items[day].size, last));
}
