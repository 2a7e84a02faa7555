/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks against the machine, in a network namespace of each test's own. Skipped without root. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>

#include "change/preflight.h"
#include "config_fixture.h"

static void run(const char *command)
{
	cr_assert_eq(system(command), 0, "%s", command);
}

/* v0 and v1, and routes: by one next hop, by two, and by one on a link alone. */
static void setup(void)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	cr_assert_eq(unshare(CLONE_NEWNET), 0);
	run("ip link add v0 type veth peer name v1");
	run("ip link set v0 up");
	run("ip link set v1 up");
	run("ip addr add 192.0.2.1/24 dev v0");
	run("ip route add 203.0.113.0/24 via 192.0.2.77");
	run("ip route add 203.0.114.0/24 nexthop via 192.0.2.90 nexthop via 192.0.2.91");
	run("ip route add 203.0.115.0/24 via 192.0.2.99 table 7");
}

TestSuite(check, .init = setup);

#define INTERFACES "\"interfaces\":{\"inside\":[\"v0\"],\"outside\":[\"v1\"]}"
#define MAPPED(in, out)                                                                      \
	"{" INTERFACES ",\"mappings\":[\n{\"in\":\"10.9.0.0/24\",\"out\":\"1.1.1.0/28\"},\n" \
	"{\"in\":\"" in "\",\n\"out\":\"" out "\"}]}"

static void expect(const char *text, const char *running, int wanted, const char *message)
{
	_cleanup_config_ struct config *c = config_of(text), *r = running ? config_of(running) : NULL;
	struct error err = { "" };
	int found = check_machine(c, r, false, NULL, "FILE", &err);

	cr_expect_eq(found, wanted, "%d: %s", found, err.text);
	cr_expect_str_eq(err.text, message, "%s", err.text);
}

Test(check, interfaces)
{
	static const char no_interface[] = "{\"interfaces\":{\"outside\":[\"v1\",\n\"nix\"],\"inside\":[\"v0\"]}}";
	static const char no_inside[] = "{\"interfaces\":{\"outside\":[\"nix\"],\n\"inside\":[\"v0\",\"nix\"]}}";

	expect("{" INTERFACES "}", NULL, 0, "");
	expect(no_interface, NULL, -ENODEV, "FILE:2: interfaces.outside[1]: there is no interface nix on this machine");
	expect(no_inside, NULL, -ENODEV, "FILE:2: interfaces.inside[1]: there is no interface nix on this machine");
	expect(no_interface, "{" INTERFACES "}", -ENODEV,
	       "FILE:2: interfaces.outside[1]: there is no interface nix on this machine");
	expect(no_interface, no_inside, 0, "");
}

Test(check, an_alternative_name)
{
	run("ip link property add dev v1 altname a-very-long-name");
	run("ip link property add dev v1 altname other");
	expect("{\"interfaces\":{\"inside\":[\"v0\"],\"outside\":[\"v1\",\"other\"]}}", NULL, -EINVAL,
	       "FILE:1: interfaces.outside[1]: other is another name of v1; write v1");
}

Test(check, a_start_waits_for_an_interface_that_is_not_there)
{
	_cleanup_config_ struct config *c =
		config_of("{\"interfaces\":{\"outside\":[\"v1\",\"nix\"],\"inside\":[\"v0\"]}}");
	struct error err = { "" };

	cr_redirect_stderr();
	unsetenv("JOURNAL_STREAM");
	cr_expect_eq(check_machine(c, NULL, true, NULL, "FILE", &err), 0, "%s", err.text);
	fflush(stderr);
	cr_expect_stderr_eq_str(
		"detnat-agent: warning: nix: there is no such interface yet; it is attached when it appears\n");
}

#define OF_VRF(vrf)        \
	"{\"tenants\":[\n" \
	"{\"name\":\"isp\",\"vrf\":\"" vrf "\",\"interfaces\":{\"inside\":[\"v0\"],\"outside\":[\"v1\"]}}]}"

Test(check, the_vrf_of_a_tenant)
{
	_cleanup_config_ struct config *c = config_of(OF_VRF("blue"));
	struct error err = { "" };

	expect(OF_VRF("blue"), NULL, -ENODEV,
	       "FILE:2: tenants[0].vrf: there is no VRF blue on this machine: `ip link add blue type vrf table TABLE` "
	       "makes one");
	expect(OF_VRF("blue"), OF_VRF("blue"), 0, "");
	expect(OF_VRF("v1"), NULL, -EINVAL,
	       "FILE:2: tenants[0].vrf: v1 is an interface, and no VRF: write the name of a VRF, such as one that `ip "
	       "link add vrf-isp type vrf table 1000` makes");
	cr_redirect_stderr();
	cr_expect_eq(check_machine(c, NULL, CHECK_START, NULL, "FILE", &err), 0, "it is waited for");
	cr_expect_eq(check_machine(c, config_of("{" INTERFACES "}"), CHECK_CHANGE, NULL, "FILE", &err), 0);
	cr_expect_eq(check_machine(config_of(OF_VRF("v1")), NULL, CHECK_START, NULL, "FILE", &err), -EINVAL);
}

Test(check, an_interface_added_by_hand_has_no_line)
{
	_cleanup_config_ struct config *running = config_of("{" INTERFACES "}"), *c = config_clone(running);
	struct error err = { "" };

	cr_assert_eq(config_add_interface(c, "nix", DEVICE_OUTSIDE), 0);
	cr_expect_eq(check_machine(c, running, false, NULL, NULL, &err), -ENODEV);
	cr_expect_str_eq(err.text, "interfaces.outside: there is no interface nix on this machine", "%s", err.text);
}

Test(check, a_pool_that_holds_a_next_hop)
{
	static const char taken[] = MAPPED("10.0.0.0/24", "192.0.2.72/29");

	expect(MAPPED("10.0.0.0/24", "192.0.2.64/29"), NULL, 0, "");
	expect(taken, NULL, -EADDRINUSE,
	       "FILE:4: mappings[1].out: 192.0.2.72/29 holds 192.0.2.77, the next hop of a route of this machine");
	expect(MAPPED("10.0.0.0/24", "192.0.2.91/32"), NULL, -EADDRINUSE,
	       "FILE:4: mappings[1].out: 192.0.2.91/32 holds 192.0.2.91, the next hop of a route of this machine");
	expect(MAPPED("10.0.0.0/24", "192.0.2.99/32"), NULL, -EADDRINUSE,
	       "FILE:4: mappings[1].out: 192.0.2.99/32 holds 192.0.2.99, the next hop of a route of this machine");
	expect(taken, taken, 0, "");
}

Test(check, tables_that_need_more_memory_than_is_free)
{
	static const char huge[] = MAPPED("32.0.0.0/3", "64.0.0.0/8");
	_cleanup_config_ struct config *c = config_of(huge);
	struct error err = { "" };
	double own, all, available;

	cr_assert_eq(check_machine(c, NULL, false, NULL, "FILE", &err), -ENOMEM);
	cr_expect_eq(sscanf(err.text,
			    "FILE:3: mappings[1]: the tables of 32.0.0.0/3 need %lf GiB of memory, with what comes "
			    "before it %lf GiB; %lf GiB are free",
			    &own, &all, &available),
		     3, "%s", err.text);
	cr_expect_geq(own, 512. * 1024 * 16 / 1024, "2^29 subscribers of 1024 slots of 16 octets at least");
	cr_expect_geq(all, own);
	cr_expect_gt(own, available);
	expect(huge, huge, 0, "");
}

Test(check, leases_need_memory_too)
{
#define HUGE(pcp) "{" INTERFACES ",\n\"mappings\":[{\"in\":\"32.0.0.0/3\",\"out\":\"64.0.0.0/8\"}]" pcp "}"
#define LEASES(n) HUGE(",\"pcp\":{\"listen\":[\"192.0.2.1\"],\"max_leases\":" n "}")
	static const struct {
		const char *json, *running;
		double least, most;
	} rows[] = {
		{ HUGE(""), NULL, 0, 0.1 },
		{ LEASES("1048576"), NULL, 0.5, 0.7 },
		{ LEASES("1048576"), "{" INTERFACES "}", 0.5, 0.7 },
		{ LEASES("1000"), NULL, 0, 0.1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_config_ struct config *c = config_of(rows[i].json),
					       *running = rows[i].running ? config_of(rows[i].running) : NULL;
		struct error err = { "" };
		double own, all;

		cr_assert_eq(check_machine(c, running, false, NULL, "FILE", &err), -ENOMEM);
		cr_assert_eq(sscanf(err.text,
				    "FILE:2: mappings[0]: the tables of 32.0.0.0/3 need %lf GiB of memory, with what "
				    "comes before it %lf GiB;",
				    &own, &all),
			     2, "%s", err.text);
		cr_expect_geq(all - own, rows[i].least, "row %zu: %f", i, all - own);
		cr_expect_leq(all - own, rows[i].most + 0.05, "row %zu: %f", i, all - own);
	}
}

Test(check, more_slots_are_new_tables)
{
	static const char small[] =
		"{" INTERFACES ",\"session_slots\":512,\"mappings\":[{\"in\":\"0.0.0.0/3\",\"out\":\"64.0.0.0/8\"}]}";
	static const char large[] =
		"{" INTERFACES
		",\"session_slots\":1024,\n\"mappings\":[{\"in\":\"0.0.0.0/3\",\"out\":\"64.0.0.0/8\"}]}";
	_cleanup_config_ struct config *c = config_of(large), *running = config_of(small);
	struct error err = { "" };

	cr_expect_eq(check_machine(c, running, false, NULL, "FILE", &err), -ENOMEM, "%s", err.text);
	cr_expect(strstr(err.text, "FILE:2: mappings[0]: "), "%s", err.text);
}

/* Rows of a key, a path and what is said of it; "" where nothing is. */
Test(check, directories_that_cannot_be_made)
{
	static const struct {
		const char *key;
		const char *path;
		const char *message;
	} cases[] = {
		{ "control_socket", "/run/detnat-none/a/b.sock", "" },
		{ "control_socket", "/proc/x/y.sock",
		  "FILE:2: control_socket: the directory /proc/x cannot be made in /proc: Operation not permitted" },
		{ "control_socket", "/proc/y.sock",
		  "FILE:2: control_socket: the directory /proc cannot be used: Operation not permitted" },
		{ "control_socket", "/dev/null/y.sock",
		  "FILE:2: control_socket: the directory /dev/null cannot be used: Not a directory" },
		{ "pin_path", "/sys/fs/bpf/detnat-none/pins", "" },
		{ "pin_path", "/tmp/detnat-none/pins", "" },
		{ "pin_path", "/sys/x",
		  "FILE:2: pin_path: the directory /sys/x cannot be made in /sys: Operation not permitted" },
		{ "state_dir", "/", "" },
		{ "state_dir", "/dev/null/x",
		  "FILE:2: state_dir: the directory /dev/null/x cannot be used: Not a directory" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[256];
		struct error err = { "" };

		snprintf(text, sizeof(text), "{" INTERFACES ",\n\"%s\":\"%s\"}", cases[i].key, cases[i].path);

		_cleanup_config_ struct config *c = config_of(text);

		cr_expect_eq(!!check_paths(c, "FILE", &err), *cases[i].message != 0, "%s", cases[i].path);
		cr_expect_str_eq(err.text, cases[i].message, "%s", err.text);
	}
}
