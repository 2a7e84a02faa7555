/* SPDX-License-Identifier: BSD-2-Clause */
/* Error messages on stderr. */
#ifndef DETNATCTL_MESSAGE_H
#define DETNATCTL_MESSAGE_H

/*
 * Prints "detnatctl: TEXT" to stderr. A message quotes what was typed, or what an agent sent: control characters in it
 * become question marks, in place, so that nothing of it acts on a terminal.
 */
void message_show(char *text);

#endif
