/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Notices: events as they happen, for those that listen at the moment (`detnatctl monitor`, syslog). Without a listener
 * a notice costs a comparison; the agent keeps none.
 *
 * May only be called by the event loop's thread.
 */
#ifndef DETNAT_NOTICE_H
#define DETNAT_NOTICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/log.h"

/* Bits; proto/words.h has their names. */
enum notice_kind {
	NOTICE_REFUSALS = 1,   /* of subscribers' sessions */
	NOTICE_MAPPINGS = 2,   /* added, changed, deleted */
	NOTICE_INTERFACES = 4, /* attached, gone, refusing frames */
	NOTICE_TROUBLES = 8,   /* base/trouble.h */
	NOTICE_PEERS = 32,     /* gateways that copy sessions to each other: up, down, differing */
	NOTICE_LEASES = 64,    /* the end of the ledger of leases, daily */
	NOTICE_GRANTS = 128,   /* blocks granted to subscribers, and taken back */
	NOTICE_ATTACKS = 256,  /* pool addresses that get too many packets of strangers */
	NOTICE_SUSPECTS = 512, /* subscribers that reach a threshold of `suspects` */
	NOTICE_SESSIONS = 16,  /* opened, closed: the datapath reports them only on request */
};

#define NOTICE_ALL                                                                                                \
	(NOTICE_REFUSALS | NOTICE_MAPPINGS | NOTICE_INTERFACES | NOTICE_TROUBLES | NOTICE_PEERS | NOTICE_LEASES | \
	 NOTICE_GRANTS | NOTICE_ATTACKS | NOTICE_SUSPECTS | NOTICE_SESSIONS)
#define NOTICE_DEFAULTS (NOTICE_ALL & ~NOTICE_SESSIONS)

/* Enough for any text of a notice. */
#define NOTICE_TEXT   640
#define NOTICE_PARAMS 12U

struct notice_param {
	const char *name; /* as in JSON and RFC 5424: letters, digits and _ */
	const char *text; /* NULL: the number */
	uint64_t number;
};

struct notice {
	enum notice_kind kind;
	enum log_level level;
	const char *event; /* one word, such as "quota" */
	uint64_t wall_ns;  /* CLOCK_REALTIME */
	struct prefix in;  /* the inside addresses concerned; length 0: none */
	const char *text;  /* for people */
	struct notice_param param[NOTICE_PARAMS];
	unsigned n_params;
};

struct notice_listener {
	struct notice_listener *next;
	uint16_t kinds; /* enum notice_kind, or-ed */
	/* The notice and its texts are valid during the call, which must not add or remove listeners. */
	void (*heard)(void *arg, const struct notice *n);
	void *arg;
};

/* The listener is the caller's, and stays in place until it is removed. */
void notice_listen(struct notice_listener *l);
void notice_unlisten(struct notice_listener *l); /* does nothing if it does not listen */

/* Returns whether any listener wants this kind; otherwise the rest need not be made. */
bool notice_wanted(enum notice_kind kind);

/* Begins a notice that happens now; its texts must outlive it. */
struct notice notice_now(enum notice_kind kind, enum log_level level, const char *event, const char *text);

/* Omits parameters beyond NOTICE_PARAMS. */
void notice_add_text(struct notice *n, const char *name, const char *text);
void notice_add_number(struct notice *n, const char *name, uint64_t number);

void notice_tell(const struct notice *n);

#endif
