/* SPDX-License-Identifier: BSD-2-Clause */
/* Default paths of the configuration and of detnatctl. */
#ifndef DETNAT_DEFAULTS_H
#define DETNAT_DEFAULTS_H

#define DEFAULT_SOCKET	  "/run/detnat/agent.sock"
#define DEFAULT_STATE_DIR "/var/lib/detnat"

#endif
