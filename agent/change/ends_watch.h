/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_ENDS_WATCH_H
#define DETNAT_ENDS_WATCH_H

#include "change/change_watch.h"

/*
 * Takes mappings out at the time that their key `until` says, by a change like any other; their sessions drain for as
 * long as their key `drain` says. A change that is refused is tried again each minute. The context and the queue must
 * outlive it.
 */
int ends_watch_new(const struct parts *context, struct change_queue *queue, struct change_watch **ret);

#endif
