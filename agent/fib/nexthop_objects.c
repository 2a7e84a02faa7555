/* SPDX-License-Identifier: BSD-2-Clause */
#include "fib/nexthop_objects.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKETS 4096U

static struct fib_object **bucket_of(const struct fib_objects *o, uint32_t id)
{
	return &o->bucket[(id * 0x9e3779b1U) >> 20];
}

int fib_objects_init(struct fib_objects *o)
{
	*o = (struct fib_objects){ .bucket = calloc(BUCKETS, sizeof(void *)) };
	return o->bucket ? 0 : -ENOMEM;
}

static void forget(struct fib_object *object, void *arg)
{
	fib_objects_remove(arg, object);
}

void fib_objects_free(struct fib_objects *o)
{
	if (o->bucket)
		fib_objects_each(o, forget, o);
	free(o->bucket);
	*o = (struct fib_objects){ 0 };
}

struct fib_object *fib_objects_get(struct fib_objects *o, uint32_t id)
{
	struct fib_object **bucket = bucket_of(o, id), *object = *bucket;

	while (object && object->told.id != id)
		object = object->next;
	if (object)
		return object;
	object = calloc(1, sizeof(*object));
	if (!object)
		return NULL;
	object->told = (struct fib_told_object){ .id = id, .way.kind = FIB_WAY_KERNEL, .kept = FIB_KEPT_OTHER };
	object->next = *bucket;
	*bucket = object;
	o->count++;
	return object;
}

void fib_objects_each(struct fib_objects *o, void (*visit)(struct fib_object *object, void *arg), void *arg)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		struct fib_object *next;

		for (struct fib_object *object = o->bucket[i]; object; object = next) {
			next = object->next;
			visit(object, arg);
		}
	}
}

void fib_objects_remove(struct fib_objects *o, struct fib_object *object)
{
	struct fib_object **at = bucket_of(o, object->told.id);

	while (*at != object)
		at = &(*at)->next;
	*at = object->next;
	free(object);
	o->count--;
}
