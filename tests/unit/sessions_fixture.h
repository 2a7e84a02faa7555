/* SPDX-License-Identifier: BSD-2-Clause */
/* Two mappings on real maps, and sessions of theirs put there by hand. */
#ifndef DETNAT_TEST_SESSIONS_FIXTURE_H
#define DETNAT_TEST_SESSIONS_FIXTURE_H

#include <criterion/criterion.h>

#include <errno.h>
#include <netinet/in.h>

#include "tables_fixture.h"

#define NOW 100000U

extern struct datapath d;
extern struct mappings *m;

/*
 * Numbers of the mappings: `big` 10.0.0.0/24 to 1.1.1.0/28, `small` 9.255.0.0/30 to 1.1.2.0/32. The latter has 8 slots
 * and a UDP timeout of 10 ticks.
 */
extern int big, small;

void sessions_set_up(void);

/* Towards 198.51.100.7:443. */
struct session session_with(uint16_t port, uint8_t proto, uint8_t state);
void put(const char *addr, uint32_t slot, uint16_t port, uint8_t state, uint32_t seen);
void put_beyond(const char *addr, uint16_t port, uint32_t seen);

/* Sessions of all kinds: 13, of which 8 count. */
void fill(void);

struct subscriber *record(const char *addr);

struct list {
	struct session s[256];
	unsigned n;
	int stop_at; /* returns -EINTR at this one */
};

/* A session_visit; arg: a struct list. */
int collect(const struct session *s, void *arg);

/* Walks to the end, in slices of so long, and frees the walk. */
struct list walk(struct session_walk *w, unsigned budget_us);
struct list walk_all(unsigned budget_us);

#endif
