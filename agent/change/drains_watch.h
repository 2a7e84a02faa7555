/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_DRAINS_WATCH_H
#define DETNAT_DRAINS_WATCH_H

#include "change/change_watch.h"

/*
 * Looks once a second whether something has drained, and has a plan made that ends it: with its record in the history,
 * without its routes, and with programs that ask for no drains after the last one. The context and the queue must
 * outlive it.
 */
int drains_watch_new(const struct parts *context, struct change_queue *queue, struct change_watch **ret);

#endif
