/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_STAGES_WATCH_H
#define DETNAT_STAGES_WATCH_H

#include "change/change.h"

/*
 * Looks once a second whether the machine has changed so that another choice is due, and has the programs replaced once
 * that has been so for some seconds. The context and the queue must outlive it.
 */
struct stages_watch;
int stages_watch_new(const struct change_context *context, struct change_queue *queue, struct stages_watch **ret);
void stages_watch_free(struct stages_watch *w);

#endif
