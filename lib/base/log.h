/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of the agent and other programs: one line per message on stderr. Under journald (JOURNAL_STREAM) lines carry
 * a <priority>, elsewhere the level as a word. Messages name the event and the operator's remedy.
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

/* The program's name, before each line that no journal reads; the text stays the caller's. The default: detnat-agent.
 */
void log_set_program(const char *name);

/* Messages above the level are suppressed, except LOG_LEVEL_AUDIT; the default is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

/*
 * May be called by any thread. A message is one line, in which a newline is escaped as other controls are: words of
 * strangers begin no line of their own.
 */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A text of our own with several lines (the verifier's), each of which gets the level. */
void log_lines(enum log_level level, const char *text);

#define log_error(...)	 log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_audit(...)	 log_write(LOG_LEVEL_AUDIT, __VA_ARGS__)
#define log_info(...)	 log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/*
 * For a long-running process: after log_begin(), a log that is not read blocks no thread (base/output.h), and repeated
 * lines do not fill the disk (base/log_limit.h); log_tick(), once a second, logs how many were suppressed. log_end()
 * waits briefly for lines not yet written. Lines begin with the time, unless the journal or a terminal reads them.
 */
void log_begin(void);
void log_tick(void);
void log_end(void);

/* Number of lines lost, and whether some are still waiting to be written. */
uint64_t log_lost(bool *ret_waiting);

/* Writes a line to stdout, which does not block either. */
void log_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
