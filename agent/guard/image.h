/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guard's table as lines of text, one for each part, so that the kernel's table can be compared with the wanted
 * one. Both are parsed from messages: from a dump, or from the batch that writes the table. Nothing is sent.
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
	bool failed; /* out of memory, or a message cannot be parsed */
	/* The chain that rules are being added to. */
	char chain[64];
	unsigned rule;
};

/* Adds what a message describes, or removes a set that it deletes; messages about other tables are ignored. */
void guard_image_add(struct guard_image *image, const struct nlmsghdr *h, const char *table);
void guard_image_add_batch(struct guard_image *image, const struct guard_batch *b, const char *table);

/*
 * Visits the lines that only one of the images has; `missing` if the second lacks it. Sorts both. Rules are compared
 * with those in the same place of their chain.
 */
void guard_image_compare(struct guard_image *wanted, struct guard_image *found,
			 void (*visit)(const char *line, bool missing, void *arg), void *arg);

void guard_image_free(struct guard_image *image);

#define _cleanup_image_ __attribute__((cleanup(guard_image_free)))

#endif
