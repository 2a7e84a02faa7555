/* SPDX-License-Identifier: BSD-2-Clause */
/* What a program prints, and whether it arrived. */
#ifndef DETNAT_PRINTED_H
#define DETNAT_PRINTED_H

/*
 * The exit status of a program whose output is complete: `status`, or 1 in place of 0 with a line on standard error if
 * standard output could not be written. A reader that closed the pipe early is no error.
 */
int printed(const char *program, int status);

#endif
