/* SPDX-License-Identifier: BSD-2-Clause */
/* What a configuration may say and the operator should know about all the same. */
#include "config.h"
#include "log.h"

const struct timeout_minimum timeout_minima[N_TIMEOUTS] = {
	[TIMEOUT_UDP] = { 120, "RFC 4787 REQ-5" },
	[TIMEOUT_TCP_ESTABLISHED] = { 7440, "RFC 5382 REQ-5" },
	[TIMEOUT_TCP_TRANSITORY] = { 240, "RFC 5382 REQ-5" },
	[TIMEOUT_ICMP] = { 60, "RFC 5508 REQ-2" },
};

static const char *const timeout_names[N_TIMEOUTS] = {
#define X(constant, name, seconds) [constant] = #name,
	TIMEOUTS(X)
#undef X
};

static bool exports_fragments(const struct config *c)
{
	return c->ipfix.enabled && c->ipfix.events & IPFIX_FRAGMENTS;
}

/* Keys that a configuration may have and that change nothing yet. */
static void warn_of_unserved(const struct config *now, const struct config *before, const char *place)
{
	if (now->n_bypass && !(before && before->n_bypass))
		log_warning("%sbypass: this version translates towards all destinations alike", place);
	if (now->tcp_mss_clamp && !(before && before->tcp_mss_clamp))
		log_warning("%stcp_mss_clamp: this version leaves the MSS as it is", place);
	if (exports_fragments(now) && !(before && exports_fragments(before)))
		log_warning("%sipfix.events: the datapath of this version tells of no fragments", place);
}

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
	warn_of_unserved(now, before, place);
}
