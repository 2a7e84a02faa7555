/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guard's table as texts, one for each thing in it, so that what the kernel holds can be compared with what is
 * wanted. Both are made of the same messages: those of a dump, and those of the batch that writes the table. Pure.
 */
#ifndef DETNAT_IMAGE_H
#define DETNAT_IMAGE_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>

#include "guard/batch.h"

struct guard_image {
	char **line; /* "PLACE: WHAT" */
	size_t n;
	size_t room;
	bool failed; /* memory was short, or a message cannot be read */
	/* Where the rules that are being added are. */
	char chain[64];
	unsigned rule;
};

/* Adds what a message tells of, or removes a set that it takes away; those of other tables do nothing. */
void guard_image_add(struct guard_image *image, const struct nlmsghdr *h, const char *table);
void guard_image_add_batch(struct guard_image *image, const struct guard_batch *b, const char *table);

/*
 * Visits the lines that one image has and the other lacks; missing: it is the second that lacks it. Sorts both. Rules
 * are compared with those in the same place of their chain.
 */
void guard_image_compare(struct guard_image *wanted, struct guard_image *found,
			 void (*visit)(const char *line, bool missing, void *arg), void *arg);

void guard_image_free(struct guard_image *image);

#define _cleanup_image_ __attribute__((cleanup(guard_image_free)))

#endif
