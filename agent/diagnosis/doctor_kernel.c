/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel, the clock, and the checks of the configuration at a start. */
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "attach/tcx.h"
#include "base/clock_state.h"
#include "change/preflight.h"
#include "datapath/bpffs.h"
#include "datapath/datapath.h"
#include "datapath/namespace.h"
#include "diagnosis/doctor_private.h"
#include "links/devices.h"

#define OLDEST_MAJOR 6
#define OLDEST_MINOR 1

void doctor_kernel(struct doctor *d)
{
	unsigned major = 0, minor = 0;
	struct utsname name;
	char octet[2], release[sizeof(name.release)];

	if (!doctor_read(d, release, sizeof(release), "/proc/sys/kernel/osrelease") && !uname(&name))
		snprintf(release, sizeof(release), "%s", name.release);
	if (sscanf(release, "%u.%u", &major, &minor) != 2 || major < OLDEST_MAJOR ||
	    (major == OLDEST_MAJOR && minor < OLDEST_MINOR))
		doctor_say(d, DOCTOR_FAILURE, "Linux %s is too old; %u.%u or later is needed", release, OLDEST_MAJOR,
			   OLDEST_MINOR);
	else if (!doctor_read(d, octet, sizeof(octet), "/sys/kernel/btf/vmlinux"))
		doctor_say(d, DOCTOR_FAILURE,
			   "Linux %s has no type information (/sys/kernel/btf/vmlinux); take a kernel with "
			   "CONFIG_DEBUG_INFO_BTF=y, as distributions provide",
			   release);
	else if (!tcx_is_supported())
		doctor_say(
			d, DOCTOR_WARNING,
			"Linux %s has no tcx links, as 6.6 and later have: while no agent runs, nothing notices that "
			"another program deletes the clsact qdisc of an outside interface, and what the kernel "
			"forwards then leaves with inside addresses",
			release);
	else
		doctor_say(d, DOCTOR_OK, "Linux %s with type information (BTF)", release);
}

void doctor_jit(struct doctor *d)
{
	long long enabled;

	if (!doctor_read_number(d, &enabled, "/proc/sys/net/core/bpf_jit_enable"))
		doctor_say(d, DOCTOR_UNKNOWN, "not shown in this network namespace");
	else if (!enabled)
		doctor_say(d, DOCTOR_WARNING,
			   "BPF programs are interpreted, many times slower: sysctl -w net.core.bpf_jit_enable=1");
	else
		doctor_say(d, DOCTOR_OK, "BPF programs are compiled");
}

void doctor_bpffs(struct doctor *d)
{
	const char *path = d->config->pin_path;

	if (access(path, F_OK))
		doctor_say(d, DOCTOR_OK, "%s does not exist yet; a start makes it", path);
	else if (!bpffs_is(path))
		doctor_say(d, DOCTOR_WARNING, "%s is not on a bpffs; a start mounts one there", path);
	else if (bpffs_is_private(path))
		doctor_say(d, DOCTOR_WARNING,
			   "%s is mounted in this mount namespace only: pins, and translation, end with it; start the "
			   "agent with nsenter --net, not with ip netns exec",
			   path);
	else
		doctor_say(d, DOCTOR_OK, "%s", path);
}

/* 2025-01-01 in seconds since 1970: an earlier clock is wrong. */
#define EARLIEST_S 1735689600

void doctor_clock(struct doctor *d)
{
	struct clock_state state = clock_state_read();

	if (time(NULL) < EARLIEST_S)
		doctor_say(d, DOCTOR_FAILURE,
			   "the clock shows a time before 2025; set it: the mapping history relies on it");
	else if (state.is != CLOCK_SYNCHRONISED)
		doctor_say(d, DOCTOR_WARNING,
			   "the clock is not synchronised; run an NTP client: 'who' answers from the history's times");
	else
		doctor_say(d, DOCTOR_OK, "synchronised within %u ms", state.error_ms);
}

/* Whatever makes a start fail. */
void doctor_configuration(struct doctor *d)
{
	_cleanup_config_ struct config *running = NULL;
	_cleanup_free_ char *json = NULL;
	const char *path = d->config_path;
	struct error err = { 0 };
	uint64_t hash;
	unsigned refused = 0;
	bool gone, absent = false;

	for (size_t i = 0; i < d->config->n_interfaces; i++)
		absent |= doctor_absent(d, &d->config->interfaces[i]);
	if (!datapath_peek_running(d->config->pin_path, &json, &hash) &&
	    config_parse(json, strlen(json), "running configuration", &running, &err))
		doctor_say(d, DOCTOR_WARNING, "%s", err.text);
	if (running)
		doctor_say(d, DOCTOR_OK,
			   "%s is examined, not the running configuration: `detnatctl config diff` compares them",
			   path);
	if (namespace_check(d->config->pin_path, &gone, &err) && ++refused)
		doctor_say(d, DOCTOR_FAILURE, "%s", err.text);
	if (check_machine(d->config, running, CHECK_TEST, NULL, path, &err) && ++refused)
		doctor_say(d, DOCTOR_FAILURE, "%s", err.text);
	if (check_paths(d->config, path, &err) && ++refused)
		doctor_say(d, DOCTOR_FAILURE, "%s", err.text);
	if (!datapath_is_incomplete(d->config->pin_path) && devices_check(d->config, &err) && ++refused)
		doctor_say(d, DOCTOR_FAILURE, "%s", err.text);
	if (!refused)
		doctor_say(d, DOCTOR_OK, "%s: %smemory for %zu mapping%s, next hops, directories", path,
			   absent ? "" : "interfaces, ", d->config->n_mappings, d->config->n_mappings == 1 ? "" : "s");
}
