/* SPDX-License-Identifier: BSD-2-Clause */
/* Who made a change, as each of its lines in the mapping history says. */
#ifndef DETNAT_HISTORY_BY_H
#define DETNAT_HISTORY_BY_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/user_groups.h"

/* What the agent does by itself; any other word is the command of detnatctl that a user gave. */
#define BY_START       "start"
#define BY_RELOAD      "reload"	     /* by a user's command, or by a signal */
#define BY_EXPIRY      "expiry"	     /* an `until` or a drain is over */
#define BY_UNCONFIRMED "unconfirmed" /* a reload was not confirmed in time, and is taken back */
#define BY_GROWTH      "growth"	     /* a subscriber needed a block, or one was idle */
#define BY_REPLICATION "replication" /* another gateway did it */
#define BY_TABLES      "tables"	     /* found in the tables of the datapath, where the history lacked it */

#define BY_WHAT 32

/* Zero-initialised: not recorded, as in lines of earlier versions. */
struct history_by {
	char what[BY_WHAT];
	bool person; /* a user asked for it over the control socket */
	uint32_t uid;
	char user[ACCOUNT_NAME]; /* the words of whoever made the account: quoted wherever they are shown */
};

/* What the agent did by itself. */
struct history_by history_by(const char *what);

/* A user's command. */
struct history_by history_by_user(const char *command, uint32_t uid);

/* Writes ,"by":{...}, or nothing if it is not recorded; reads it: what is malformed is not recorded. */
void history_by_write(FILE *out, const struct history_by *by);
void history_by_read(const cJSON *json, struct history_by *ret);

/* Writes mapping add of "alice" (uid 1000), or "" if it is not recorded. Returns ret. */
#define BY_TEXT 256
char *history_by_text(const struct history_by *by, char ret[static BY_TEXT]);

#endif
