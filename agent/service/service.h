/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent as a service: from a configuration file to the ready line, and to its end by a signal. */
#ifndef DETNAT_SERVICE_H
#define DETNAT_SERVICE_H

#include <stdbool.h>

#include "base/base.h"

/* What the program exits with. */
enum exit_status { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_BAD_CONFIGURATION = 2 };

/* Runs until SIGTERM or SIGINT. replace: see startup_read(). On failure says why in err; at a first start nothing is
 * left behind then. */
enum exit_status service_run(const char *config_path, bool replace, struct error *err);

/* All checks of a start, with its warnings; touches nothing. */
enum exit_status service_check(const char *config_path, struct error *err);

/* SIGHUP, SIGTERM and SIGINT, which main() holds back, come from now on. */
void service_release_signals(void);

#endif
