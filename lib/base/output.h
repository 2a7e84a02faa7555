/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes text to a descriptor that may block: a pipe that is not read, a stopped terminal, a full or slow disk. A
 * thread does the writing, so that only this thread blocks. O_NONBLOCK is not set, as it would affect all processes
 * that share the descriptor.
 *
 * Normally a text is written when output_write() returns. If that takes longer than OUTPUT_PATIENCE_MS, this text and
 * the following ones are left to the thread. Texts that find OUTPUT_MAX octets waiting are lost and counted, and a line
 * reports their number to the reader.
 */
#ifndef DETNAT_OUTPUT_H
#define DETNAT_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTPUT_MAX	   (256U << 10)
#define OUTPUT_PATIENCE_MS 100U

struct output;

/* Formats the line that reports lost lines to the reader. */
typedef void (*output_tell)(uint64_t lines, char *text, size_t size);

/* fd belongs to the caller. tell: NULL: losses are only counted. 0, -ENOMEM, or -errno if no thread can be made. */
int output_new(int fd, output_tell tell, struct output **ret);

/* Writes whole lines. May be called by any thread. */
void output_write(struct output *o, const char *text, size_t size);

/* Number of lines lost so far, and whether any wait to be written. */
uint64_t output_lost(struct output *o, bool *ret_waiting);

/* Waits up to the given time until everything is written, and frees it; lines left are lost. o may be NULL. */
void output_free(struct output *o, unsigned patience_ms);

#endif
