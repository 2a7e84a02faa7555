// SPDX-License-Identifier: BSD-2-Clause
#include "questions.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/timestamp.h"

static bool digit(const char *at, const char *end)
{
	return at < end && *at >= '0' && *at <= '9';
}

/* Whether the text has the form: 0 stands for a digit, T for T, t or a blank, others for themselves. */
static bool has_form(const char *at, const char *end, const char *form)
{
	for (; *form; form++, at++) {
		if (at == end)
			return false;
		if (*form == '0' ? !digit(at, end) : *form == 'T' ? !strchr("Tt ", *at) || !*at : *at != *form)
			return false;
	}
	return true;
}

/* Whether a word begins here and ends before the next letter or digit. */
static bool has_word(const char *at, const char *end, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(end - at) >= n && !strncasecmp(at, word, n) &&
	       (at + n == end || !isalnum((unsigned char)at[n]));
}

/* Writes the zone as RFC 3339 has it: "Z" or "+01:00". False if no zone stands here. */
static bool read_zone(const char *at, const char *end, char ret[static 8])
{
	if (has_word(at, end, "Z") || has_word(at, end, "UTC") || has_word(at, end, "GMT")) {
		strcpy(ret, "Z");
		return true;
	}
	if (at == end || (*at != '+' && *at != '-'))
		return false;
	if (has_form(at + 1, end, "00:00") && !digit(at + 6, end))
		snprintf(ret, 8, "%.6s", at);
	else if (has_form(at + 1, end, "0000") && !digit(at + 5, end))
		snprintf(ret, 8, "%.3s:%.2s", at, at + 3);
	else
		return false;
	return true;
}

int question_time(const char *text, const char *end, int64_t *ret, enum question_problem *ret_why)
{
	char zone[8], plain[TIME_TEXT + 8];
	const char *at = text + strlen("0000-00-00T00:00:00");

	if (!has_form(text, end, "0000-00-00T00:00:00"))
		return -ENOENT;
	if (at < end && (*at == '.' || *at == ',') && digit(at + 1, end))
		for (at++; digit(at, end);)
			at++;
	while (at < end && *at == ' ')
		at++;
	if (!read_zone(at, end, zone)) {
		*ret_why = QUESTION_NO_ZONE;
		return -EINVAL;
	}
	snprintf(plain, sizeof(plain), "%.19s%s", text, zone);
	if (!time_parse(plain, ret))
		return 0;
	*ret_why = QUESTION_BAD_TIME;
	return -EINVAL;
}

/* The first time of a line. */
static int find_time(const char *line, const char *end, int64_t *ret, enum question_problem *ret_why)
{
	for (const char *at = line; at < end; at++) {
		int r;

		if (!digit(at, end) || (at > line && isalnum((unsigned char)at[-1])))
			continue;
		r = question_time(at, end, ret, ret_why);
		if (r != -ENOENT)
			return r;
	}
	*ret_why = QUESTION_NO_TIME;
	return -EINVAL;
}

/* Whether an endpoint of these octets, of digits, dots and a colon, stands alone. */
static bool read_endpoint(const char *at, size_t size, struct endpoint *ret)
{
	char text[ADDR_TEXT];

	while (size && (at[size - 1] == '.' || at[size - 1] == ':'))
		size--;
	if (size >= sizeof(text))
		return false;
	memcpy(text, at, size);
	text[size] = '\0';
	return !endpoint_parse(text, ret);
}

/* The first ADDR:PORT of a line. */
static bool find_endpoint(const char *line, const char *end, struct endpoint *ret)
{
	const char *at = line;

	while (at < end) {
		const char *begin = at;

		while (at < end && (digit(at, end) || *at == '.' || *at == ':'))
			at++;
		if (at == begin)
			at++;
		else if ((begin == line || !isalnum((unsigned char)begin[-1])) &&
			 (at == end || !isalnum((unsigned char)*at)) && read_endpoint(begin, (size_t)(at - begin), ret))
			return true;
	}
	return false;
}

/* The array with room for another, in powers of two, or NULL. */
static void *grown(void *array, size_t n, size_t each)
{
	return n & (n - 1) ? array : reallocarray(array, n ? n * 2 : 1, each);
}

static int add_question(struct questions *q, struct question one)
{
	struct question *of;

	if (q->n == QUESTIONS_MAX) {
		q->left_out++;
		return 0;
	}
	of = grown(q->of, q->n, sizeof(*of));
	if (!of)
		return -ENOMEM;
	q->of = of;
	q->of[q->n++] = one;
	return 0;
}

static int add_problem(struct questions *q, struct problem one)
{
	struct problem *problems;

	if (q->n_problems == PROBLEMS_MAX)
		return 0;
	problems = grown(q->problems, q->n_problems, sizeof(*problems));
	if (!problems)
		return -ENOMEM;
	q->problems = problems;
	q->problems[q->n_problems++] = one;
	return 0;
}

static int read_line(struct questions *q, const char *line, const char *end, uint64_t number)
{
	struct question one = { .line = number };
	enum question_problem why;

	if (!find_endpoint(line, end, &one.out))
		return 0;
	if (find_time(line, end, &one.time, &why))
		return add_problem(q, (struct problem){ number, why });
	return add_question(q, one);
}

int questions_find(const char *text, size_t size, struct questions *ret)
{
	struct questions q = {};
	const char *end = text + size, *line = text;
	int r = 0;

	for (uint64_t number = 1; line < end && !r; number++) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		const char *stop = newline ? newline : end;

		r = read_line(&q, line, stop, number);
		line = stop + 1;
	}
	if (r)
		questions_free(&q);
	else
		*ret = q;
	return r;
}

void questions_free(struct questions *q)
{
	free(q->of);
	free(q->problems);
	*q = (struct questions){};
}

const char *question_problem_text(enum question_problem why)
{
	static const char *const texts[] = {
		[QUESTION_NO_TIME] = "no time: add one such as 2026-01-31T14:05:00+01:00 to this line",
		[QUESTION_NO_ZONE] = "no time zone: add one after the time, such as Z or +01:00",
		[QUESTION_BAD_TIME] = "no such time: check the day, the hour and the zone",
	};

	return texts[why];
}
