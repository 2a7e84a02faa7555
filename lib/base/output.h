/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text to a descriptor that may not take it: a pipe that is not read, a stopped terminal, a full or slow disk. A thread
 * writes it, so that only that thread ever waits. What is shared with other processes is left as it is: O_NONBLOCK
 * would change the descriptor for all who have it.
 *
 * Normally a text is written when output_write() returns. Where it takes longer than OUTPUT_PATIENCE_MS, it is left to
 * the thread, and so are the texts after it. Those that find OUTPUT_MAX octets waiting are lost and counted, and the
 * reader is told how many.
 */
#ifndef DETNAT_OUTPUT_H
#define DETNAT_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTPUT_MAX	   (256U << 10)
#define OUTPUT_PATIENCE_MS 100U

struct output;

/* Writes the line that tells a reader of lines lost. */
typedef void (*output_tell)(uint64_t lines, char *text, size_t size);

/* fd stays the caller's. tell: NULL: losses are only counted. -ENOMEM, or -errno where no thread can be had. */
int output_new(int fd, output_tell tell, struct output **ret);

/* Whole lines. May be called by any thread. */
void output_write(struct output *o, const char *text, size_t size);

/* Lines lost since the beginning, and whether any wait to be written. */
uint64_t output_lost(struct output *o, bool *ret_waiting);

/*
 * Waits until all is written, for so long at most, and frees it; what is left goes with the process. NULL is allowed.
 */
void output_free(struct output *o, unsigned patience_ms);

#endif
