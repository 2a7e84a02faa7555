/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables without mappings at first, opened as by an agent that starts. */
#ifndef DETNAT_TEST_MAPPINGS_FIXTURE_H
#define DETNAT_TEST_MAPPINGS_FIXTURE_H

#include "tables_fixture.h"

extern struct datapath d;
extern struct mappings *m;

void mappings_set_up(void);

/* Has the next agent take over. */
void open_again(void);

/* The number of the mapping, or the result. */
int add(const char *in, const char *out);
int del(const char *in, const char *out);

/* Chunks that exist. */
unsigned bucket_chunks(void);
unsigned subscriber_chunks(void);

#endif
