/* SPDX-License-Identifier: BSD-2-Clause */
#include "fib/nexthop_objects.h"

static uint64_t hash(const void *entry)
{
	const struct fib_object *object = entry;

	return HASH_OF(object->told.id);
}

static bool same(const void *a, const void *b)
{
	const struct fib_object *x = a, *y = b;

	return x->told.id == y->told.id;
}

const struct hash_type fib_objects = { sizeof(struct fib_object), 0, hash, same };

struct fib_object *fib_objects_get(struct hash_table *o, uint32_t id)
{
	const struct fib_object unknown = {
		.told = { .id = id, .way.kind = FIB_WAY_KERNEL, .kept = FIB_KEPT_OTHER },
	};
	struct fib_object *object = hash_find(&fib_objects, o, &unknown);

	return object ? object : hash_add(&fib_objects, o, &unknown);
}

void fib_objects_each(struct hash_table *o, void (*visit)(struct fib_object *object, void *arg), void *arg)
{
	uint32_t at = 0;

	for (struct fib_object *object; (object = hash_walk(&fib_objects, o, &at));)
		visit(object, arg);
}
