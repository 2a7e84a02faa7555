/* SPDX-License-Identifier: BSD-2-Clause */
/* How many instructions the kernel's verifier has walked for the programs that this test has loaded. */
#ifndef DETNAT_TEST_VERIFIED_H
#define DETNAT_TEST_VERIFIED_H

#include <stdbool.h>

#include <bpf/libbpf.h>

/* Called after each load of an object: notes its programs, and which of them were loaded. */
void verified_note(const struct bpf_object *o);

/* Forgets what was noted. */
void verified_reset(void);

/* Their sum, and the number of programs and objects in one line on stdout. With VERIFIED=1 in the environment each. */
unsigned verified_report(const char *what);

/* Calls each() for each program of the objects that were loaded, with the most instructions that were walked for it. */
void verified_each(void (*each)(const char *object, const char *program, bool loaded, unsigned insns));

#endif
