/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network namespace of the test's with an inside and an outside interface, neighbours and the copy of the kernel's
 * routes, which is compared with the kernel's own answers.
 */
#ifndef DETNAT_TEST_FIB_LAB_H
#define DETNAT_TEST_FIB_LAB_H

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/base.h"
#include "fib/route_copy.h"

extern struct event_base *lab_base;
extern struct datapath lab_datapath;
extern struct route_copy *lab_copy;

void lab_set_up(void);
void lab_tear_down(void);

void lab_run(const char *command);

/* Passes on what the kernel says of IPv6 as well. */
void lab_hear_ipv6(void);

/* A device record as the agent would make it. */
void lab_record(const char *name, uint8_t roles);

/* The same numbers in each run. */
uint32_t lab_random(uint32_t n);
uint32_t lab_random_address(void);

/* What the kernel says of an address. */
struct lab_answer {
	uint32_t ifindex;
	uint8_t gateway[16]; /* octets of the family's address; 0: there is none */
	uint8_t type;
	int r;
};

/* addr: 4 or 16 octets of an address of the family. */
struct lab_answer lab_ask_kernel(uint8_t family, const void *addr);

/* What the copy says of an address (host byte order), in force or not. */
const struct fib_hop *lab_look_up(uint32_t addr);

/* Lets the copy work for a millisecond. */
void lab_turn(void);

/* Waits until all that the kernel has notified so far is in the copy. */
void lab_pass(void);

/* Whether the datapath goes by the copy. */
bool lab_vouched(void);

bool lab_in_force(void);
void lab_wait_until_in_force(void);
void lab_wait_for(bool (*met)(void), const char *what);

/* How much the copy must say: in a table of simple routes, all that there is to say. */
enum demand { NOTHING_WRONG, NOTHING_MISSING };

/* Whether what the copy says of an address is right; text says what is not. */
bool lab_agrees(uint32_t addr, enum demand demand, char *text, size_t size);

/* Waits until the copy agrees with the kernel about many addresses. */
void lab_wait_until_right(const char *what, enum demand demand);

#endif
