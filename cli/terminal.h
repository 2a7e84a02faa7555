/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The terminal while a view refreshes itself: another screen, no cursor, keys as they are typed. However the program
 * ends or is stopped, the terminal is put back as it was.
 */
#ifndef DETNATCTL_TERMINAL_H
#define DETNATCTL_TERMINAL_H

#include <stdbool.h>

/* Whether standard input and output are a terminal that moves its cursor as told. */
bool terminal_usable(void);

/*
 * Takes the terminal: 0 or -errno. Ctrl-C then ends the program with exit status 0, SIGTERM, SIGHUP and SIGQUIT as they
 * do; Ctrl-Z stops it, and the view comes back with it.
 */
int terminal_enter(void);
void terminal_leave(void);

/* Whether the screen has to be drawn anew since the last call: it was resized, or has come back. */
bool terminal_changed(void);

void terminal_size(unsigned *ret_rows, unsigned *ret_columns);

/* Shows text at once: 0, or -errno where the terminal has gone. */
int terminal_write(const char *text, unsigned long size);

#endif
