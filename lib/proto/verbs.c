// SPDX-License-Identifier: BSD-2-Clause
#include "proto/verbs.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include <detnat/tables.h>

#include "base/duration.h"
#include "base/spelling.h"
#include "base/text.h"
#include "proto/collector_endpoint.h"
#include "proto/defaults.h"
#include "proto/label.h"

#define SECONDS_MAX 604800U

#define TIMEOUT_ARG(constant, timeout_name, seconds) \
	{ #timeout_name, ARG_SECONDS, ARG_ASSIGNMENT, 1, SECONDS_MAX, .shown = "N" },

/* Options that share out the ports of an outside address. */
#define PORT_ARGS(why)                                                                     \
	{ "subscribers_per_address", ARG_NUMBER, ARG_OPTION, 0, 64512, .refused = (why) }, \
		{ "ports_per_host", ARG_NUMBER, ARG_OPTION, 0, 65535, .refused = (why) },  \
		{ "first_port", ARG_NUMBER, ARG_OPTION, 0, 65535, .refused = (why) },      \
		{ "block_pitch", ARG_NUMBER, ARG_OPTION, 0, 65535, .refused = (why) },     \
		{ "order", ARG_BLOCK_ORDER, ARG_OPTION, .refused = (why) },

/* A look at a person: for which case, why, for whom, and where its line goes. */
#define LOOK_WHY                                                             \
	{ "case", ARG_TEXT, ARG_OPTION, 0, 64, .shown = "ID" },              \
		{ "reason", ARG_TEXT, ARG_OPTION, 0, 512, .shown = "TEXT" }, \
		{ "for", ARG_TEXT, ARG_OPTION, 0, 64, .shown = "USER" },
#define LOOK_ARGS LOOK_WHY{ "queries", ARG_PATH, ARG_OPTION },
#define LOOK_DETAILS                                                                                                 \
	"--case, --reason: leave a line about each question in queries-YYYY-MM.jsonl, in the directory of the\n"     \
	"history or in that of --queries; where the history has audit_queries, each does. --for: another user who\n" \
	"asks, whom it names, too."

/* Subscribers that are IPv6 prefixes. */
#define SIX_ARGS                                                                                          \
	{ "subscriber_plen", ARG_NUMBER, ARG_OPTION, 48, 64 }, { "nat64_prefix", ARG_NAT64, ARG_OPTION }, \
		{ "hosts_per_subscriber", ARG_NUMBER, ARG_OPTION, 1, 64 },                                \
		{ "lowest_ipv6_mtu", ARG_NUMBER, ARG_OPTION, 1280, 9000 },

/* Limits of a subscriber. 0 takes one away. */
#define LIMIT_ARGS                                                                                            \
	{ "limit_tcp", ARG_NUMBER, ARG_OPTION, 0, 65535 }, { "limit_udp", ARG_NUMBER, ARG_OPTION, 0, 65535 }, \
		{ "limit_icmp", ARG_NUMBER, ARG_OPTION, 0, 65535 },                                           \
		{ "new_per_second", ARG_NUMBER, ARG_OPTION, 0, 1000000 },                                     \
		{ "new_burst", ARG_NUMBER, ARG_OPTION, 0, 1000000 },

const struct verb_spec verb_specs[N_VERBS] = {
#define VERB(id, ...) [VERB_##id] = { __VA_ARGS__ },
#include "proto/verbs.def"
};

int verb_find(const char *name)
{
	for (int i = 0; i < N_VERBS; i++)
		if (!strcmp(verb_specs[i].name, name))
			return i;
	return -ENOENT;
}

/* Parses decimal digits only; a number that is too large becomes a huge value, to distinguish it from other text. */
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
	char title[USAGE_TEXT];

	if (!(number >= spec->min && number <= spec->max) || number != (uint32_t)number)
		return error_set(err, -EINVAL,
				 spec->kind == ARG_SECONDS ? "%s must be %u to %u seconds"
							   : "%s must be a whole number from %u to %u",
				 arg_title(spec, title), spec->min, spec->max);

	uint32_t n = (uint32_t)number;

	if (spec->kind == ARG_SLOTS && (n & (n - 1)))
		return error_set(err, -EINVAL, "%s must be a power of two from %u to %u", arg_title(spec, title),
				 spec->min, spec->max);
	*ret = (struct arg_value){ .given = true, .number = n };
	return 0;
}

static int parse_number(const struct arg_spec *spec, const char *text, struct arg_value *ret, struct error *err)
{
	char title[USAGE_TEXT];
	double number;

	if (digits(text, &number))
		return error_set(err, -EINVAL, "%s must be a whole number from %u to %u, not %s",
				 arg_title(spec, title), spec->min, spec->max, QUOTED(text));
	return arg_check_number(spec, number, ret, err);
}

static int parse_seconds(const struct arg_spec *spec, const char *text, struct arg_value *ret, struct error *err)
{
	char title[USAGE_TEXT];
	uint64_t seconds;

	if (duration_parse(text, &seconds))
		return error_set(err, -EINVAL,
				 "%s must be a number of seconds from %u to %u, or a time such as 90s, 10m, 2h or 7d, "
				 "not %s",
				 arg_title(spec, title), spec->min, spec->max, QUOTED(text));
	return arg_check_number(spec, (double)seconds, ret, err);
}

/* Returns whether a value is of IPv6, and accepted; then reads an address or a prefix: *ret_r is 0 or -EINVAL. */
static bool parse_six(const struct arg_spec *spec, const char *text, struct arg_value *ret, int *ret_r)
{
	if (!spec->six || !strchr(text, ':') || strchr(text, '.'))
		return false;
	ret->six_plen = 128;
	ret->single = !strchr(text, '/');
	*ret_r = ret->single ? address6_parse(text, &ret->six) : prefix6_parse(text, &ret->six, &ret->six_plen);
	if (!ret->six_plen)
		*ret_r = -EINVAL;
	return true;
}

static int parse_addr(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	int r;

	return parse_six(spec, text, ret, &r) ? r : addr_parse(text, &ret->addr);
}

static int parse_prefix(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	uint32_t addr;
	int r;

	if (parse_six(spec, text, ret, &r))
		return r;
	ret->single = !addr_parse(text, &addr);
	if (!ret->single)
		return range_parse(text, &ret->prefix);
	ret->prefix = (struct prefix){ addr, 32 };
	return 0;
}

static int parse_out(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	if (strcmp(text, "none") != 0)
		return parse_prefix(spec, text, ret);
	ret->prefix = PREFIX_NONE;
	return 0;
}

static int parse_endpoint(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	if (spec->six && *text == '[') {
		ret->six_plen = 128;
		ret->with_port = true;
		return endpoint6_parse(text, &ret->six, &ret->endpoint.port);
	}
	return endpoint_parse(text, &ret->endpoint);
}

static int parse_span(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	return span_parse(text, &ret->span);
}

static int parse_collectors(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	struct collector_endpoint list[MAX_COLLECTORS];
	uint32_t n;

	ret->text = text;
	return collectors_parse(text, list, &n);
}

int port_list_parse(const char *text, uint16_t ret[static PORT_LIST_MAX], unsigned *ret_n)
{
	unsigned n = 0;

	for (const char *at = text;; at++) {
		uint32_t port = 0;
		size_t size = strspn(at, "0123456789");

		for (size_t i = 0; i < size && port <= UINT16_MAX; i++)
			port = port * 10 + (uint32_t)(at[i] - '0');
		for (unsigned i = 0; i < n; i++)
			if (ret[i] == port)
				return -EINVAL;
		at += size;
		if (!port || port > UINT16_MAX || n == PORT_LIST_MAX || (*at && *at != ','))
			return -EINVAL;
		ret[n++] = (uint16_t)port;
		if (!*at)
			break;
	}
	*ret_n = n;
	return 0;
}

static int parse_ports(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	uint16_t port[PORT_LIST_MAX];
	unsigned n;

	ret->text = text;
	return port_list_parse(text, port, &n);
}

static int parse_name(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	ret->text = text;
	return interface_name_valid(text) ? 0 : -EINVAL;
}

static int parse_question(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	struct endpoint endpoint;
	uint32_t addr;

	ret->text = text;
	return strcmp(text, "-") && addr_parse(text, &addr) ? endpoint_parse(text, &endpoint) : 0;
}

static int parse_time(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	return time_parse_typed(text, time(NULL), &ret->time);
}

static int parse_path(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	ret->text = text;
	return *text ? 0 : -EINVAL;
}

static int parse_text(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	size_t size = strlen(text);

	ret->text = text;
	return size && (!spec->max || size <= spec->max) && text_printable(text) ? 0 : -EINVAL;
}

static int parse_state(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	ret->text = text;
	return word_number(state_words, text, &ret->number);
}

/* One kind or several, with commas between. */
static int parse_notices(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	ret->number = 0;
	for (;;) {
		size_t size = strcspn(text, ",");
		char word[16];
		uint32_t kind;

		snprintf(word, sizeof(word), "%.*s", size < sizeof(word) ? (int)size : 0, text);
		if (word_number(notice_words, word, &kind))
			return -EINVAL;
		ret->number |= kind;
		if (!text[size])
			return 0;
		text += size + 1;
	}
}

static int parse_label(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	ret->text = text;
	return !*text || label_valid(text) ? 0 : -EINVAL;
}

static int parse_comment(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	ret->text = text;
	return comment_valid(text) ? 0 : -EINVAL;
}

static int parse_protocols(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	char words[32];
	char *rest = words, *word;
	uint32_t protocol;

	ret->text = text;
	ret->number = 0;
	if (!strcmp(text, "none"))
		return 0;
	if (snprintf(words, sizeof(words), "%s", text) >= (int)sizeof(words))
		return -EINVAL;
	while ((word = strsep(&rest, ","))) {
		if (word_number(binding_words, word, &protocol))
			return -EINVAL;
		ret->number |= protocol;
	}
	return 0;
}

/* Names have no slash and do not look like an address, so the two cannot be confused. */
static int parse_mapping(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	if (strpbrk(text, "/:") || !label_valid(text) || !range_parse(text, &ret->prefix))
		return parse_prefix(spec, text, ret);
	ret->text = text;
	return label_valid(text) ? 0 : -EINVAL;
}

static int parse_nat64(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	if (prefix6_parse(text, &ret->six, &ret->six_plen) || !nat64_prefix_is_valid(&ret->six, ret->six_plen))
		return -EINVAL;
	return 0;
}

static int parse_portmap(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	ret->text = text;
	return word_number(portmap_words, text, &ret->number) && !label_valid(text) ? -EINVAL : 0;
}

int arg_check_next(const struct arg_spec *spec, const struct arg_value *value, bool next_given, struct error *err)
{
	char title[USAGE_TEXT];

	if (spec->kind != ARG_PORTMAP)
		return 0;
	arg_title(spec + 1, title);
	if (value->number && !next_given)
		return error_set(err, -EINVAL, "%s needs %s; or name the portmap alone", value->text, title);
	if (!value->number && next_given)
		return error_set(err, -EINVAL, "before %s stands tcp, udp or both, not %s; a name stands alone", title,
				 QUOTED(value->text));
	return 0;
}

/* An address is a prefix of 32 bits. Refuses bits beyond the length: 203.0.113.2/30 may mean one address, or all four.
 */
static int parse_remote(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	const char *colon = strchr(text, ':');
	int r;
	size_t size = colon ? (size_t)(colon - text) : strlen(text);
	char prefix[ADDR_TEXT], addr[ADDR_TEXT];
	double port = 0;
	uint32_t typed;

	if (parse_six(spec, text, ret, &r))
		return r;
	if ((colon && !spec->max) || size >= sizeof(prefix) - 3 ||
	    (colon && (digits(colon + 1, &port) || port > UINT16_MAX)))
		return -EINVAL;
	snprintf(prefix, sizeof(prefix), "%.*s%s", (int)size, text, memchr(text, '/', size) ? "" : "/32");
	ret->with_port = colon;
	ret->port = (uint16_t)port;
	if (prefix_parse(prefix, &ret->prefix))
		return -EINVAL;
	snprintf(addr, sizeof(addr), "%.*s", (int)strcspn(prefix, "/"), prefix);
	return addr_parse(addr, &typed) || typed != ret->prefix.base ? -EINVAL : 0;
}

/* Parses an address with or without a port. If the minimum is not 0, address 0 is refused as well as port 0. */
static int parse_place(const struct arg_spec *spec, const char *text, struct arg_value *ret)
{
	int r;

	if (*text == '[')
		return parse_endpoint(spec, text, ret);
	if (parse_six(spec, text, ret, &r))
		return r;
	ret->with_port = strchr(text, ':');
	r = ret->with_port ? endpoint_parse(text, &ret->endpoint) : addr_parse(text, &ret->endpoint.addr);
	if (!r && spec->min && (!ret->endpoint.addr || (ret->with_port && ret->endpoint.port < spec->min)))
		r = -EINVAL;
	return r;
}

/* Replaces a kind's own text if it takes no port. */
#define EXPECTED_RANGE "an address or a prefix, such as 198.51.100.0/24"

/* Kinds that are neither numbers, flags nor one of a list of words. */
static const struct {
	int (*parse)(const struct arg_spec *spec, const char *text, struct arg_value *ret);
	const char *expected;
} kinds[] = {
	[ARG_ADDR] = { .parse = parse_addr, .expected = "an address such as 10.0.0.2" },
	[ARG_PREFIX] = { .parse = parse_prefix,
			 .expected = "a prefix such as 10.0.0.0/18, a range such as 10.0.0.1-10.0.0.9, or an address" },
	[ARG_OUT] = { .parse = parse_out,
		      .expected = "a prefix such as 203.0.113.0/30, a range such as 203.0.113.1-203.0.113.9, an "
				  "address, or none" },
	[ARG_ENDPOINT] = { .parse = parse_endpoint, .expected = "an address and port such as 192.0.2.1:1024" },
	[ARG_SPAN] = { .parse = parse_span,
		       .expected = "an address and a port such as 10.0.0.2:443, or ports such as 10.0.0.2:8000-8009, "
				   "not 0" },
	[ARG_COLLECTORS] = { .parse = parse_collectors,
			     .expected = "an address and port such as 192.0.2.10:4739, the port not 0, or "
					 "tcp:192.0.2.10:4739, or up to 8 of them with commas between, each once" },
	[ARG_NAME] = { .parse = parse_name, .expected = "a name that an interface can have" },
	[ARG_QUESTION] = { .parse = parse_question,
			   .expected =
				   "an address and port such as 203.0.113.1:1276, an address, or - to read lines from "
				   "standard input" },
	[ARG_TIME] = { .parse = parse_time,
		       .expected = "a time such as 2026-01-31T10:00:00Z, \"2026-01-31 10:00\" (UTC), 2026-01-31, "
				   "or from now such as -5m or +2h" },
	[ARG_PATH] = { .parse = parse_path, .expected = "the path of a directory" },
	[ARG_TEXT] = { .parse = parse_text, .expected = "a short text of UTF-8 without control characters" },
	[ARG_FILE] = { .parse = parse_path, .expected = "the path of a file" },
	[ARG_FILES] = { .parse = parse_path, .expected = "the path of a file" },
	[ARG_REMOTE] = { .parse = parse_remote,
			 .expected = "an address or a prefix, with or without a port, such as 198.51.100.0/24:443" },
	[ARG_NOTICES] = { .parse = parse_notices }, /* expected: notice_words */
	[ARG_PORTS] = { .parse = parse_ports,
			.expected =
				"ports from 1 to 65535 with commas between, such as 25,22,23: 16 at most, each once" },
	[ARG_STATE] = { .parse = parse_state, .expected = "a state that session list shows, such as tcp-established" },
	[ARG_LABEL] = { .parse = parse_label, .expected = LABEL_EXPECTED ", or nothing" },
	[ARG_COMMENT] = { .parse = parse_comment,
			  .expected = "a text of at most 256 octets without control characters" },
	[ARG_PROTOCOLS] = { .parse = parse_protocols,
			    .expected = "none, or protocols out of udp, tcp and icmp with commas between" },
	[ARG_MAPPING] = { .parse = parse_mapping,
			  .expected = "the name of a mapping, or its inside addresses such as 10.0.0.0/18" },
	[ARG_PORTMAP] = { .parse = parse_portmap, .expected = "tcp, udp, both or the name of a portmap" },
	[ARG_NAT64] = { .parse = parse_nat64,
			.expected = "an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits, bits 64 to 71 of which are 0, "
				    "such as 64:ff9b::/96" },
	[ARG_PLACE] = { .parse = parse_place,
			.expected = "an address such as 10.0.0.2, or one with a port such as 203.0.113.0:1054" },
};

#define HINT_TEXT 96

/* The word that a text is most like; in a list, the first text that is none of the words. */
static const char *hint_of_words(const struct word *words, const char *text, char ret[static HINT_TEXT])
{
	struct spelling s = {};
	char one[SPELLING_MOST + 1];
	uint32_t number;

	do {
		size_t size = strcspn(text, ",");

		snprintf(one, sizeof(one), "%.*s", size < sizeof(one) ? (int)size : 0, text);
		text += size;
	} while (*text++ && !word_number(words, one, &number));
	for (; words->text; words++)
		spelling_offer(&s, one, words->text);
	*ret = '\0';
	if (s.meant)
		snprintf(ret, HINT_TEXT, "; did you mean %s?", s.meant);
	return ret;
}

/*
 * The likely meaning: of a prefix of one address where an address is expected, of an address with the length of a
 * prefix where either will do, and of what is nearly a word.
 */
static const char *hint_for(enum arg_kind kind, const char *text, char ret[static HINT_TEXT])
{
	char addr_text[ADDR_TEXT], whole[ADDR_TEXT];
	size_t size = strcspn(text, "/");
	struct prefix p;

	*ret = 0;
	if (kind == ARG_NOTICES || kind == ARG_STATE)
		return hint_of_words(kind == ARG_NOTICES ? notice_words : state_words, text, ret);
	if (prefix_parse(text, &p))
		return ret;
	snprintf(addr_text, sizeof(addr_text), "%.*s", (int)size, text);
	if (kind == ARG_ADDR && p.plen == 32)
		snprintf(ret, HINT_TEXT, "; did you mean %s?", addr_text);
	if (kind == ARG_REMOTE)
		snprintf(ret, HINT_TEXT, "; did you mean %s or %s?", addr_text, prefix_text(p, whole));
	return ret;
}

static int parse_word(const struct arg_spec *spec, const char *text, struct arg_value *ret, struct error *err)
{
	const struct word *words = arg_words(spec->kind);
	char expected[160], title[USAGE_TEXT], hint[HINT_TEXT];

	if (!word_number(words, text, &ret->number))
		return 0;
	words_join(words, ", ", " or ", expected, sizeof(expected));
	hint_of_words(words, text, hint);
	if (spec->kind == ARG_ROLE && !*hint && interface_name_valid(text))
		snprintf(hint, sizeof(hint), "; the name comes first: detnatctl interface add %.15s outside", text);
	return error_set(err, -EINVAL, "%s must be %s, not %s%s", arg_title(spec, title), expected, QUOTED(text), hint);
}

/* What a value must be, where it is neither a number nor one of a list of words. */
static const char *expected_of(const struct arg_spec *spec, char text[static 192])
{
	if (spec->kind == ARG_REMOTE && !spec->max)
		return EXPECTED_RANGE;
	if (spec->kind != ARG_NOTICES)
		return kinds[spec->kind].expected;
	words_join(notice_words, ", ", " or ", text, 160);
	return strcat(text, ", or several of them");
}

int arg_parse(const struct arg_spec *spec, const char *text, struct arg_value *ret, struct error *err)
{
	struct arg_value value = { .given = true };
	char hint[HINT_TEXT], expected[192], title[USAGE_TEXT];
	int r;

	if (spec->refused)
		return error_set(err, -EINVAL, "%s: %s", arg_title(spec, title), spec->refused);
	if (spec->kind == ARG_SECONDS)
		return parse_seconds(spec, text, ret, err);
	if (arg_is_number(spec->kind))
		return parse_number(spec, text, ret, err);
	if (spec->kind == ARG_FLAG)
		return error_set(err, -EINVAL, "%s must be no value, not %s", arg_title(spec, title), QUOTED(text));
	if (arg_words(spec->kind))
		r = parse_word(spec, text, &value, err);
	else if (kinds[spec->kind].parse(spec, text, &value))
		r = error_set(err, -EINVAL, "%s must be %s, not %s%s", arg_title(spec, title),
			      expected_of(spec, expected), QUOTED(text), hint_for(spec->kind, text, hint));
	else
		r = 0;
	if (!r)
		*ret = value;
	return r;
}
