// SPDX-License-Identifier: BSD-2-Clause
#include "leases/lease_pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Offsets have 32 bits. */
#define POOL_MAX ((size_t)UINT32_MAX)

static int make_room(struct lease_pool *p, size_t more)
{
	size_t room = p->room ? p->room : 4096;
	char *larger;

	while (room < p->size + more)
		room *= 2;
	if (room == p->room)
		return 0;
	larger = room > POOL_MAX ? NULL : realloc(p->text, room);
	if (!larger)
		return -ENOMEM;
	p->text = larger;
	p->room = room;
	return 0;
}

static int append(struct lease_pool *p, const char *text, size_t size, uint32_t *ret_offset)
{
	if (!p->size)
		p->size = 1;
	if (make_room(p, size + 1))
		return -ENOMEM;
	memcpy(p->text + p->size, text, size + 1);
	*ret_offset = (uint32_t)p->size;
	p->size += size + 1;
	return 0;
}

int lease_pool_add(struct lease_pool *p, const char *text, uint32_t *ret_offset)
{
	size_t size = strlen(text);
	uint64_t hash = size ? hash_octets(text, size) : 0;

	*ret_offset = 0;
	if (!size)
		return 0;
	for (uint32_t step = 0; hash_index_next(&p->index, hash, &step, ret_offset);)
		if (!strcmp(p->text + *ret_offset, text))
			return 0;
	if (append(p, text, size, ret_offset))
		return -ENOMEM;
	return hash_index_add(&p->index, hash, *ret_offset);
}

const char *lease_pool_next(const struct lease_pool *p, const char *text)
{
	size_t at = text ? (size_t)(text - p->text) + strlen(text) + 1 : 1;

	return at < p->size ? p->text + at : NULL;
}

void lease_pool_free(struct lease_pool *p)
{
	free(p->text);
	hash_index_free(&p->index);
	*p = (struct lease_pool){ 0 };
}
