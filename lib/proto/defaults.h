/* SPDX-License-Identifier: BSD-2-Clause */
/* Values that detnat-agent and detnatctl share: the usual paths, and the maximum length of a request. */
#ifndef DETNAT_DEFAULTS_H
#define DETNAT_DEFAULTS_H

#define DEFAULT_SOCKET	  "/run/detnat/agent.sock"
#define DEFAULT_STATE_DIR "/var/lib/detnat"

/* Octets, newline included. */
#define CONTROL_MAX_LINE  (64U << 10)
#define CONTROL_MAX_BATCH (1U << 20) /* of a peer that may change the running state */

#endif
