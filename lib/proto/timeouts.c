// SPDX-License-Identifier: BSD-2-Clause
#include "proto/timeouts.h"

const struct timeout_minimum timeout_minima[N_TIMEOUTS] = {
	[TIMEOUT_UDP] = { 120, "RFC 4787 REQ-5" },
	[TIMEOUT_TCP_ESTABLISHED] = { 7440, "RFC 5382 REQ-5" },
	[TIMEOUT_TCP_TRANSITORY] = { 240, "RFC 5382 REQ-5" },
	[TIMEOUT_ICMP] = { 60, "RFC 5508 REQ-2" },
};

const char *const timeout_names[N_TIMEOUTS] = {
#define X(constant, name, seconds) [constant] = #name,
	TIMEOUTS(X)
#undef X
};
