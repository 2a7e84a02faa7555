/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all askers share, and how much of it one of them may have of a kind, and all of the kind, at a time: so none of
 * them, and no agent that hangs, takes everything. Thread-safe.
 */
#ifndef DETNAT_DESK_SHARES_H
#define DETNAT_DESK_SHARES_H

#include <stdbool.h>
#include <stdint.h>

/* Requests under way, processes of detnatctl, octets of bodies in memory, octets of answers in files. */
enum share { SHARE_REQUESTS, SHARE_PROCESSES, SHARE_BODIES, SHARE_ANSWERS, N_SHARES };

/* What the agent has to answer; what the history answers; what programs ask; what nobody who is known asks. */
enum asking { ASKING_STATE, ASKING_LOOKUP, ASKING_PROGRAM, ASKING_NOBODY, N_ASKING };

#define ASKER_NAME 80U

/* Who asks: a user or a token, each with a name of its own. */
struct asker {
	char name[ASKER_NAME];
	enum asking asking;
};

/* Takes so much, or nothing: false if it is not to be had now. */
bool share_take(enum share what, const struct asker *who, uint64_t n);
void share_give(enum share what, const struct asker *who, uint64_t n);

/*
 * Waits for up to `seconds` until it is to be had, as long as wanted() says that somebody waits for it. False: in vain,
 * or too many of this asker wait already.
 */
bool share_wait(enum share what, const struct asker *who, uint64_t n, unsigned seconds, bool (*wanted)(void *arg),
		void *arg);

#endif
