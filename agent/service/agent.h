/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the modules of the agent share: one event loop, the running configuration, the datapath.
 *
 * All changes, whether from the file, from SIGHUP or from detnatctl, are one thing: an edit of a copy of the running
 * configuration, checked as a file is, then applied by what differs (change/change.h).
 */
#ifndef DETNAT_AGENT_H
#define DETNAT_AGENT_H

#include <event2/event.h>
#include <time.h>

#include <detnat/version.h>

#include "config/config.h"
#include "datapath/datapath.h"
#include "ipfix/ipfix.h"
#include "tables/mappings.h"

#define AGENT_VERSION DETNAT_VERSION

/* Of sweeps that have ended. */
struct sweep_figures {
	uint64_t count;
	uint64_t busy_us; /* work on all of them */
	uint64_t last_us; /* from beginning to end of the last one */
};

struct agent {
	struct event_base *base;
	const char *config_path;
	struct config *config; /* as it runs; saved in the pinned map `running` at each change */
	uint64_t file_hash;    /* of the file that was last applied */
	struct datapath datapath;
	struct mappings *mappings;
	struct history_queue *history;
	struct guard *guard;
	struct devices *devices;
	struct ipfix *ipfix;
	struct fragments *fragments;
	struct usage *usage;
	struct metrics *metrics;
	struct change_queue *changes;
	struct control *control;
	struct trace *trace;
	struct timespec started;      /* CLOCK_MONOTONIC */
	struct timespec started_wall; /* CLOCK_REALTIME, then */
	time_t file_applied;	      /* CLOCK_REALTIME */
	bool reload_failed;	      /* the last one */
	struct sweep_figures sweeps;
	bool ending; /* a signal has asked for it */
};

#endif
