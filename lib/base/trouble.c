/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/trouble.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/log.h"
#include "base/notice.h"
#include "base/timestamp.h"

static struct trouble_state states[N_TROUBLES];

static const struct {
	const char *word;
	const char *ended;
} names[] = {
#define X(constant, what, ended) [constant] = { what, ended },
	TROUBLES(X)
#undef X
};

static void tell(enum trouble what, enum log_level level, const char *event, const char *text)
{
	struct notice n = notice_now(NOTICE_TROUBLES, level, event, text);

	notice_add_text(&n, "trouble", names[what].word);
	notice_tell(&n);
}

const char *trouble_word(enum trouble what)
{
	return names[what].word;
}

const struct trouble_state *trouble_get(enum trouble what)
{
	return states[what].there ? &states[what] : NULL;
}

bool trouble_set(enum trouble what, const char *format, ...)
{
	struct trouble_state *s = &states[what];
	char text[TROUBLE_TEXT];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (s->there && !strcmp(s->text, text))
		return false;
	if (!s->there)
		s->since = time(NULL);
	s->there = true;
	strcpy(s->text, text);
	s->repeated_us = monotonic_us();
	log_error("%s", text);
	tell(what, LOG_LEVEL_ERROR, "trouble", text);
	return true;
}

void trouble_clear(enum trouble what)
{
	if (!states[what].there)
		return;
	states[what] = (struct trouble_state){ 0 };
	log_info("%s", names[what].ended);
	tell(what, LOG_LEVEL_INFO, "trouble-over", names[what].ended);
}

void trouble_tick(void)
{
	uint64_t now_us = monotonic_us();
	char since[TIME_TEXT];

	for (unsigned what = 0; what < N_TROUBLES; what++) {
		struct trouble_state *s = &states[what];

		if (!s->there || now_us - s->repeated_us < TROUBLE_REPEAT_S * 1000000ULL)
			continue;
		s->repeated_us = now_us;
		log_warning("%s (%s, since %s)", s->text, names[what].word, time_format(s->since, since));
	}
}
