// SPDX-License-Identifier: BSD-2-Clause
#include "complaints/complaint_line.h"

#include <ctype.h>
#include <string.h>

#include "base/base.h"
#include "complaints/complaint_time.h"
#include "complaints/complaint_words.h"

const char *line_end(const char *at, const char *end)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));

	return newline ? newline : end;
}

const char *line_next(const char *at, const char *end)
{
	const char *newline = line_end(at, end);

	return newline < end ? newline + 1 : end;
}

bool line_is_rule(const char *at, const char *end)
{
	for (; at < end; at++)
		if (isalnum((unsigned char)*at) || ((unsigned char)*at >= 0x80 && (unsigned char)*at != 0xe2))
			return false;
		else if ((unsigned char)*at == 0xe2)
			at += 2;
	return true;
}

const char *line_key_end(const char *at, const char *end, const char **ret)
{
	const char *p = at;
	unsigned words = 0;

	for (; p < end && p - at < 60; p++) {
		if (!octet_is_of(*p, " :=|\t."))
			continue;
		/* "10:00" */
		if (*p == ':' && p > at && isdigit((unsigned char)p[-1]) && p + 1 < end && isdigit((unsigned char)p[1]))
			return NULL;
		if (*p == ':' || *p == '=' || *p == '|' || *p == '\t' || (end - p > 2 && !memcmp(p, " ..", 3)) ||
		    (end - p > 1 && *p == ' ' && p[1] == ' ') || (end - p > 2 && !memcmp(p, "...", 3))) {
			const char *value = p;

			while (value < end && strchr(" \t:=|.", *value))
				value++;
			if (value >= end || p == at)
				return NULL;
			*ret = value;
			return p;
		}
		words += *p == ' ';
		if (words > 6)
			return NULL;
	}
	return NULL;
}

const char *line_beyond(const char *at, const char *end)
{
	const char *below = line_next(at, end), *stop = line_end(below, end), *value;

	return below >= end || line_is_rule(below, stop) || line_key_end(below, stop, &value) ? NULL : stop;
}

bool line_is_divider(const char *at, const char *end)
{
	const char *p = at, *stop = end;

	while (stop > p && octet_is_of(stop[-1], " \t"))
		stop--;
	if (stop - p < 8 || !octet_is_of(*at, "-_=*") || memcmp(at, (char[]){ *at, *at, *at }, 3) != 0 ||
	    stop[-1] != *at || stop[-3] != *at)
		return false;
	for (; p < stop; p++)
		if (digit_octet(*p))
			return false;
	return true;
}

bool line_is_day(const char *at, const char *end)
{
	const char *p = at;
	struct stamp t;

	while (p < end && octet_is_of(*p, " \t=#*-["))
		p++;
	if (p == end || !digit_octet(*p))
		return false;
	at = at < p ? p - 1 : p;
	p = stamp_read(p, end, &t);
	return p && t.date && !t.clock && line_is_rule(p, end) && (*at == ' ' || *at == '=' || *at == '[' || *p == ':');
}

const char *line_inner(const char *at, const char *end)
{
	while (at < end && (!*at || octet_is_of(*at, " \t*-|+#") || (*at == '\342' && !memcmp(at, "\342\200\242", 3))))
		at += *at == '\342' ? 3 : 1;
	return at;
}

bool line_has_pair(const char *at, const char *end)
{
	static const char *const hosts[] = { "%h ", "%a ", "$remote_addr " };
	static const char *const ports[] = { "%{remote-port}", "%{remote}p", "$remote_port" };

	for (const char *p = at; p < end; p++) {
		if (!octet_is_of(*p, "%$"))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
			for (size_t k = 0; k < ARRAY_SIZE(ports); k++) {
				size_t n = strlen(hosts[i]), m = strlen(ports[k]);

				if ((size_t)(end - p) >= n + m && !memcmp(p, hosts[i], n) &&
				    !memcmp(p + n, ports[k], m))
					return true;
			}
	}
	return false;
}
