// SPDX-License-Identifier: BSD-2-Clause
#include "plan_options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/address_ranges.h"
#include "base/base.h"
#include "base/cleanup.h"
#include "base/duration.h"
#include "base/text.h"
#include "json_get.h"
#include "proto/defaults.h"
#include "proto/timeouts.h"
#include "proto/verbs.h"

#define DEFAULT_QUOTA 1000U

void plan_options_free(struct plan_options *o)
{
	free(o->in);
	free(o->out);
	o->in = o->out = NULL;
}

uint64_t range_addresses(const struct address_range *range, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += range[i].last - range[i].first + 1ULL;
	return sum;
}

/* A prefix, an address, or A-B. */
static int parse_range(char *text, struct address_range *ret)
{
	char *dash = strchr(text, '-');
	struct prefix prefix;

	if (!dash) {
		if (prefix_parse(text, &prefix))
			return -EINVAL;
		*ret = address_range_of(prefix);
		return 0;
	}
	*dash = '\0';
	if (addr_parse(text, &ret->first) || addr_parse(dash + 1, &ret->last) || ret->first > ret->last) {
		*dash = '-';
		return -EINVAL;
	}
	return 0;
}

static int read_ranges(const char *option, const char *text, struct address_range **ret, size_t *ret_n,
		       struct error *err)
{
	_cleanup_free_ char *copy = strdup(text);
	struct address_range *range = NULL;
	size_t n = 0;
	char *rest = copy, *word;

	while (copy && (word = strsep(&rest, ","))) {
		struct address_range *more = reallocarray(range, n + 1, sizeof(*range));

		if (!more)
			break;
		range = more;
		if (parse_range(word, &range[n++])) {
			free(range);
			return error_set(err, -EINVAL,
					 "%s: %s is no prefix such as 100.64.0.0/18, and no range such as "
					 "100.64.0.1-100.64.63.254",
					 option, QUOTED(word));
		}
	}
	if (!copy || rest) {
		free(range);
		return error_set(err, -ENOMEM, "out of memory");
	}
	*ret_n = address_ranges_merge(range, n);
	*ret = range;
	return 0;
}

/* A share, typed as a percentage with or without the sign. */
static int read_share(const cJSON *args, const char *key, double most, double *ret, struct error *err)
{
	const char *text = json_text(args, key, NULL);
	char *end;
	double n;

	if (!text)
		return 0;
	n = strtod(text, &end);
	if (end == text || (*end && strcmp(end, "%") != 0) || !isfinite(n) || n < 0 || n > most)
		return error_set(err, -EINVAL, "--%s: %s is no percentage from 0 to %.0f, such as 0.1%%", key,
				 QUOTED(text), most);
	*ret = n / 100;
	return 0;
}

static int read_scale(const cJSON *args, double *ret, struct error *err)
{
	const char *text = json_text(args, "scale", NULL);
	char *end;
	double n;

	if (!text)
		return 0;
	n = strtod(text, &end);
	if (end == text || *end || !isfinite(n) || n < 0.001 || n > 100)
		return error_set(err, -EINVAL, "--scale: %s is no number from 0.001 to 100, such as 1.5", QUOTED(text));
	*ret = n;
	return 0;
}

/* 128x4, or 128: ports of a block that is granted, and how many a subscriber may have. */
static int read_growth(const cJSON *args, struct planner_settings *s, struct error *err)
{
	const char *text = json_text(args, "growth", NULL);
	unsigned long block = 0, most = DEFAULT_GROWTH_MAX_BLOCKS;
	char *end = NULL;

	if (!text)
		return 0;
	if (*text >= '0' && *text <= '9')
		block = strtoul(text, &end, 10);
	if (end && *end == 'x' && end[1] >= '0' && end[1] <= '9')
		most = strtoul(end + 1, &end, 10);
	if (!end || *end || block < GROWTH_MIN_BLOCK || block > GROWTH_MAX_BLOCK || !most || most > GROWTH_MAX_BLOCKS)
		return error_set(err, -EINVAL,
				 "--growth: %s is no block of %u to %u ports, of which a subscriber may have 1 to "
				 "%u, such as 128x4",
				 QUOTED(text), GROWTH_MIN_BLOCK, GROWTH_MAX_BLOCK, GROWTH_MAX_BLOCKS);
	s->growth = (struct growth_layout){ (uint16_t)block, (uint16_t)most };
	if (!json_text(args, "reserve", NULL))
		s->reserve = PLANNER_GROWTH_RESERVE;
	return 0;
}

/* udp=120,tcp_established=2h */
static int read_timeouts(const cJSON *args, uint32_t timeout_s[static N_TIMEOUTS], struct error *err)
{
	_cleanup_free_ char *copy = strdup(json_text(args, "timeouts", ""));
	char *rest = copy, *word;

	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	while (*copy && (word = strsep(&rest, ","))) {
		char *value = strchr(word, '=');
		uint64_t seconds;
		unsigned i = 0;

		if (value)
			*value++ = '\0';
		while (i < N_TIMEOUTS && strcmp(word, timeout_names[i]) != 0)
			i++;
		if (i == N_TIMEOUTS || !value || duration_parse(value, &seconds) || !seconds || seconds > 604800)
			return error_set(err, -EINVAL,
					 "--timeouts: %s is none of udp=N, tcp_established=N, tcp_transitory=N and "
					 "icmp=N, of 1 to 604800 seconds",
					 QUOTED(word));
		timeout_s[i] = (uint32_t)seconds;
	}
	return 0;
}

static int read_all(const cJSON *args, struct plan_options *o, struct error *err)
{
	static const uint32_t defaults[] = {
#define X(constant, name, seconds) [constant] = seconds,
		TIMEOUTS(X)
#undef X
	};
	const char *in = json_text(args, "in", NULL), *out = json_text(args, "out", NULL),
		   *eim = json_text(args, "eim", NULL);
	const struct arg_spec eim_spec = { .name = "eim", .kind = ARG_PROTOCOLS, .style = ARG_OPTION };
	struct arg_value protocols;
	int r = 0;

	memcpy(o->settings.timeout_s, defaults, sizeof(defaults));
	o->settings.scale = 1;
	o->settings.quota = (uint32_t)json_number(args, "quota");
	o->settings.quota = o->settings.quota ? o->settings.quota : DEFAULT_QUOTA;
	o->subscribers = (uint32_t)json_number(args, "subscribers");
	o->target = -1;
	o->traffic = json_get(args, "traffic");
	o->plot = json_text(args, "plot", NULL);
	if (eim) {
		r = arg_parse(&eim_spec, eim, &protocols, err);
		o->settings.bindings = r ? 0 : (uint8_t)protocols.number;
	}
	r = r ? r : read_share(args, "target", 100, &o->target, err);
	r = r ? r : read_share(args, "reserve", 99, &o->settings.reserve, err);
	r = r ? r : read_growth(args, &o->settings, err);
	r = r ? r : read_scale(args, &o->settings.scale, err);
	r = r ? r : read_timeouts(args, o->settings.timeout_s, err);
	if (!r && in)
		r = read_ranges("--in", in, &o->in, &o->n_in, err);
	if (!r && out)
		r = read_ranges("--out", out, &o->out, &o->n_out, err);
	if (!r && o->target >= 0 && !o->traffic)
		r = error_set(err, -EINVAL,
			      "--target is about refused sessions, which only --traffic can show; without traffic the "
			      "table shows who has more sessions than ports");
	if (!r && !o->traffic && !o->subscribers && !o->n_in)
		r = error_set(err, -EINVAL,
			      "plan needs --traffic, or --subscribers or --in for a table from an assumption");
	if (!r && !o->traffic && !o->subscribers)
		o->subscribers = (uint32_t)range_addresses(o->in, o->n_in);
	return r;
}

int plan_options_read(const cJSON *args, struct plan_options *ret, struct error *err)
{
	struct plan_options o = { 0 };
	int r = read_all(args, &o, err);

	if (r)
		plan_options_free(&o);
	else
		*ret = o;
	return r;
}
