// SPDX-License-Identifier: BSD-2-Clause
#include "proto/verbs.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <detnat/tables.h>

#include "base/timestamp.h"
#include "proto/collector_endpoint.h"

#define SECONDS_MAX 604800U

/* A mapping, by its prefixes. */
#define MAPPING_ARGS                              \
	{ "in", ARG_PREFIX, ARG_WORD, 0, 0 },     \
	{                                         \
		"out", ARG_PREFIX, ARG_WORD, 0, 0 \
	}
#define INTERFACE_ARGS                           \
	{ "name", ARG_NAME, ARG_WORD, 0, 0 },    \
	{                                        \
		"role", ARG_ROLE, ARG_WORD, 0, 0 \
	}
#define STATE_DIR_ARG                                   \
	{                                               \
		"state_dir", ARG_PATH, ARG_OPTION, 0, 0 \
	}

const struct verb_spec verb_specs[N_VERBS] = {
	[VERB_MAPPING_ADD] = { "mapping add",
			       { MAPPING_ARGS,
				 { "sessions_per_user", ARG_NUMBER, ARG_OPTION, 1, 65535 },
				 { "session_slots", ARG_SLOTS, ARG_OPTION, 8, 2048 } },
			       .changes = true },
	[VERB_MAPPING_DEL] = { "mapping del", { MAPPING_ARGS }, .changes = true },
	[VERB_MAPPING_LIST] = { "mapping list", {} },
	[VERB_FORWARD] = { "forward", { { "addr", ARG_ADDR, ARG_WORD, 0, 0 } } },
	[VERB_REVERSE] = { "reverse", { { "endpoint", ARG_ENDPOINT, ARG_WORD, 0, 65535 } } },
	[VERB_INTERFACE_ADD] = { "interface add", { INTERFACE_ARGS }, .changes = true },
	[VERB_INTERFACE_DEL] = { "interface del", { INTERFACE_ARGS }, .changes = true },
	[VERB_INTERFACE_LIST] = { "interface list", {} },
	[VERB_TIMEOUTS_SHOW] = { "timeouts show", {} },
	[VERB_TIMEOUTS_SET] = { "timeouts set",
				{
#define X(constant, timeout_name, seconds) { #timeout_name, ARG_NUMBER, ARG_ASSIGNMENT, 1, SECONDS_MAX },
					TIMEOUTS(X)
#undef X
				},
				.changes = true },
	[VERB_TIMEOUTS_RESET] = { "timeouts reset", {}, .changes = true },
	[VERB_SESSION_LIST] = { "session list",
				{ { "addr", ARG_ADDR, ARG_MAYBE_WORD, 0, 0 },
				  { "proto", ARG_PROTO, ARG_OPTION, 0, 0 },
				  { "all", ARG_FLAG, ARG_OPTION, 0, 0 } } },
	[VERB_SESSION_CLOSE] = { "session close",
				 { { "direction", ARG_SIDE, ARG_WORD, 0, 0 },
				   { "endpoint", ARG_ENDPOINT, ARG_WORD, 0, 65535 },
				   { "ext", ARG_ENDPOINT, ARG_WORD, 0, 65535 },
				   { "proto", ARG_PROTO, ARG_OPTION, 0, 0 } },
				 .changes = true },
	[VERB_USER_SHOW] = { "user show", { { "addr", ARG_ADDR, ARG_WORD, 0, 0 } } },
	[VERB_STATS] = { "stats", {} },
	[VERB_STATUS] = { "status", {} },
	[VERB_IPFIX_SHOW] = { "ipfix show", {} },
	[VERB_IPFIX_SET] = { "ipfix set",
			     { { "collector", ARG_COLLECTORS, ARG_ASSIGNMENT, 0, 0 },
			       { "source", ARG_ENDPOINT, ARG_ASSIGNMENT, 0, 65535 },
			       { "domain_id", ARG_NUMBER, ARG_ASSIGNMENT, 0, UINT32_MAX },
			       { "path_mtu", ARG_NUMBER, ARG_ASSIGNMENT, 128, 65535 },
			       { "template_interval", ARG_NUMBER, ARG_ASSIGNMENT, 1, 86400 } },
			     .changes = true },
	[VERB_IPFIX_DISABLE] = { "ipfix disable", {}, .changes = true },
	[VERB_IPFIX_FLUSH] = { "ipfix flush", {}, .changes = true },
	[VERB_RELOAD] = { "reload", {}, .changes = true },
	[VERB_WHO] = { "who",
		       { { "endpoint", ARG_QUESTION, ARG_WORD, 0, 65535 },
			 { "at", ARG_TIME, ARG_OPTION, 0, 0 },
			 STATE_DIR_ARG } },
	[VERB_HISTORY_LIST] = { "history list", { STATE_DIR_ARG } },
	[VERB_HISTORY_VERIFY] = { "history verify", { STATE_DIR_ARG } },
	[VERB_TOP] = { "top",
		       { { "n", ARG_NUMBER, ARG_OPTION, 1, TOP_MAX },
			 { "by", ARG_RANK, ARG_OPTION, 0, 0 },
			 { "once", ARG_FLAG, ARG_OPTION, 0, 0 } } },
	[VERB_EXPLAIN] = { "explain", { { "place", ARG_PLACE, ARG_WORD, 0, 65535 } } },
	[VERB_TRACE_START] = { "trace start",
			       { { "in", ARG_PLACE, ARG_OPTION, 1, 65535 },
				 { "out", ARG_PLACE, ARG_OPTION, 1, 65535 },
				 { "ext", ARG_PLACE, ARG_OPTION, 1, 65535 },
				 { "proto", ARG_PROTO, ARG_OPTION, 0, 0 },
				 { "count", ARG_NUMBER, ARG_OPTION, 1, TRACE_MAX_COUNT } },
			       .changes = true },
	[VERB_TRACE_SHOW] = { "trace show", {} },
	[VERB_TRACE_STOP] = { "trace stop", {}, .changes = true },
	[VERB_CHECK] = { "check", { { "repair", ARG_FLAG, ARG_OPTION, 0, 0 } }, .changes_with = "repair" },
};

/* Values that are words: the number each stands for. */
struct word {
	const char *text;
	uint32_t number;
};

static const struct word roles[] = { { "inside", DEVICE_INSIDE }, { "outside", DEVICE_OUTSIDE }, {} };
static const struct word sides[] = { { "in", DEVICE_INSIDE }, { "out", DEVICE_OUTSIDE }, {} };
static const struct word ranks[] = { { "sessions", TOP_BY_SESSIONS }, { "quota", TOP_BY_QUOTA }, {} };
static const struct word protos[] = { { "tcp", IPPROTO_TCP }, { "udp", IPPROTO_UDP }, { "icmp", IPPROTO_ICMP }, {} };

int verb_find(const char *name)
{
	for (int i = 0; i < N_VERBS; i++)
		if (!strcmp(verb_specs[i].name, name))
			return i;
	return -ENOENT;
}

static int find_word(const struct word *words, const char *text, uint32_t *ret)
{
	for (; words->text; words++) {
		if (!strcmp(words->text, text)) {
			*ret = words->number;
			return 0;
		}
	}
	return -EINVAL;
}

/* Decimal digits and nothing else; what does not fit is told apart from what is no number by being huge. */
static int digits(const char *text, double *ret)
{
	double number = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		number = number * 10 + (*text - '0');
	}
	*ret = number;
	return 0;
}

int arg_check_number(const struct arg_spec *spec, double number, struct arg_value *ret, struct error *err)
{
	if (!(number >= spec->min && number <= spec->max) || number != (uint32_t)number)
		return error_set(err, -EINVAL, "%s must be a whole number from %u to %u", spec->name, spec->min,
				 spec->max);

	uint32_t n = (uint32_t)number;

	if (spec->kind == ARG_SLOTS && (n & (n - 1)))
		return error_set(err, -EINVAL, "%s must be a power of two from %u to %u", spec->name, spec->min,
				 spec->max);
	*ret = (struct arg_value){ .given = true, .number = n };
	return 0;
}

static int parse_number(const struct arg_spec *spec, const char *text, struct arg_value *ret, struct error *err)
{
	double number;

	if (digits(text, &number))
		return error_set(err, -EINVAL, "%s must be a whole number from %u to %u, not \"%.64s\"", spec->name,
				 spec->min, spec->max, text);
	return arg_check_number(spec, number, ret, err);
}

/* An address, or one with a port. Where the lowest port is not 0 the address is not either. */
static int parse_place(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	int r;

	ret->with_port = strchr(text, ':');
	r = ret->with_port ? endpoint_parse(text, &ret->endpoint) : addr_parse(text, &ret->endpoint.addr);
	if (!r && spec->min && (!ret->endpoint.addr || (ret->with_port && ret->endpoint.port < spec->min)))
		r = -EINVAL;
	return r;
}

int arg_parse(const struct arg_spec *spec, const char *text, struct arg_value *ret, struct error *err)
{
	struct arg_value value = { .given = true };
	const char *expected = "";
	int r = -EINVAL;

	switch (spec->kind) {
	case ARG_ADDR:
		expected = "an address such as 10.0.0.2";
		r = addr_parse(text, &value.addr);
		break;
	case ARG_PREFIX:
		expected = "a prefix with its length, such as 10.0.0.0/18";
		r = prefix_parse(text, &value.prefix);
		break;
	case ARG_ENDPOINT:
		expected = spec->min ? "an address and port such as 192.0.2.10:4739, the port not 0"
				     : "an address and port such as 192.0.2.1:1024";
		r = endpoint_parse(text, &value.endpoint);
		if (!r && value.endpoint.port < spec->min)
			r = -EINVAL;
		break;
	case ARG_COLLECTORS:
		expected = "an address and port such as 192.0.2.10:4739, the port not 0, or tcp:192.0.2.10:4739, or "
			   "up to 8 of them with commas between, each once";
		value.text = text;
		r = collectors_parse(text, (struct collector_endpoint[MAX_COLLECTORS]){}, &(uint32_t){ 0 });
		break;
	case ARG_NAME:
		expected = "a name that an interface can have";
		value.text = text;
		r = interface_name_valid(text) ? 0 : -EINVAL;
		break;
	case ARG_ROLE:
		expected = "inside or outside";
		r = find_word(roles, text, &value.number);
		break;
	case ARG_SIDE:
		expected = "in or out";
		r = find_word(sides, text, &value.number);
		break;
	case ARG_PROTO:
		expected = "tcp, udp or icmp";
		r = find_word(protos, text, &value.number);
		break;
	case ARG_QUESTION:
		expected = "an address and port such as 1.1.1.1:1276, or - to read them from standard input";
		r = strcmp(text, "-") ? endpoint_parse(text, &value.endpoint) : 0;
		value.text = text;
		break;
	case ARG_TIME:
		expected = "a time such as 2026-01-31T10:00:00Z, \"2026-01-31 10:00\" (UTC) or 2026-01-31";
		r = time_parse(text, &value.time);
		break;
	case ARG_PATH:
		expected = "the path of a directory";
		value.text = text;
		r = *text ? 0 : -EINVAL;
		break;
	case ARG_RANK:
		expected = "sessions or quota";
		r = find_word(ranks, text, &value.number);
		break;
	case ARG_PLACE:
		expected = "an address such as 10.0.0.2, or one with a port such as 1.1.1.0:1054";
		r = parse_place(spec, text, &value);
		break;
	case ARG_NUMBER:
	case ARG_SLOTS:
		return parse_number(spec, text, ret, err);
	case ARG_FLAG:
	case ARG_NONE:
		expected = "no value";
		break;
	}
	if (r)
		return error_set(err, -EINVAL, "%s must be %s, not \"%.64s\"", spec->name, expected, text);
	*ret = value;
	return 0;
}
