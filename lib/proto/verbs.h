/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verbs of the control protocol and their arguments; the rows are in proto/verbs.def. The agent checks requests
 * against this table and detnatctl builds them from it, so both refuse the same things.
 */
#ifndef DETNAT_VERBS_H
#define DETNAT_VERBS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/base.h"
#include "base/virtual6.h"
#include "proto/words.h"

enum verb {
#define VERB(id, ...) VERB_##id,
#include "proto/verbs.def"
	N_VERBS
};

/*
 * The syntax of a value. On the wire, numbers are JSON numbers, flags are true or false, and all others are strings.
 */
enum arg_kind {
	ARG_NONE,	   /* ends the list of a verb */
	ARG_ADDR,	   /* 10.0.0.2 */
	ARG_PREFIX,	   /* 10.0.0.0/18, masked, or an address */
	ARG_ENDPOINT,	   /* 10.0.0.2:6303 */
	ARG_COLLECTORS,	   /* 192.0.2.10:4739,tcp:192.0.2.11:4739 */
	ARG_NAME,	   /* an interface name */
	ARG_ROLE,	   /* inside, outside: number is DEVICE_INSIDE or DEVICE_OUTSIDE */
	ARG_SIDE,	   /* in, out: number is DEVICE_INSIDE or DEVICE_OUTSIDE */
	ARG_SPAN,	   /* 10.0.0.2:443, 10.0.0.2:8000-8009: span */
	ARG_PORTMAP_PROTO, /* tcp, udp, both: number is enum portmap_protos */
	ARG_PORTMAP,	   /* the same words, before ports: number; or the name of a portmap: text, and number 0 */
	ARG_PORTMAPS_FATE, /* move, delete: number is enum portmaps_fate */
	ARG_ORIGIN,	   /* static, pcp: number is enum portmap_origin */
	ARG_PROTO,	   /* tcp, udp, icmp: number is the IP protocol */
	ARG_NUMBER,	   /* min..max */
	ARG_SLOTS,	   /* a power of two, min..max */
	ARG_SECONDS,	   /* min..max; may be typed with units, 90s, 1h30m: see base/duration.h */
	ARG_FLAG,	   /* number is 0 or 1 */
	ARG_QUESTION,	   /* 203.0.113.1:1276, 203.0.113.1, or - for questions on standard input: text */
	ARG_TIME,	   /* an RFC 3339 time, a date, or relative to now, see base/duration.h: time */
	ARG_PATH,	   /* path of a directory */
	ARG_FILE,	   /* path of a file, or -: text */
	ARG_FILES,	   /* the same, as an option that may be given several times: an array */
	ARG_FORMAT,	   /* auto, table and so on: number is enum import_format */
	ARG_WHETHER,	   /* yes, no: number is 1 or 0 */
	ARG_ORDER,	   /* sessions, half-open and so on: number is enum top_order */
	ARG_PORTS,	   /* 25,22,23: text, see port_list_parse() */
	ARG_LEASES,	   /* freeradius-detail, kea and so on: number is enum lease_format */
	ARG_TEXT,	   /* printable UTF-8 of 1 to max octets: text */
	ARG_LABEL,	   /* the name of a mapping, or "" for none: text */
	ARG_COMMENT,	   /* a comment, or "" for none: text */
	ARG_PROTOCOLS,	   /* udp,tcp, or none: number is BINDING_…, or-ed */
	ARG_MAPPING,	   /* 10.0.0.0/18, or the name of a mapping: prefix, or text if that is not NULL */
	ARG_REMOTE,	   /* 198.51.100.0/24, with :PORT too if max is not 0: prefix, port; with_port */
	ARG_NOTICES,	   /* refusals,sessions or, typed, refusals sessions: number is enum notice_kind, or-ed */
	ARG_STATE,	   /* udp-active, tcp-established and so on: number is the session's state */
	ARG_OUT,	   /* an outside prefix, masked, or none, which is PREFIX_NONE */
	ARG_INBOUND,	   /* sessions, open: number is enum inbound */
	ARG_BLOCK_ORDER,   /* sequential, netmap: number is 0 or 1 */
	ARG_NAT64, /* 64:ff9b::/96: a prefix of IPv4 addresses (RFC 6052), in `six`; or none, which is of length 0 */
	ARG_PLACE, /* 10.0.0.2 or 10.0.0.2:6303: endpoint, and with_port; with min 1 neither address nor port is 0 */
};

/* How an argument is typed after the command. */
enum arg_style {
	ARG_WORD,	/* positional, required */
	ARG_MAYBE_WORD, /* positional, optional */
	ARG_OPTION,	/* --name VALUE, with - for _; -n VALUE if the name is a single letter; optional */
	ARG_ASSIGNMENT, /* name=VALUE; at least one of a verb's assignments is required */
};

struct arg_spec {
	const char *name;
	enum arg_kind kind;
	enum arg_style style;
	uint32_t min;
	uint32_t max;
	const char *shown;   /* placeholder in the usage; NULL: that of the kind */
	const char *refused; /* not in the usage, and refused with this text; NULL: accepted */
	bool six;	     /* an inside address or prefix of IPv6 is accepted, too; see arg_value.six */
};

#define VERB_MAX_ARGS 32U

/* mapping set refuses options that share out the ports. */
#define BLOCKS_REFUSED                                                                                           \
	"the ports of its subscribers stay as they are; `mapping add --replace` changes them, which ends their " \
	"sessions"

/* The most packets of a trace, which the agent keeps in memory. */
#define TRACE_MAX_COUNT 10000U

/* Maximum number of subscribers that `top` shows. */
#define TOP_MAX 65536U

enum top_order {
	TOP_BY_SESSIONS,
	TOP_BY_QUOTA,	     /* by refused packets */
	TOP_BY_RATE,	     /* by sessions opened a second */
	TOP_BY_HALF_OPEN,    /* by half-open TCP sessions */
	TOP_BY_DESTINATIONS, /* by external addresses */
	TOP_BY_INBOUND,	     /* by packets of strangers */
};

struct verb_spec {
	const char *name; /* one word or two */
	struct arg_spec args[VERB_MAX_ARGS + 1];
	bool needs_option;	  /* one of its options at least is required */
	bool changes;		  /* changes the running state, which requires that right */
	bool looks;		  /* shows persons or acts on one, which leaves lines in the ledger of queries */
	bool edits;		  /* changes only the configuration, so that several can be one change: see -b */
	const char *changes_with; /* changes it only if this flag is set; NULL: no such flag */
	const char *purpose;	  /* one line, for the list of commands */
	const char *details;	  /* further lines for its own help, or NULL */
	const char *example;	  /* as typed, without the program name */
};

extern const struct verb_spec verb_specs[N_VERBS];

struct arg_value {
	bool given;
	bool with_port;
	uint16_t port; /* of ARG_REMOTE */
	bool single;   /* of ARG_PREFIX, ARG_OUT and ARG_MAPPING: an address without a length */
	union {
		uint32_t number;
		uint32_t addr; /* host byte order */
		struct prefix prefix;
		struct endpoint endpoint;
		struct port_span span;
		int64_t time;
	};
	const char *text; /* memory of the caller */
	/*
	 * An inside address or prefix of IPv6, with 128 as the length of an address; 0: it is of IPv4. The agent fills
	 * in the virtual address as well, where `addr`, `prefix` or `endpoint` has that of an IPv4 subscriber.
	 */
	unsigned six_plen;
	struct address6 six;
};

/* Returns the number of the verb with that name, or -ENOENT. */
int verb_find(const char *name);

/*
 * Writes the form in which a verb's arguments are typed, "in|out ADDR:PORT EXT:PORT [--proto tcp|udp|icmp]", and
 * returns it.
 */
#define USAGE_TEXT 640
const char *verb_usage(const struct verb_spec *verb, char text[static USAGE_TEXT]);

/*
 * Writes an argument's title in messages, as the usage has it: "IN", "--count N", "udp=N"; "role" for lists of words.
 */
const char *arg_title(const struct arg_spec *spec, char text[static USAGE_TEXT]);

/* Returns whether further words, which no other argument takes, belong to a value of this kind, with commas. */
bool arg_is_list(enum arg_kind kind);

/* Returns whether values of this kind are JSON numbers. */
bool arg_is_number(enum arg_kind kind);

/* Returns the words that a value of this kind can be, or NULL if the kind is not a list of words. */
const struct word *arg_words(enum arg_kind kind);

/*
 * Parses a value as it is typed, with numbers in decimal digits; flags have no text form. Returns 0, or -EINVAL with
 * err naming the argument, the value and what is expected. ret->text points to the given text.
 */
int arg_parse(const struct arg_spec *spec, const char *text, struct arg_value *ret, struct error *err);

/*
 * Checks a value together with the argument after it: 0, or -EINVAL with err. Of ARG_PORTMAP, a protocol needs ports
 * and a name takes none.
 */
int arg_check_next(const struct arg_spec *spec, const struct arg_value *value, bool next_given, struct error *err);

/* Ports, 1 to 65535, each once and with commas between: 0, or -EINVAL. */
#define PORT_LIST_MAX 16U
int port_list_parse(const char *text, uint16_t ret[static PORT_LIST_MAX], unsigned *ret_n);

/* Checks a value that was received as a number. Returns as arg_parse(). */
int arg_check_number(const struct arg_spec *spec, double number, struct arg_value *ret, struct error *err);

#endif
