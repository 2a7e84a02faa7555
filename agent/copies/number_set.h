/* SPDX-License-Identifier: BSD-2-Clause */
/* A set of numbers that are as good as random, such as hashes; 0 is always in it. */
#ifndef DETNAT_NUMBER_SET_H
#define DETNAT_NUMBER_SET_H

#include <stdbool.h>
#include <stdint.h>

struct number_set {
	uint64_t *number; /* `room` of them; 0: free */
	uint32_t room;	  /* a power of two, or 0 */
	uint32_t n;
};

/* 0 or -ENOMEM. */
int number_set_add(struct number_set *s, uint64_t number);
bool number_set_has(const struct number_set *s, uint64_t number);
void number_set_free(struct number_set *s);

#endif
