/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The public header of service/, which puts the agent together: it starts all rooms in order, gives each the parts that
 * it uses, and stops them again. No other room knows all of them.
 */
#ifndef DETNAT_SERVICE_H
#define DETNAT_SERVICE_H

#include <stdbool.h>

#include "base/base.h"

/* Exit statuses of detnat-agent. */
enum exit_status { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_BAD_CONFIGURATION = 2 };

/*
 * Runs until SIGTERM or SIGINT. replace: see startup_read(). On failure err has the reason; a first start then leaves
 * nothing behind.
 */
enum exit_status service_run(const char *config_path, bool replace, struct error *err);

/* All checks of a start, with its warnings; changes nothing. */
enum exit_status service_check(const char *config_path, struct error *err);

#endif
