/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Trouble beside the datapath: something that the agent goes on without, tries again by itself, and tells until it is
 * mended: in the log when it begins, when it changes and once a minute, in `detnatctl status`, and as a metric.
 *
 * The event loop's thread alone may call these.
 */
#ifndef DETNAT_TROUBLE_H
#define DETNAT_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* X(constant, what, said when it has ended) */
#define TROUBLES(X)                                                               \
	X(TROUBLE_CONFIG, "config", "the configuration file is in force")         \
	X(TROUBLE_HISTORY, "history", "the mapping history can be written again") \
	X(TROUBLE_METRICS, "metrics", "metrics are served again")                 \
	X(TROUBLE_IPFIX, "ipfix", "IPFIX records can be sent again")              \
	X(TROUBLE_CONTROL, "control", "the control socket answers again")         \
	X(TROUBLE_INTERFACES, "interfaces", "the interfaces are as configured")   \
	X(TROUBLE_GUARD, "guard", "the guard stands")                             \
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
 * There is trouble: logged where it is new, or not what it was. True where that was done. The text says what does not
 * work, why, and what can be done.
 */
bool trouble_set(enum trouble what, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* There is none, or no more. */
void trouble_clear(enum trouble what);

/* Once a second: says again what has lasted for a minute since it was last said. */
void trouble_tick(void);

/* How it stands; NULL: well. */
const struct trouble_state *trouble_get(enum trouble what);

/* Its name in `status`, metrics and log. */
const char *trouble_word(enum trouble what);

#endif
