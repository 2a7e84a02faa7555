/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verbs of the control protocol and their arguments; their rows are in proto/verbs.def. The agent checks requests
 * by this table and detnatctl builds them by it, so that both refuse the same things.
 */
#ifndef DETNAT_VERBS_H
#define DETNAT_VERBS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/base.h"
#include "proto/words.h"

enum verb {
#define VERB(id, ...) VERB_##id,
#include "proto/verbs.def"
	N_VERBS
};

/* What a value must look like. On the wire numbers are JSON numbers, flags are true or false, all others strings. */
enum arg_kind {
	ARG_NONE,	/* ends the list of a verb */
	ARG_ADDR,	/* 10.0.0.2 */
	ARG_PREFIX,	/* 10.0.0.0/18, masked */
	ARG_ENDPOINT,	/* 10.0.0.2:6303 */
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
	ARG_ORDER,	/* sessions, quota: number is enum top_order */
	ARG_PLACE, /* 10.0.0.2 or 10.0.0.2:6303: endpoint, and with_port; with min 1 neither address nor port is 0 */
};

/* How it is typed after the command. */
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
	const char *shown; /* the value in the usage; NULL: that of its kind */
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
	const char *name; /* one word or two */
	struct arg_spec args[VERB_MAX_ARGS + 1];
	bool changes;		  /* the running state, so that it needs the rights to */
	const char *changes_with; /* the flag with which alone it does, or NULL */
	const char *purpose;	  /* in a line, for the list of commands */
	const char *details;	  /* further lines for its own help, or NULL */
	const char *example;	  /* as typed, without the program's name */
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

/* The words that a value of this kind can be, or NULL where it is no word of a list. */
const struct word *arg_words(enum arg_kind kind);

/*
 * Reads a value; numbers in decimal digits, flags not at all. 0, or -EINVAL with err naming the argument, the value and
 * what is expected. ret->text points to the text given.
 */
int arg_parse(const struct arg_spec *spec, const char *text, struct arg_value *ret, struct error *err);

/* Checks a number that came as one. As arg_parse(). */
int arg_check_number(const struct arg_spec *spec, double number, struct arg_value *ret, struct error *err);

#endif
