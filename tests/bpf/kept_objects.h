/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects that were loaded once and serve tests one after another: four fifths of the time of a test of the datapath
 * would be the verifier's. Each test is a process of its own, so programs and maps are kept by pins, and
 * an object has a lock that its test holds until it ends. Nothing of a test before is left: maps are emptied, arrays
 * have the octets of the object file. An object is the same only if its constants, its maps' sizes, the maps that it
 * shares with others (by number) and the programs to load are.
 */
#ifndef DETNAT_TEST_KEPT_OBJECTS_H
#define DETNAT_TEST_KEPT_OBJECTS_H

#include <bpf/libbpf.h>

/*
 * In the runner, before the first test: where objects are kept, until it ends. Without it, or with KEPT=0, each test
 * loads its own. Executes the runner, whose arguments argv are, anew in a mount namespace.
 */
void kept_begin(char **argv);

/* Has the maps and programs of a kept object taken in place of a load. 0, -errno of the load, as bpf_object__load(). */
int kept_load(struct bpf_object *o);

#endif
