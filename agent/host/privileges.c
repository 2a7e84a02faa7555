/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/privileges.h"

#include <cap-ng.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/log.h"

static const struct needed {
	unsigned capability;
	const char *name;
} needed[] = {
	{ CAP_BPF, "CAP_BPF" },		    /* BPF maps and programs */
	{ CAP_NET_ADMIN, "CAP_NET_ADMIN" }, /* network programs, interfaces and routes */
	{ CAP_NET_RAW, "CAP_NET_RAW" },	    /* frames and ICMP messages that the agent sends */
	{ CAP_PERFMON, "CAP_PERFMON" },	    /* tracepoints, and what the verifier allows network programs */
};

/* CAP_SYS_ADMIN includes the capabilities that were split off from it. */
static bool stands_in(unsigned capability)
{
	return (capability == CAP_BPF || capability == CAP_PERFMON) &&
	       capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN);
}

int privileges_check(struct error *err)
{
	char missing[128] = "";

	capng_get_caps_process();
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		size_t length = strlen(missing);

		if (!capng_have_capability(CAPNG_EFFECTIVE, needed[i].capability) && !stands_in(needed[i].capability))
			snprintf(missing + length, sizeof(missing) - length, "%s%s", length ? ", " : "",
				 needed[i].name);
	}
	if (!*missing)
		return 0;
	return error_set(
		err, -EPERM,
		"capabilities are missing: %s; start the agent as root or by detnat.service, or give them to its "
		"user: `setpriv --reuid=detnat --regid=detnat --init-groups --inh-caps=-all,+bpf,+net_admin,+net_raw,"
		"+perfmon --ambient-caps=-all,+bpf,+net_admin,+net_raw,+perfmon detnat-agent …`",
		missing);
}

void privileges_drop(void)
{
	uint64_t keep = 0;
	capng_select_t sets = CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT;

	capng_get_caps_process();
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		sets |= CAPNG_SELECT_BOUNDS;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if (capng_have_capability(CAPNG_EFFECTIVE, needed[i].capability))
			keep |= UINT64_C(1) << needed[i].capability;
		else
			keep |= UINT64_C(1) << CAP_SYS_ADMIN;
	}
	capng_clear(CAPNG_SELECT_ALL);
	for (unsigned capability = 0; capability <= CAP_LAST_CAP; capability++)
		if (keep & UINT64_C(1) << capability)
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, capability);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || capng_apply(sets) < 0)
		log_warning("cannot drop capabilities that are not needed: %s", strerror(errno));
}
