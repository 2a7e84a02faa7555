/* SPDX-License-Identifier: BSD-2-Clause */
/* Error messages on stderr. */
#ifndef DETNATCTL_MESSAGE_H
#define DETNATCTL_MESSAGE_H

#include <stdbool.h>

#include "base/text.h"

/*
 * Messages quote what was typed, what files and mails say, and what an agent sent: what does not show itself is escaped
 * (base/text.h), so that nothing of it acts on a terminal or begins a line of its own.
 */

/* Prints "detnatctl: TEXT" to stderr. */
void message_show(const char *text);

/* Prints "detnatctl: warning: TEXT" to stderr. */
void message_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether warnings are left out: what is asked again was warned of. */
void message_mute(bool mute);

/* Prints a line to stderr. */
void message_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
