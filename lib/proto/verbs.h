/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verbs of the control protocol and their arguments, said once: the agent checks requests by this table, and the
 * command line builds them by it, so that both refuse the same things. The last ones the command line answers by
 * itself, from files. Pure: no input, no output, no state.
 */
#ifndef DETNAT_VERBS_H
#define DETNAT_VERBS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/base.h"

enum verb {
	VERB_MAPPING_ADD,
	VERB_MAPPING_DEL,
	VERB_MAPPING_LIST,
	VERB_FORWARD,
	VERB_REVERSE,
	VERB_INTERFACE_ADD,
	VERB_INTERFACE_DEL,
	VERB_INTERFACE_LIST,
	VERB_TIMEOUTS_SHOW,
	VERB_TIMEOUTS_SET,
	VERB_TIMEOUTS_RESET,
	VERB_SESSION_LIST,
	VERB_SESSION_CLOSE,
	VERB_USER_SHOW,
	VERB_STATS,
	VERB_STATUS,
	VERB_IPFIX_SHOW,
	VERB_IPFIX_SET,
	VERB_IPFIX_DISABLE,
	VERB_IPFIX_FLUSH,
	VERB_RELOAD,
	VERB_WHO,
	VERB_HISTORY_LIST,
	VERB_HISTORY_VERIFY,
	VERB_TOP,
	VERB_EXPLAIN,
	VERB_TRACE_START,
	VERB_TRACE_SHOW,
	VERB_TRACE_STOP,
	VERB_CHECK,
	N_VERBS
};

/* What a value must look like. On the wire numbers are JSON numbers, flags are true or false, all others strings. */
enum arg_kind {
	ARG_NONE,	/* ends the list of a verb */
	ARG_ADDR,	/* 10.0.0.2 */
	ARG_PREFIX,	/* 10.0.0.0/18, masked */
	ARG_ENDPOINT,	/* 10.0.0.2:6303; min..max bound the port */
	ARG_COLLECTORS, /* 192.0.2.10:4739,tcp:192.0.2.11:4739 */
	ARG_NAME,	/* of an interface */
	ARG_ROLE,	/* inside, outside: number is DEVICE_INSIDE or DEVICE_OUTSIDE */
	ARG_SIDE,	/* in, out: number is DEVICE_INSIDE or DEVICE_OUTSIDE */
	ARG_PROTO,	/* tcp, udp, icmp: number is the IP protocol */
	ARG_NUMBER,	/* min..max */
	ARG_SLOTS,	/* a power of two, min..max */
	ARG_FLAG,	/* number is 0 or 1 */
	ARG_QUESTION,	/* 1.1.1.1:1276, or - for those on standard input: text */
	ARG_TIME,	/* of RFC 3339, or a date, see base/timestamp.h: time */
	ARG_PATH,	/* of a directory */
	ARG_RANK,	/* sessions, quota: number is enum top_order */
	ARG_PLACE,	/* 10.0.0.2 or 10.0.0.2:6303: endpoint, and with_port */
};

/* How detnatctl writes it. */
enum arg_style {
	ARG_WORD,	/* by its place; required */
	ARG_MAYBE_WORD, /* by its place; may be left out */
	ARG_OPTION,	/* --name VALUE, with - for _; -n VALUE where the name is a letter; may be left out */
	ARG_ASSIGNMENT, /* name=VALUE; at least one of those of a verb is required */
};

struct arg_spec {
	const char *name;
	enum arg_kind kind;
	enum arg_style style;
	uint32_t min;
	uint32_t max;
};

#define VERB_MAX_ARGS 6U

/* Packets of one trace: bounds what the agent keeps. */
#define TRACE_MAX_COUNT 10000U

/* Subscribers that `top` shows at most, and its order. */
#define TOP_MAX 65536U

enum top_order {
	TOP_BY_SESSIONS,
	TOP_BY_QUOTA, /* by packets refused */
};

struct verb_spec {
	const char *name;
	struct arg_spec args[VERB_MAX_ARGS + 1];
	const char *changes_with; /* the flag that makes a change of it, or NULL */
	bool changes;		  /* see request_changes() */
};

extern const struct verb_spec verb_specs[N_VERBS];

struct arg_value {
	bool given;
	bool with_port;
	union {
		uint32_t number;
		uint32_t addr; /* host byte order */
		struct prefix prefix;
		struct endpoint endpoint;
		int64_t time;
		const char *text; /* the caller's */
	};
};

/* The verb of that name, or -ENOENT. */
int verb_find(const char *name);

/*
 * Reads a value; numbers in decimal digits, flags not at all. 0, or -EINVAL with err naming the argument, the value and
 * what is expected. ret->text points to the text given.
 */
int arg_parse(const struct arg_spec *spec, const char *text, struct arg_value *ret, struct error *err);

/* Checks a number that came as one. As arg_parse(). */
int arg_check_number(const struct arg_spec *spec, double number, struct arg_value *ret, struct error *err);

#endif
