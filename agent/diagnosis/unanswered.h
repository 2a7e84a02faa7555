/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether answers come back to the pools: nothing else on the gateway shows that the upstream does not route them. */
#ifndef DETNAT_UNANSWERED_H
#define DETNAT_UNANSWERED_H

#include "config/parts.h"
#include "diagnosis/doctor.h"

/* Whether the datapath has translated packets to the outside, and not one to the inside since its tables were made. */
bool nothing_came_back(const struct datapath *d);

/* Warns if nothing came back at all, or of each mapping whose sessions are not answered. */
void unanswered_say(const struct parts *a, doctor_line say, void *arg);

#endif
