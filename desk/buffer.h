/* SPDX-License-Identifier: BSD-2-Clause */
/* Octets that grow up to a limit. */
#ifndef DETNAT_DESK_BUFFER_H
#define DETNAT_DESK_BUFFER_H

#include <stddef.h>

/* Zero-initialised: empty. */
struct buffer {
	char *data;
	size_t size, room;
};

/* Appends octets. 0, -E2BIG if there would be more than limit, or -ENOMEM; then the buffer is as before. */
int buffer_add(struct buffer *b, const char *data, size_t size, size_t limit);
void buffer_free(struct buffer *b);

#define _cleanup_buffer_ __attribute__((cleanup(buffer_free)))

#endif
