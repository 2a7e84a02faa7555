// SPDX-License-Identifier: BSD-2-Clause
#include "buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_FIRST 4096U

static int make_room(struct buffer *b, size_t needed)
{
	size_t room = b->room ? b->room : BUFFER_FIRST;
	char *data;

	while (room < needed)
		room *= 2;
	if (room == b->room)
		return 0;
	data = realloc(b->data, room);
	if (!data)
		return -ENOMEM;
	b->data = data;
	b->room = room;
	return 0;
}

int buffer_add(struct buffer *b, const char *data, size_t size, size_t limit)
{
	if (size > limit || b->size > limit - size)
		return -E2BIG;
	if (make_room(b, b->size + size))
		return -ENOMEM;
	memcpy(b->data + b->size, data, size);
	b->size += size;
	return 0;
}

void buffer_free(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){};
}
