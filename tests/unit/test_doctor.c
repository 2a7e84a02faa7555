/* SPDX-License-Identifier: BSD-2-Clause */
/* The doctor's checks that read /proc and /sys, on trees of files made up for the purpose. */
#include <criterion/criterion.h>
#include <string.h>

#include "doctor_fixture.h"

static struct config *two_interfaces(void)
{
	static const char json[] =
		"{\"interfaces\": {\"inside\": [\"in0\"], \"outside\": [\"out0\", \"out1\"]}, \"unmatched\": \"route\","
		" \"mappings\": [{\"in\": \"10.0.0.0/18\", \"out\": \"1.1.1.0/30\"},"
		" {\"in\": \"10.0.17.0/24\", \"out\": \"1.1.1.8/32\"}],"
		" \"portmaps\": [{\"proto\": \"both\", \"in\": \"10.0.0.2:8443\", \"out\": \"1.1.1.0:443\"}]}";
	struct config *c;
	struct error err;

	cr_assert_eq(config_parse(json, strlen(json), "test", &c, &err), 0, "%s", err.text);
	return c;
}

struct row {
	const char *name;
	void (*check)(struct doctor *d);
	const char *files[4][2]; /* path, content */
	enum doctor_level level; /* the worst that is said */
	const char *text;	 /* a part of what is said */
};

static const struct row rows[] = {
	{ "a kernel of today",
	  doctor_kernel,
	  { { "/proc/sys/kernel/osrelease", "6.1.0-50-amd64\n" }, { "/sys/kernel/btf/vmlinux", "x" } },
	  DOCTOR_OK,
	  "Linux 6.1.0-50-amd64 with type information" },
	{ "a kernel before 6.1",
	  doctor_kernel,
	  { { "/proc/sys/kernel/osrelease", "6.0.19\n" }, { "/sys/kernel/btf/vmlinux", "x" } },
	  DOCTOR_FAILURE,
	  "6.1 or later is needed" },
	{ "a kernel of the fives",
	  doctor_kernel,
	  { { "/proc/sys/kernel/osrelease", "5.15.2\n" }, { "/sys/kernel/btf/vmlinux", "x" } },
	  DOCTOR_FAILURE,
	  "too old" },
	{ "a kernel without type information",
	  doctor_kernel,
	  { { "/proc/sys/kernel/osrelease", "6.12.1\n" } },
	  DOCTOR_FAILURE,
	  "CONFIG_DEBUG_INFO_BTF" },
	{ "programs that are compiled",
	  doctor_jit,
	  { { "/proc/sys/net/core/bpf_jit_enable", "1\n" } },
	  DOCTOR_OK,
	  "compiled" },
	{ "programs that are interpreted",
	  doctor_jit,
	  { { "/proc/sys/net/core/bpf_jit_enable", "0\n" } },
	  DOCTOR_WARNING,
	  "net.core.bpf_jit_enable=1" },
	{ "no file of the compiler", doctor_jit, { { NULL } }, DOCTOR_UNKNOWN, "not shown" },
	{ "a name that the kernel counted",
	  doctor_names,
	  { { "/sys/class/net/in0/name_assign_type", "1\n" }, { "/sys/class/net/in0/ifindex", "3\n" } },
	  DOCTOR_WARNING,
	  "in0: the kernel numbered it" },
	{ "the interface of that name in another network namespace",
	  doctor_names,
	  { { "/sys/class/net/in0/name_assign_type", "1\n" }, { "/sys/class/net/in0/ifindex", "2\n" } },
	  DOCTOR_UNKNOWN,
	  "/sys does not show all interfaces of this network namespace" },
	{ "names that stay",
	  doctor_names,
	  { { "/sys/class/net/in0/name_assign_type", "4\n" },
	    { "/sys/class/net/in0/ifindex", "3\n" },
	    { "/sys/class/net/out0/name_assign_type", "2\n" },
	    { "/sys/class/net/out0/ifindex", "4\n" } },
	  DOCTOR_OK,
	  "no interface has a name" },
	{ "forged sources with unmatched route",
	  doctor_rp_filter,
	  { { "/proc/sys/net/ipv4/conf/all/rp_filter", "0\n" }, { "/proc/sys/net/ipv4/conf/in0/rp_filter", "0\n" } },
	  DOCTOR_WARNING,
	  "net.ipv4.conf.in0.rp_filter=1" },
	{ "rp_filter of all interfaces",
	  doctor_rp_filter,
	  { { "/proc/sys/net/ipv4/conf/all/rp_filter", "2\n" } },
	  DOCTOR_OK,
	  "fits the roles" },
	{ "a strict filter on one of two outside interfaces",
	  doctor_rp_filter,
	  { { "/proc/sys/net/ipv4/conf/in0/rp_filter", "1\n" }, { "/proc/sys/net/ipv4/conf/out1/rp_filter", "1\n" } },
	  DOCTOR_WARNING,
	  "out1: rp_filter is 1 (strict) on one of 2 outside interfaces" },
	{ "too little room for neighbours",
	  doctor_neighbours,
	  { { "/proc/sys/net/ipv4/neigh/default/gc_thresh3", "1024\n" } },
	  DOCTOR_WARNING,
	  "4096 subscribers can be neighbours, and the kernel keeps 1024" },
	{ "a program on the port of a portmap",
	  doctor_portmaps,
	  { { "/proc/self/net/tcp", "  sl  local_address rem_address   st tx_queue\n"
				    "   0: 0100007F:01BB 00000000:0000 0A 00000000:00000000\n"
				    "   1: 00010101:01BB 00000000:0000 0A 00000000:00000000\n" } },
	  DOCTOR_WARNING,
	  "listens on tcp 1.1.1.0:443, which a portmap leads to 10.0.0.2:8443" },
	{ "a program on that port of all addresses, IPv6 included",
	  doctor_portmaps,
	  { { "/proc/self/net/udp6",
	      "  sl  local_address                         remote_address                        st\n"
	      "   9: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 07\n" } },
	  DOCTOR_WARNING,
	  "listens on udp 1.1.1.0:443" },
	{ "a program on that port of an IPv4 address mapped to IPv6",
	  doctor_portmaps,
	  { { "/proc/self/net/tcp6",
	      "   9: 0000000000000000FFFF000000010101:01BB 00000000000000000000000000000000:0000 0A\n" } },
	  DOCTOR_WARNING,
	  "listens on tcp 1.1.1.0:443" },
	{ "programs elsewhere, and connections",
	  doctor_portmaps,
	  { { "/proc/self/net/tcp", "   0: 0100007F:01BB 00000000:0000 0A\n   1: 00000000:01BC 00000000:0000 0A\n"
				    "   2: 00010101:01BB 050200C0:0050 01\n" },
	    { "/proc/self/net/udp", "   0: 00010101:01BB 050200C0:0050 01\n" },
	    { "/proc/self/net/tcp6",
	      "   0: B80D0120000000000000000000010101:01BB 00000000000000000000000000000000:0000 0A\n" } },
	  DOCTOR_OK,
	  "no program of the gateway listens" },
	{ "room for neighbours",
	  doctor_neighbours,
	  { { "/proc/sys/net/ipv4/neigh/default/gc_thresh3", "4096\n" } },
	  DOCTOR_OK,
	  "room for 4096, 4096 can be neighbours" },
};

TestSuite(doctor, .init = doctor_tree_begin, .fini = doctor_tree_end);

Test(doctor, each_finding_names_what_to_mend)
{
	/* A network of 10.0.16.0/20, in the first mapping and around the second, is inside, and another outside. */
	const struct link links[] = { { .ifindex = 3, .name = "in0" }, { .ifindex = 4, .name = "out0" } };
	struct address addresses[] = { { .ifindex = 3, .addr = 0x0a001001, .plen = 20 },
				       { .ifindex = 4, .addr = 0x0a000001, .plen = 24 },
				       { .ifindex = 4, .addr = 0x01010100, .plen = 32 } };
	_cleanup_config_ struct config *c = two_interfaces();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		struct doctor d = { .config = c,
				    .root = doctor_root,
				    .links = { links, ARRAY_SIZE(links) },
				    .addresses = addresses,
				    .n_addresses = ARRAY_SIZE(addresses),
				    .report = doctor_collect };

		for (size_t k = 0; k < ARRAY_SIZE(row->files) && row->files[k][0]; k++)
			doctor_put(row->files[k][0], row->files[k][1]);
		doctor_said[0] = '\0';
		row->check(&d);
		cr_expect_eq(doctor_worst(&d), row->level, "%s: said %s", row->name, doctor_said);
		cr_expect_not_null(strstr(doctor_said, row->text), "%s: said %s", row->name, doctor_said);
		doctor_tree_clear();
	}
}

/* What the kernel forwards to their subscribers enters the VRF, as if its senders were there. */
Test(doctor, a_strict_filter_on_the_vrf_of_a_tenant_is_named)
{
	static const char json[] =
		"{\"tenants\": [{\"name\": \"ispA\", \"vrf\": \"blue\", \"interfaces\": {\"inside\": "
		"[\"in0\"], \"outside\": [\"out0\"]}}, {\"name\": \"ispB\", \"interfaces\": {\"inside\": "
		"[\"in1\"], \"outside\": [\"out0\"]}}]}";
	static const struct {
		const char *all, *blue;
		enum doctor_level level;
	} filters[] = {
		{ "0\n", "1\n", DOCTOR_WARNING },
		{ "1\n", "0\n", DOCTOR_WARNING },
		{ "1\n", "2\n", DOCTOR_OK },
		{ "0\n", "0\n", DOCTOR_OK },
	};
	_cleanup_config_ struct config *c = NULL;
	struct error err;

	cr_assert_eq(config_parse(json, strlen(json), "test", &c, &err), 0, "%s", err.text);
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		struct doctor d = { .config = c, .root = doctor_root, .report = doctor_collect, .check = "rp_filter" };

		doctor_tree_clear();
		doctor_put("/proc/sys/net/ipv4/conf/all/rp_filter", filters[i].all);
		doctor_put("/proc/sys/net/ipv4/conf/blue/rp_filter", filters[i].blue);
		doctor_rp_filter(&d);
		cr_expect_eq(doctor_worst(&d), filters[i].level, "%zu: %s", i, doctor_said);
		cr_expect_eq(!!strstr(doctor_said, "on the VRF of tenant ispA"), filters[i].level == DOCTOR_WARNING,
			     "%zu: %s", i, doctor_said);
	}
}
