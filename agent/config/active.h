/* SPDX-License-Identifier: BSD-2-Clause */
/* The active configuration and the file that it came from. Only change/ replaces it; other rooms read it. */
#ifndef DETNAT_CONFIG_ACTIVE_H
#define DETNAT_CONFIG_ACTIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "config/running_text.h"

/* The number of stages of the programs, and the reason: see change/stages_choice.h. */
struct stages_choice {
	uint8_t stages;
	bool wanting; /* the configuration asks for two, which are not possible */
	char reason[160];
};

/* What of the mappings decides about the programs, counted: see change/mapping_tally.h. */
struct mapping_tally {
	uint64_t slots; /* octets that their slots take */
	/* mappings with */
	uint32_t bindings;
	uint32_t filtering;
	uint32_t open; /* `inbound` */
	uint32_t growth;
	uint32_t port_zero;
	uint32_t limits;
	uint32_t six; /* IPv6 subscribers */
};

struct active_config {
	struct config *config;	    /* NULL until the first one is applied; saved in the pinned map `running` */
	struct config *copy;	    /* of it, which the next edit takes; NULL: there is none */
	struct running_text text;   /* of it, as it is saved */
	struct mapping_tally tally; /* of its mappings */
	const char *path;	    /* of the file */
	uint64_t file_hash;	    /* of the file that was last applied; 0: no file matches the active configuration */
	uint64_t file_read;	    /* of the file as it was when it was last applied, wholly or in part */
	time_t file_applied;	    /* CLOCK_REALTIME */
	bool reload_failed;	    /* whether the last reload failed */
	time_t unconfirmed_until;   /* CLOCK_REALTIME: a reload is taken back then unless it is confirmed; 0: none waits
				     */
	uint64_t unconfirmed_due;   /* the same in seconds of CLOCK_BOOTTIME */
	bool going_back;	    /* it is being taken back */
	struct stages_choice stages;
	char stages_failure[160];  /* why the programs with two stages cannot be loaded; empty: they can */
	unsigned session_monitors; /* clients that want notices of sessions opened and closed */
};

/* Whether anything needs notices of each session under a configuration, active or future. */
static inline bool active_wants_sessions(const struct active_config *a, const struct config *c)
{
	return a->session_monitors || (c->ipfix.enabled && c->ipfix.events & IPFIX_SESSIONS) ||
	       (c->syslog.enabled && c->syslog.events & NOTICE_SESSIONS);
}

#endif
