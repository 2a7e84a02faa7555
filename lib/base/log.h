/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's log: stderr, a line a message. Under journald (JOURNAL_STREAM) lines carry a <priority>, elsewhere
 * the level in words. Messages say what happened and what the operator can do.
 */
#ifndef DETNAT_LOG_H
#define DETNAT_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_AUDIT = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

/* Messages above the level are left out, but for LOG_LEVEL_AUDIT; the default is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

/* May be called by any thread. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_audit(...)	 log_write(LOG_LEVEL_AUDIT, __VA_ARGS__)
#define log_info(...)	 log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/*
 * For one who runs for long: from log_begin() on a log that is not read stops nobody (base/output.h), and one that
 * repeats itself does not fill the disk (base/log_limit.h): log_tick(), once a second, tells what was left out.
 * log_end() waits a moment for what is not written yet.
 */
void log_begin(void);
void log_tick(void);
void log_end(void);

/* Lines that nobody will read, and whether some wait to be read. */
uint64_t log_lost(bool *ret_waiting);

/* A line on stdout, with the same promise. */
void log_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
