/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/duration.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/base.h"
#include "base/timestamp.h"

static const struct {
	const char *text;
	uint32_t seconds;
} units[] = {
	{ "s", 1 }, { "sec", 1 }, { "m", 60 }, { "min", 60 }, { "h", 3600 }, { "d", 86400 }, { "w", 604800 },
};

/* Seconds of the unit of that many letters; 0: there is no such unit. */
static uint32_t unit_of(const char *text, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strlen(units[i].text) == size && !memcmp(units[i].text, text, size))
			return units[i].seconds;
	return 0;
}

static uint64_t bounded(uint64_t n)
{
	return n < DURATION_MAX ? n : DURATION_MAX;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int duration_parse(const char *text, uint64_t *ret)
{
	bool first = true;
	uint64_t sum = 0;

	do {
		uint64_t number = 0, seconds;
		size_t size;

		if (!is_digit(*text))
			return -EINVAL;
		for (; is_digit(*text); text++)
			number = bounded(number * 10 + (uint64_t)(*text - '0'));
		size = strcspn(text, "0123456789");
		/* A number without a unit must be the only one. */
		seconds = !size && !*text && first ? 1 : unit_of(text, size);
		if (!seconds)
			return -EINVAL;
		sum = bounded(sum + bounded(number * seconds));
		text += size;
		first = false;
	} while (*text);
	*ret = sum;
	return 0;
}

int time_parse_typed(const char *text, int64_t now, int64_t *ret)
{
	bool past = *text == '-';
	uint64_t distance;
	int64_t t;

	if (!strcmp(text, "now")) {
		*ret = now;
		return 0;
	}
	if (!past && *text != '+')
		return time_parse(text, ret);
	if (duration_parse(text + 1, &distance))
		return -EINVAL;
	t = past ? now - (int64_t)distance : now + (int64_t)distance;
	if (t < TIME_MIN || t > TIME_MAX)
		return -EINVAL;
	*ret = t;
	return 0;
}
