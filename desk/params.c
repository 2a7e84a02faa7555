// SPDX-License-Identifier: BSD-2-Clause
#include "params.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/text.h"
#include "forms.h"

/* As the commands take them, see lib/proto/verbs.def. */
#define MARGIN_MAX   3600UL
#define LIMIT_MAX    100000UL
#define CUSTOMER_MAX 255U
#define REASON_MAX   512U

static bool is_number(const char *text, unsigned long least, unsigned long most)
{
	unsigned long n = strtoul(text, NULL, 10);

	return *text && strlen(text) <= 10 && strspn(text, "0123456789") == strlen(text) && n >= least && n <= most;
}

static bool is_endpoint(const char *text)
{
	struct endpoint out;
	uint32_t addr;

	return !endpoint_parse(text, &out) || !addr_parse(text, &addr);
}

static bool is_margin(const char *text)
{
	return is_number(text, 0, MARGIN_MAX);
}

static bool is_limit(const char *text)
{
	return is_number(text, 1, LIMIT_MAX);
}

static bool is_offset(const char *text)
{
	return is_number(text, 0, UINT32_MAX);
}

static bool is_text(const char *text, size_t most)
{
	return strlen(text) <= most && text_printable(text) && text[strspn(text, " ")];
}

static bool is_customer(const char *text)
{
	return is_text(text, CUSTOMER_MAX);
}

static bool is_reason(const char *text)
{
	return is_text(text, REASON_MAX);
}

static bool is_truth(const char *text)
{
	return !strcmp(text, "true") || !strcmp(text, "false");
}

static const struct {
	const char *name;
	bool (*fits)(const char *text);
	const char *expected;
} params[N_PARAMS] = {
	[PARAM_ENDPOINT] = { "endpoint", is_endpoint, "ADDR:PORT, or ADDR where the port is not known" },
	[PARAM_AT] = { "at", form_time_valid, "a time with its zone, such as 2026-01-31T14:05:00+01:00" },
	[PARAM_MARGIN] = { "margin", is_margin, "0 to 3600 seconds" },
	[PARAM_LIMIT] = { "limit", is_limit, "1 to 100000 rows" },
	[PARAM_OFFSET] = { "offset", is_offset, "a number of rows" },
	[PARAM_ZONE] = { "zone", form_zone_valid, "an offset such as +01:00, or a name such as Europe/Berlin" },
	[PARAM_CUSTOMER] = { "customer", is_customer, "a name, a circuit or a MAC of up to 255 octets" },
	[PARAM_FROM] = { "from", form_time_valid, "a time with its zone, such as 2026-01-31T14:05:00+01:00" },
	[PARAM_TO] = { "to", form_time_valid, "a time with its zone, such as 2026-01-31T14:05:00+01:00" },
	[PARAM_CASE] = { "case", form_case_valid,
			 "up to 64 letters, digits, dots, underscores and hyphens, a letter or digit first" },
	[PARAM_REASON] = { "reason", is_reason, "why this is asked, in up to 512 octets of UTF-8 without controls" },
	[PARAM_VERDICT] = { "verdict", is_truth, "true or false" },
};

const char *param_name(enum param which)
{
	return params[which].name;
}

int params_add(struct params *p, unsigned takes, const char *key, const char *value, size_t size, struct error *err)
{
	unsigned i = 0;

	while (i < N_PARAMS && (strcmp(params[i].name, key) != 0 || !(takes & 1U << i)))
		i++;
	if (i == N_PARAMS)
		return error_set(err, -EINVAL, "%s is no parameter here", QUOTED(key));
	if (p->given & 1U << i)
		return error_set(err, -EINVAL, "%s is given twice", key);
	snprintf(p->value[i], PARAM_ROOM, "%.*s", (int)(size < PARAM_ROOM ? size : PARAM_ROOM - 1), size ? value : "");
	if (size >= PARAM_ROOM || strlen(p->value[i]) != size || !params[i].fits(p->value[i]))
		return error_set(err, -EINVAL, "%s: expected %s", key, params[i].expected);
	p->given |= 1U << i;
	return 0;
}

int params_complete(const struct params *p, unsigned needs, struct error *err)
{
	for (unsigned i = 0; i < N_PARAMS; i++)
		if (needs & ~p->given & 1U << i)
			return error_set(err, -EINVAL, "%s is missing: %s", params[i].name, params[i].expected);
	return 0;
}
