/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether the directories that a configuration names are there or can be made. Nothing is made. */
#ifndef DETNAT_PREFLIGHT_PATHS_H
#define DETNAT_PREFLIGHT_PATHS_H

#include "config/config.h"

/* Of control_socket, pin_path and state_dir. 0, or -errno with err naming file, line and key, as config_load() does. */
int check_paths(const struct config *c, const char *name, struct error *err);

#endif
