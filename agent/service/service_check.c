/* SPDX-License-Identifier: BSD-2-Clause */
/* `detnat-agent -t`. */
#include "base/log.h"
#include "host/accounts.h"
#include "metrics/metrics.h"
#include "pcp/pcp.h"
#include "peers/replication.h"
#include "routing/forwarding.h"
#include "service/service.h"
#include "service/startup.h"

/* The user of the unit. */
#define SERVICE_USER "detnat"

/* Root, who asks, can read what the service cannot. */
static void check_readable(const char *config_path)
{
	if (!account_may_read(SERVICE_USER, config_path))
		log_warning("%s: the service runs as user " SERVICE_USER ", who cannot read it: chgrp " SERVICE_USER
			    " and chmod 640",
			    config_path);
}

enum exit_status service_check(const char *config_path, struct error *err)
{
	__attribute__((cleanup(startup_free))) struct startup up = { 0 };

	if (startup_read(config_path, false, false, &up, err) ||
	    metrics_check(startup_wanted(&up), up.running, config_path, err) ||
	    pcp_check(startup_wanted(&up), up.running, config_path, err) ||
	    replication_check(startup_wanted(&up), up.running, config_path, err))
		return EXIT_BAD_CONFIGURATION;
	forwarding_check(startup_wanted(&up));
	check_readable(config_path);
	return EXIT_DONE;
}
