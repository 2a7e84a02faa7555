/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The programs for the egress, loaded when a test first asks for them: the kernel's verifier takes a third of a start
 * for them, and most tests run XDP alone. Those of settings that ask for further tc programs are loaded at once.
 */
#ifndef DETNAT_TEST_LATE_TC_H
#define DETNAT_TEST_LATE_TC_H

#include <stdbool.h>

/* set_up() has asked for it. */
extern bool tc_is_late;

/* The program at the egress of an interface with an Ethernet header; the datapath keeps the descriptor. */
int tc_program(void);

#endif
