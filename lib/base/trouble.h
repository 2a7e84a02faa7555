/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Troubles outside the datapath: failures that the agent survives and retries. Each is reported until it is over: in
 * the log when it begins, when it changes and once a minute, in `detnatctl status`, as a metric, and to listeners of
 * notices.
 *
 * Only the event loop's thread may call these functions.
 */
#ifndef DETNAT_TROUBLE_H
#define DETNAT_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* X(constant, name, log line when it is over) */
#define TROUBLES(X)                                                                    \
	X(TROUBLE_CONFIG, "config", "the configuration file is in force")              \
	X(TROUBLE_HISTORY, "history", "the mapping history can be written again")      \
	X(TROUBLE_RECORDS, "records", "the mapping history says what the tables have") \
	X(TROUBLE_METRICS, "metrics", "metrics are served again")                      \
	X(TROUBLE_PCP, "pcp", "PCP listens at all its addresses")                      \
	X(TROUBLE_IPFIX, "ipfix", "IPFIX records can be sent again")                   \
	X(TROUBLE_REPLICATION, "replication", "sessions are exchanged with all peers") \
	X(TROUBLE_SYSLOG, "syslog", "events can be sent to syslog again")              \
	X(TROUBLE_LEASES, "leases", "leases are recorded from all sources again")      \
	X(TROUBLE_CONTROL, "control", "the control socket answers again")              \
	X(TROUBLE_INTERFACES, "interfaces", "the interfaces are as configured")        \
	X(TROUBLE_GUARD, "guard", "the guard stands")                                  \
	X(TROUBLE_LOG, "log", "the log is read again")

enum trouble {
#define X(constant, what, ended) constant,
	TROUBLES(X)
#undef X
		N_TROUBLES
};

#define TROUBLE_TEXT	 512
#define TROUBLE_REPEAT_S 60U

struct trouble_state {
	bool there;
	time_t since;	      /* CLOCK_REALTIME */
	uint64_t repeated_us; /* CLOCK_MONOTONIC, when it was last logged */
	char text[TROUBLE_TEXT];
};

/*
 * Reports trouble: logged if it is new or has changed, in which case true is returned. The text says what does not
 * work, why, and what can be done.
 */
bool trouble_set(enum trouble what, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The trouble is over, or there was none. */
void trouble_clear(enum trouble what);

/* Called once a second: logs trouble again when the last line about it is a minute old. */
void trouble_tick(void);

/* The current trouble, or NULL. */
const struct trouble_state *trouble_get(enum trouble what);

/* Its name in `status`, metrics and the log. */
const char *trouble_word(enum trouble what);

#endif
