/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The terminal while a self-refreshing view runs: alternate screen, no cursor, keys read as they are typed. However the
 * program ends or is stopped, the terminal is restored.
 */
#ifndef DETNATCTL_TERMINAL_H
#define DETNATCTL_TERMINAL_H

#include <stdbool.h>

/* Returns whether standard input and output are a terminal with cursor movement. */
bool terminal_usable(void);

/*
 * Takes over the terminal. Returns 0 or -errno. From then on Ctrl-C ends the program with exit status 0, and SIGTERM,
 * SIGHUP and SIGQUIT end it as usual; Ctrl-Z stops it, and the view is restored when it continues.
 */
int terminal_enter(void);
void terminal_leave(void);

/* Returns whether the screen must be redrawn since the last call: it was resized, or the program was continued. */
bool terminal_changed(void);

void terminal_size(unsigned *ret_rows, unsigned *ret_columns);

/* Writes text at once. Returns 0, or -errno if the terminal has gone. */
int terminal_write(const char *text, unsigned long size);

/* The width of the terminal that is the standard output; 0: it is none. */
int terminal_columns(void);

#endif
