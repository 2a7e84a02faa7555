/* SPDX-License-Identifier: BSD-2-Clause */
/* What detnat-agent and detnatctl agree on: the usual paths, and how long a request may be. */
#ifndef DETNAT_DEFAULTS_H
#define DETNAT_DEFAULTS_H

#define DEFAULT_SOCKET	  "/run/detnat/agent.sock"
#define DEFAULT_STATE_DIR "/var/lib/detnat"

/* Octets, newline included. */
#define CONTROL_MAX_LINE  (64U << 10)
#define CONTROL_MAX_BATCH (1U << 20) /* of a peer that may change the running state */

#endif
