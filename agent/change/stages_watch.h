/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_STAGES_WATCH_H
#define DETNAT_STAGES_WATCH_H

#include "change/change_watch.h"

/*
 * Looks once a second whether the machine has changed so that another choice is due, and has the programs replaced once
 * that has been so for some seconds. The context and the queue must outlive it.
 */
int stages_watch_new(const struct parts *context, struct change_queue *queue, struct change_watch **ret);

#endif
