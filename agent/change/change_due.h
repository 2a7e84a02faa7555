/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looks every second whether a change is due, and submits it:
 *  - another number of stages, once the machine has suited it for some seconds (change/stages_choice.h);
 *  - the end of a finished drain: its record in the history, its routes, and after the last one the programs that look
 *    for drains;
 *  - the end of mappings whose `until` has passed. Their sessions drain for `drain` seconds. A refused change
 *    is tried again every minute;
 *  - what ran before a reload that nobody has confirmed in time.
 */
#ifndef DETNAT_CHANGE_DUE_H
#define DETNAT_CHANGE_DUE_H

#include "config/parts.h"

struct change_due;

/* The parts must outlive it. 0 or -ENOMEM. */
int change_due_new(const struct parts *parts, struct change_due **ret);
void change_due_free(struct change_due *d); /* NULL is allowed */

#endif
