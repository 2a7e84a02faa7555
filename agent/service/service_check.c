/* SPDX-License-Identifier: BSD-2-Clause */
/* `detnat-agent -t`. */
#include "links/forwarding.h"
#include "metrics/metrics.h"
#include "pcp/pcp.h"
#include "replication/replication.h"
#include "service/service.h"
#include "service/startup.h"

enum exit_status service_check(const char *config_path, struct error *err)
{
	__attribute__((cleanup(startup_free))) struct startup up = { 0 };

	if (startup_read(config_path, false, false, &up, err) ||
	    metrics_check(startup_wanted(&up), up.running, config_path, err) ||
	    pcp_check(startup_wanted(&up), up.running, config_path, err) ||
	    replication_check(startup_wanted(&up), up.running, config_path, err))
		return EXIT_BAD_CONFIGURATION;
	forwarding_check(startup_wanted(&up));
	return EXIT_DONE;
}
