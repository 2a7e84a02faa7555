/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Complaints and requests, as they arrive, to questions: a time, an outside address and a port. A complaint is read by
 * its structure: objects of JSON, elements of XML, rows of tables, lines of logs, blocks of "Key: value", then prose. A
 * question is what one of these ties together; what the text does not tie is refused, with what it could have been.
 * Input comes from strangers: any octets are taken, and nothing in it is executed or followed. Pure.
 */
#ifndef DETNAT_COMPLAINT_H
#define DETNAT_COMPLAINT_H

#include "base/address.h"
#include "leases/zone.h"

/* Why something is no question: X(constant, word) */
#define COMPLAINT_FAULTS(X)                             \
	X(FAULT_NONE, "")                               \
	X(FAULT_NO_ADDRESS, "no-address")               \
	X(FAULT_NOT_OURS, "not-ours")                   \
	X(FAULT_SEVERAL_ADDRESSES, "several-addresses") \
	X(FAULT_NO_PORT, "no-port")                     \
	X(FAULT_SEVERAL_PORTS, "several-ports")         \
	X(FAULT_NO_TIME, "no-time")                     \
	X(FAULT_NO_YEAR, "no-year")                     \
	X(FAULT_NO_ZONE, "no-zone")                     \
	X(FAULT_SEVERAL_TIMES, "several-times")         \
	X(FAULT_AMBIGUOUS_DATE, "ambiguous-date")       \
	X(FAULT_CUT_OFF, "cut-off")                     \
	X(FAULT_UNSURE, "unsure")                       \
	X(FAULT_UNLISTED, "unlisted")                   \
	X(FAULT_TIME, "time") /* it never was, was twice, or has a zone that cannot be */

enum complaint_fault {
#define X(constant, word) constant,
	COMPLAINT_FAULTS(X)
#undef X
};

const char *complaint_fault_word(enum complaint_fault fault);

/* Why a part of the text was not read, or not as it was meant: X(constant, word) */
#define COMPLAINT_NOTICES(X)                                                                  \
	X(NOTICE_ATTACHMENT, "attachment") /* its type has no text, or not the complaint's */ \
	X(NOTICE_CHARSET, "charset")                                                          \
	X(NOTICE_ENCODING, "encoding") /* for the transfer */                                 \
	X(NOTICE_BINARY, "binary")     /* it is said to be text, and is none */               \
	X(NOTICE_NESTED, "nested")     /* it is within too many others */                     \
	X(NOTICE_DAMAGED, "damaged")                                                          \
	X(NOTICE_NO_PORT, "no-port")                                                          \
	X(NOTICE_NO_ZONE, "no-zone") /* of what is asked about at another second */

enum complaint_notice_code {
#define X(constant, word) constant,
	COMPLAINT_NOTICES(X)
#undef X
};

const char *complaint_notice_word(enum complaint_notice_code code);

/* Something that was not read. It lives as long as the call that has it. */
struct complaint_notice {
	enum complaint_notice_code code;
	uint64_t line;
	const char *name; /* of the file, as the mail has it; "": it has none */
	const char *text; /* a sentence */
};

/*
 * Where something is in the text: line and column, in characters, from 1, and the length in characters. Line 0:
 * nowhere. Of what was encoded by base64, the place is that of the line of base64.
 */
struct complaint_place {
	uint32_t line, column, length;
};

/* What may be meant where a text does not say which. */
struct complaint_candidate {
	struct endpoint out;
	bool timed;
	int64_t t; /* if timed */
	struct complaint_place addr, port, time;
};

#define COMPLAINT_CANDIDATES 8U

/* A question; `fault` and `why` are set if it is none. */
struct complaint {
	uint64_t line; /* of the address, or of what there is in its place */
	bool good;
	uint64_t unlisted; /* of FAULT_UNLISTED: how many were refused that are not listed */
	enum complaint_fault fault;
	int64_t t;
	struct endpoint out;
	uint8_t proto; /* IPPROTO_TCP or IPPROTO_UDP if the text says so, else 0 */
	struct complaint_place addr, port, time;
	struct error why;
	struct complaint_candidate candidates[COMPLAINT_CANDIDATES];
	unsigned n_candidates; /* of what is ambiguous; 0: it is not, or they are not known */
};

/* Who takes what is found. */
struct complaint_reader {
	const struct zone *zone; /* of times that name none */
	/* Whether an address is, or was, of a pool of this gateway; NULL: that is not known. */
	bool (*ours)(void *arg, uint32_t addr);
	/* Takes a question, in the order of the text. Returns nonzero to end the reading. */
	int (*take)(void *arg, const struct complaint *c);
	/* Takes what was not read, or NULL. */
	void (*tell)(void *arg, const struct complaint_notice *notice);
	void *arg;
};

/* A text that is larger is refused by the caller. */
#define COMPLAINT_MAX (64U << 20)

/* Finds the questions in a text of size octets. Returns 0, -ENOMEM, or what take returned. */
int complaint_read(const char *text, size_t size, const struct complaint_reader *reader);

#endif
