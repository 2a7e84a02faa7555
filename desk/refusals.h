/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was refused, by the hour: the first refusal of an asker and kind is to leave a line, the number of those after
 * it another one when the hour is over. So a flood of refusals makes few lines. Askers who are known have places of
 * their own, which strangers cannot take. Thread-safe.
 */
#ifndef DETNAT_DESK_REFUSALS_H
#define DETNAT_DESK_REFUSALS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/query_ledger.h"

/* Places of an hour, each for an asker and a kind; what finds none is counted together. */
#define REFUSALS_KNOWN	  1024U
#define REFUSALS_STRANGER 256U

#define REFUSAL_TEXT 128U

struct refusal_of {
	const char *whom;
	bool known; /* it is the name of a user or a token */
	const char *kind;
	const char *what; /* is counted apart; "" for nothing */
	const char *why;
	bool ledger; /* its lines are for the ledger, too, not for the journal alone */
};

/* Those after the first. */
struct refusals_more {
	char whom[REFUSAL_TEXT], kind[REFUSAL_TEXT], why[REFUSAL_TEXT];
	bool ledger;
	uint64_t times; /* 0: there were none */
};

/* Counts one. Whether it is the first of this hour. now: seconds since 1970. */
bool refusals_first(const struct refusal_of *r, int64_t now);

/*
 * Takes what hours before that of `now` have counted, or with `all` this one, too; tell() is called for each number
 * that is not 0, without a lock.
 */
void refusals_take(int64_t now, bool all, void (*tell)(void *arg, const struct refusals_more *m), void *arg);

#endif
