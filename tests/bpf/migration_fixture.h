/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A datapath of another layout: the pins of this one, renamed, with type information in which a member has another
 * name, so that the records are taken for others. For the suites `migration`, `migration_maps` and `former_sessions`.
 */
#ifndef DETNAT_TEST_MIGRATION_FIXTURE_H
#define DETNAT_TEST_MIGRATION_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"

#define PIN_PATH     "/sys/fs/bpf/detnat"
#define OTHER_LAYOUT PIN_PATH "/v99"
#define FLOWS	     40U

struct subscriber;

void set_up_pins(void);

extern char own[64];		/* directory of the pins */
extern uint32_t extents;	/* buckets of those that a start makes */
extern uint16_t outside[FLOWS]; /* outside port of each flow */

/* Sends a packet of the subscriber; returns its outside port. */
uint16_t send_out(uint16_t in_port);

/* What comes back reaches the inside port. */
void expect_way_in(uint16_t out_port, uint16_t in_port);

/* The subscriber's record, and the inside port of a flow. */
const struct subscriber *record(void);
uint16_t port_of(unsigned flow);
void open_flows(void);

/* The agent ends; its pins are another layout's from now on, in whose types `from` is called `to`, if there is any. */
void become_another(const char *from, const char *to);

int try_open(bool replace, struct error *err);
void open_or_fail(void);

/* Findings of a comparison of all counts with the slots. */
uint64_t compare(bool repair);

/* All sessions are where they were, in both directions, and every count is right. */
void expect_all(unsigned more);

bool pinned(const char *path);

#endif
