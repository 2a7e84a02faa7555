// SPDX-License-Identifier: BSD-2-Clause
#include "verbs_args.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

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

const struct verb_spec verb_specs[N_VERBS] = {
	[VERB_MAPPING_ADD] = { "mapping add",
			       { MAPPING_ARGS,
				 { "sessions_per_user", ARG_NUMBER, ARG_OPTION, 1, 65535 },
				 { "session_slots", ARG_SLOTS, ARG_OPTION, 8, 2048 } } },
	[VERB_MAPPING_DEL] = { "mapping del", { MAPPING_ARGS } },
	[VERB_MAPPING_LIST] = { "mapping list", {} },
	[VERB_FORWARD] = { "forward", { { "addr", ARG_ADDR, ARG_WORD, 0, 0 } } },
	[VERB_REVERSE] = { "reverse", { { "endpoint", ARG_ENDPOINT, ARG_WORD, 0, 65535 } } },
	[VERB_INTERFACE_ADD] = { "interface add", { INTERFACE_ARGS } },
	[VERB_INTERFACE_DEL] = { "interface del", { INTERFACE_ARGS } },
	[VERB_INTERFACE_LIST] = { "interface list", {} },
	[VERB_TIMEOUTS_SHOW] = { "timeouts show", {} },
	[VERB_TIMEOUTS_SET] = { "timeouts set",
				{
#define X(constant, timeout_name, seconds) { #timeout_name, ARG_NUMBER, ARG_ASSIGNMENT, 1, SECONDS_MAX },
					TIMEOUTS(X)
#undef X
				} },
	[VERB_TIMEOUTS_RESET] = { "timeouts reset", {} },
	[VERB_SESSION_LIST] = { "session list",
				{ { "addr", ARG_ADDR, ARG_MAYBE_WORD, 0, 0 },
				  { "proto", ARG_PROTO, ARG_OPTION, 0, 0 },
				  { "all", ARG_FLAG, ARG_OPTION, 0, 0 } } },
	[VERB_SESSION_CLOSE] = { "session close",
				 { { "direction", ARG_SIDE, ARG_WORD, 0, 0 },
				   { "endpoint", ARG_ENDPOINT, ARG_WORD, 0, 65535 },
				   { "ext", ARG_ENDPOINT, ARG_WORD, 0, 65535 },
				   { "proto", ARG_PROTO, ARG_OPTION, 0, 0 } } },
	[VERB_USER_SHOW] = { "user show", { { "addr", ARG_ADDR, ARG_WORD, 0, 0 } } },
	[VERB_STATS] = { "stats", {} },
	[VERB_STATUS] = { "status", {} },
	[VERB_IPFIX_SHOW] = { "ipfix show", {} },
	[VERB_IPFIX_SET] = { "ipfix set",
			     { { "collector", ARG_ENDPOINT, ARG_ASSIGNMENT, 1, 65535 },
			       { "source", ARG_ENDPOINT, ARG_ASSIGNMENT, 0, 65535 },
			       { "domain_id", ARG_NUMBER, ARG_ASSIGNMENT, 0, UINT32_MAX },
			       { "path_mtu", ARG_NUMBER, ARG_ASSIGNMENT, 128, 65535 },
			       { "template_interval", ARG_NUMBER, ARG_ASSIGNMENT, 1, 86400 } } },
	[VERB_IPFIX_DISABLE] = { "ipfix disable", {} },
	[VERB_IPFIX_FLUSH] = { "ipfix flush", {} },
	[VERB_RELOAD] = { "reload", {} },
	[VERB_TRACE_START] = { "trace start",
			       { { "in", ARG_ADDR_PORT, ARG_OPTION, 0, 0 },
				 { "out", ARG_ADDR_PORT, ARG_OPTION, 0, 0 },
				 { "ext", ARG_ADDR_PORT, ARG_OPTION, 0, 0 },
				 { "proto", ARG_PROTO, ARG_OPTION, 0, 0 },
				 { "count", ARG_NUMBER, ARG_OPTION, 1, TRACE_MAX_COUNT } } },
	[VERB_TRACE_SHOW] = { "trace show", {} },
	[VERB_TRACE_STOP] = { "trace stop", {} },
};

/* Values that are words: the number each stands for. */
struct word {
	const char *text;
	uint32_t number;
};

static const struct word roles[] = { { "inside", DEVICE_INSIDE }, { "outside", DEVICE_OUTSIDE }, {} };
static const struct word sides[] = { { "in", DEVICE_INSIDE }, { "out", DEVICE_OUTSIDE }, {} };
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

/* Neither address nor port may be 0: that stands for any. */
static int parse_addr_port(const char *text, struct endpoint *ret)
{
	struct endpoint e = { 0 };
	int r = strchr(text, ':') ? endpoint_parse(text, &e) : addr_parse(text, &e.addr);

	if (r || !e.addr || (strchr(text, ':') && !e.port))
		return -EINVAL;
	*ret = e;
	return 0;
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
	case ARG_ADDR_PORT:
		expected = "an address such as 10.0.0.2, or an address and port such as 10.0.0.2:5000";
		r = parse_addr_port(text, &value.endpoint);
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
