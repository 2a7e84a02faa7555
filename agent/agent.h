/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the modules of the agent share: one event loop, the running configuration, the datapath.
 *
 * All changes, whether from the file, from SIGHUP or from detnatctl, are one thing: an edit of a copy of the running
 * configuration, checked as a file is, then applied by what differs (change.h).
 */
#ifndef DETNAT_AGENT_H
#define DETNAT_AGENT_H

#include <event2/event.h>
#include <time.h>

#include <detnat/version.h>

#include "config.h"
#include "datapath.h"
#include "ipfix.h"
#include "mappings.h"

#define AGENT_VERSION DETNAT_VERSION

struct agent {
	struct event_base *base;
	const char *config_path;
	struct config *config; /* as it runs; saved in the pinned map `running` at each change */
	uint64_t file_hash;    /* of the file that was last applied */
	struct datapath datapath;
	struct mappings *mappings;
	struct devices *devices;
	struct ipfix *ipfix;
	struct change_queue *changes;
	struct control *control;
	struct trace *trace;
	struct timespec started; /* CLOCK_MONOTONIC */
	bool ending;		 /* a signal has asked for it */
};

#endif
