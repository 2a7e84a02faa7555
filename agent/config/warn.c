/* SPDX-License-Identifier: BSD-2-Clause */
/* Warnings about values that are allowed but break what works elsewhere. */
#include "base/log.h"
#include "config/config.h"

void config_warn(const struct config *now, const struct config *before, const char *name)
{
	_cleanup_free_ char *place = NULL;

	if (asprintf(&place, "%s%s", name ? name : "", name ? ": " : "") < 0) {
		place = NULL;
		return;
	}
	for (size_t i = 0; i < N_TIMEOUTS; i++) {
		uint32_t seconds = now->timeouts[i];

		if (seconds < timeout_minima[i].seconds && !(before && before->timeouts[i] == seconds))
			log_warning("%stimeouts.%s: %u s is below the %u s that %s asks for", place, timeout_names[i],
				    seconds, timeout_minima[i].seconds, timeout_minima[i].source);
	}
}
