// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <linux/pkt_cls.h>

#include "datapath/datapath_private.h"

#include "kept_objects.h"
#include "left_out.h"
#include "verified.h"

/* The tests are linked with --wrap=bpf_object__load. */
int __real_bpf_object__load(struct bpf_object *o);
int __wrap_bpf_object__load(struct bpf_object *o);

static const struct {
	const char *suite, *called;
	const char *called_tc; /* of those at tc egress; NULL: the same */
} suites[] = {
	{ "anywhere", "in2out open icmp_out guard" },
	{ "arp", "out2in arp" },
	{ "bare_ingress", "in2out out2in open" },
	{ "binding", "in2out in2out_cached out2in out2in_slow open search extent refuse icmp_error" },
	{ "binding_changes", "in2out in2out_cached out2in out2in_cached out2in_slow open search extent inbound" },
	{ "binding_portmaps", "in2out open search extent" },
	{ "block_end", "in2out open search extent refuse icmp_error" },
	{ "bond", "in2out refuse_protocol icmp_error" },
	{ "copies", "in2out in2out_cached out2in out2in_cached out2in_slow open" },
	{ "displaced", "in2out in2out_cached out2in out2in_cached open refuse icmp_error icmp_out" },
	{ "drain", "in2out in2out_cached out2in out2in_slow open refuse icmp_error fragment", "in2out open" },
	{ "drain_exceptions", "in2out out2in open", "in2out open" },
	{ "drain_beyond", "in2out open search extent" },
	{ "drain_packets", "in2out out2in open search extent icmp_in icmp_out hairpin fragment fragment_out2in" },
	{ "drain_strangers", "in2out out2in out2in_slow open icmp_in icmp_hairpin protocol_in" },
	{ "echo", "in2out out2in out2in_slow open" },
	{ "egress", "in2out in2out_cached out2in out2in_cached open icmp_error hairpin" },
	{ "egress_in", "in2out in2out_cached out2in out2in_cached open icmp_error guard", "guard in2out" },
	{ "egress_tc", "in2out open icmp_error hairpin" },
	{ "exceptions",
	  "in2out in2out_cached out2in out2in_cached out2in_slow open icmp_error icmp_in icmp_out "
	  "hairpin protocol protocol_in",
	  "in2out protocol" },
	{ "extents",
	  "in2out in2out_cached out2in out2in_cached out2in_slow open search extent refuse icmp_error icmp_in icmp_out "
	  "hairpin fragment" },
	{ "extents_life",
	  "in2out in2out_cached out2in out2in_cached out2in_slow open search extent refuse icmp_error" },
	{ "extents_shares",
	  "in2out in2out_cached out2in out2in_cached out2in_slow open search extent refuse icmp_error" },
	{ "fast_features", "in2out in2out_cached open out2in out2in_cached out2in_slow portmap_in" },
	{ "fib", "in2out out2in out2in_slow open hairpin" },
	{ "forged", "in2out in2out_cached out2in out2in_cached out2in_slow open icmp_in icmp_hairpin protocol_in "
		    "fragment_out2in inbound portmap_in routed_in" },
	{ "fragment_shares", "in2out out2in open fragment fragment_out2in" },
	{ "fragments", "in2out out2in out2in_slow open hairpin fragment fragment_hairpin fragment_out2in",
	  "fragment in2out open" },
	{ "gateway_pool", "in2out out2in out2in_cached out2in_slow open icmp_in hairpin fragment_out2in" },
	{ "giving_way", "in2out in2out_cached out2in out2in_slow open search extent refuse icmp_error inbound" },
	{ "grant_bindings", "out2in_cached hairpin hairpin_inbound icmp_error in2out in2out_cached inbound open out2in "
			    "out2in_slow search extent refuse" },
	{ "grant_copies", "in2out in2out_cached open out2in out2in_cached out2in_slow search extent" },
	{ "grants", "fragment_out2in hairpin icmp_error icmp_in in2out open out2in out2in_slow search extent refuse",
	  "in2out open search extent" },
	{ "guard", "in2out guard" },
	{ "hairpin", "in2out in2out_cached out2in out2in_cached out2in_slow open icmp_error hairpin arp" },
	{ "icmp_in", "in2out in2out_cached out2in out2in_slow open search extent icmp_in" },
	{ "icmp_out", "in2out out2in open icmp_in icmp_out icmp_hairpin hairpin" },
	{ "icmp_quotes", "in2out out2in out2in_slow open search extent icmp_in icmp_out" },
	{ "icmp_routers", "in2out out2in open icmp_in icmp_hairpin hairpin" },
	{ "icmp_sent", "in2out out2in open refuse_protocol icmp_error" },
	{ "icmp_tc", "in2out out2in open refuse icmp_error" },
	{ "in2out", "in2out in2out_cached open fragment vlan" },
	{ "inbound",
	  "in2out in2out_cached out2in out2in_cached out2in_slow open search extent refuse icmp_error hairpin "
	  "inbound hairpin_inbound" },
	{ "inbound_beside", "in2out open" },
	{ "inbound_crowded", "in2out in2out_cached out2in out2in_cached out2in_slow open inbound" },
	{ "inbound_life", "in2out out2in out2in_slow open inbound" },
	{ "inbound_limit", "in2out out2in out2in_slow open refuse icmp_error inbound" },
	{ "inbound_marks", "in2out in2out_cached out2in out2in_cached out2in_slow open refuse icmp_error hairpin "
			   "inbound hairpin_inbound" },
	{ "ingress", "in2out in2out_cached out2in out2in_slow open icmp_error icmp_in hairpin fragment_out2in both" },
	{ "ingress_answers", "out2in out2in_slow tcp_reset" },
	{ "ingress_sent", "in2out open hairpin" },
	{ "limits", "in2out in2out_cached out2in out2in_cached out2in_slow open search extent refuse icmp_error" },
	{ "mss", "in2out in2out_cached out2in out2in_cached out2in_slow open hairpin protocol protocol_in portmap_in" },
	{ "migration", "in2out in2out_cached open out2in out2in_cached out2in_slow search extent" },
	{ "migration_maps", "in2out in2out_cached open out2in out2in_cached out2in_slow search extent" },
	{ "next_hops", "in2out in2out_cached out2in out2in_cached open" },
	{ "options", "in2out in2out_cached out2in out2in_cached out2in_slow open search extent hairpin" },
	{ "out2in", "in2out in2out_cached out2in out2in_cached out2in_slow open search extent refuse icmp_error "
		    "fragment_out2in" },
	{ "beyond", "in2out in2out_cached out2in out2in_slow open search extent" },
	{ "beyond_owner", "in2out in2out_cached out2in out2in_cached out2in_slow open search extent icmp_in icmp_out "
			  "hairpin fragment" },
	{ "portmap",
	  "in2out in2out_cached out2in out2in_cached out2in_slow open search extent refuse icmp_error portmap_in" },
	{ "portmap_filters",
	  "in2out in2out_cached out2in out2in_cached out2in_slow open icmp_in icmp_out hairpin portmap_in" },
	{ "portmap_leases", "in2out out2in out2in_slow open hairpin portmap_in" },
	{ "portmap_packets", "in2out in2out_cached out2in out2in_cached out2in_slow open icmp_error icmp_in icmp_out "
			     "icmp_hairpin hairpin fragment fragment_out2in portmap_in" },
	{ "protocols", "in2out out2in out2in_cached out2in_slow open refuse_protocol icmp_error icmp_in icmp_out "
		       "icmp_hairpin protocol protocol_in" },
	{ "records", "in2out out2in out2in_cached out2in_slow open refuse icmp_error fragment tcp_reset" },
	{ "refusals", "in2out in2out_cached open search extent refuse icmp_error" },
	{ "refusals_portmap", "in2out in2out_cached open" },
	{ "renumber", "in2out in2out_cached out2in out2in_cached open" },
	{ "routed",
	  "in2out in2out_cached open icmp_error icmp_in icmp_hairpin routed_in routed_inbound routed_out icmp_routed" },
	{ "single_sources", "in2out out2in out2in_slow open protocol_in portmap_in" },
	{ "small_blocks", "in2out in2out_cached out2in out2in_cached open search extent refuse icmp_error" },
	{ "source_rules", "in2out out2in open hairpin" },
	{ "sources", "in2out in2out_cached out2in out2in_slow open icmp_error" },
	{ "staged", "in2out out2in out2in_slow open in2out_single out2in_single" },
	{ "staged_sessions", "in2out open" },
	{ "staged_sources", "in2out out2in out2in_slow open out2in_single portmap_in" },
	{ "taken_out", "in2out in2out_cached out2in out2in_cached out2in_slow open icmp_in hairpin protocol "
		       "protocol_in out2in_single" },
	{ "tcp", "in2out in2out_cached out2in out2in_cached out2in_slow open" },
	{ "told", "in2out in2out_cached out2in out2in_cached out2in_slow open search extent refuse icmp_error" },
	{ "told_copies", "in2out in2out_cached out2in_cached open search extent" },
	{ "told_portmap", "in2out in2out_cached out2in out2in_cached open search extent" },
	{ "trace", "in2out in2out_cached out2in out2in_cached out2in_slow open hairpin" },
	{ "trace_filters", "in2out in2out_cached out2in out2in_cached out2in_slow open icmp_in hairpin arp protocol_in "
			   "fragment fragment_hairpin fragment_out2in portmap_in" },
	{ "trace_records",
	  "in2out out2in out2in_slow open search extent refuse_protocol icmp_error icmp_in arp fragment_out2in vlan" },
	{ "turned_back", "in2out open guard" },
	{ "udp", "in2out in2out_cached out2in out2in_cached out2in_slow open" },
	{ "unsolicited",
	  "in2out in2out_cached out2in out2in_cached out2in_slow open search extent fragment_out2in vlan tcp_reset" },
	{ "unsolicited_drop", "out2in out2in_cached out2in_slow tcp_reset" },
	{ "vlan", "in2out in2out_cached out2in out2in_cached out2in_slow open vlan guard" },
	{ "vlan_drains", "in2out out2in out2in_slow open search extent vlan" },
	{ "vlan_features", "in2out out2in out2in_slow open hairpin protocol protocol_in vlan inbound portmap_in" },
	{ "vlan_roles", "in2out out2in out2in_slow open protocol_in vlan guard routed_in routed_out" },
	{ "vlan_stages", "in2out out2in open vlan" },
	{ "zero_checksums", "in2out in2out_cached out2in out2in_cached open icmp_in" },
};

/* The arrays whose programs may be left out, and how their names end. */
static const struct {
	enum prog_array array;
	const char *suffix;
} arrays[] = { { XDP_PROGS, "xdp" }, { TC_PROGS, "tc" }, { INGRESS_PROGS, "ingress" }, { REDIRECT_PROGS, "redirect" } };

bool load_every_program;

/* A word for each program of each array, which its stand-in sets. */
static uint32_t *called;
static int called_map = -1;

/* The programs of an array that the suite calls, or NULL: any of them. */
static const char *programs_of_suite(enum prog_array array)
{
	/* The other passes of the tests take other ways. */
	if (getenv("PADDED") || getenv("STAGES") || getenv("TRACED"))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(suites); i++)
		if (!strcmp(suites[i].suite, criterion_current_suite->name))
			return array == TC_PROGS && suites[i].called_tc ? suites[i].called_tc : suites[i].called;
	return NULL;
}

static bool is_listed(const char *list, const char *name)
{
	size_t length = strlen(name);

	/* Where there are no extents, the agent leaves it out. */
	if (!strcmp(name, "extent"))
		return true;
	for (const char *at = list; (at = strstr(at, name)); at += length)
		if ((at == list || at[-1] == ' ') && (!at[length] || at[length] == ' '))
			return true;
	return false;
}

static void make_called(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	size_t size = N_PROG_ARRAYS * N_PROGS * sizeof(*called);

	if (called)
		return;
	called_map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "called", 4, (uint32_t)size, 1, &opts);
	cr_assert_geq(called_map, 0, "%s", strerror(errno));
	called = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, called_map, 0);
	cr_assert_neq(called, MAP_FAILED, "%s", strerror(errno));
}

/* called[word] = 1; the packet is dropped. */
static int stand_in(const struct bpf_program *p, uint32_t word)
{
	bool xdp = bpf_program__type(p) == BPF_PROG_TYPE_XDP;
	const struct bpf_insn insns[] = {
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_VALUE, .imm = called_map },
		{ .imm = (int)(word * sizeof(*called)) },
		{ .code = BPF_ST | BPF_W | BPF_MEM, .dst_reg = 1, .imm = 1 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = xdp ? XDP_ABORTED : TC_ACT_SHOT },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	/* What shares an array of programs is alike in these. */
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = bpf_program__expected_attach_type(p),
		    .prog_flags = xdp ? BPF_F_XDP_HAS_FRAGS : 0);

	return bpf_prog_load(bpf_program__type(p), "stand_in", "GPL", insns, ARRAY_SIZE(insns), &opts);
}

/* A program of an array that an object has, or NULL where it would not be loaded anyway. */
static struct bpf_program *program_of(const struct bpf_object *o, size_t i, uint32_t number)
{
	struct bpf_program *p;
	char name[64];

	snprintf(name, sizeof(name), "prog_%s_%s", prog_name(number), arrays[i].suffix);
	p = bpf_object__find_program_by_name(o, name);
	return p && bpf_program__autoload(p) ? p : NULL;
}

/* Leaves an array's programs out that are not listed, and notes them. Returns how many. */
static unsigned leave_out(const struct bpf_object *o, size_t i, const char *listed, struct bpf_program *ret[N_PROGS])
{
	unsigned n = 0;

	for (uint32_t number = 0; number < N_PROGS; number++) {
		/* The main programs of this one are the same for all settings, and call these for some. */
		if (arrays[i].array == REDIRECT_PROGS && (number == PROG_in2out_cached || number == PROG_out2in_cached))
			ret[number] = NULL;
		else
			ret[number] = is_listed(listed, prog_name(number)) ? NULL : program_of(o, i, number);
		if (!ret[number])
			continue;
		bpf_program__set_autoload(ret[number], false);
		n++;
	}
	return n;
}

static void put_stand_ins(const struct bpf_object *o, size_t i, struct bpf_program *const left[N_PROGS])
{
	int array = bpf_object__find_map_fd_by_name(o, prog_array_name(arrays[i].array));

	for (uint32_t number = 0; number < N_PROGS; number++) {
		_cleanup_close_ int fd = -1;

		if (!left[number])
			continue;
		fd = stand_in(left[number], arrays[i].array * N_PROGS + number);
		cr_assert_geq(fd, 0, "%s", strerror(errno));
		cr_assert_eq(bpf_map_update_elem(array, &number, &fd, BPF_ANY), 0, "%s", strerror(errno));
	}
}

static void leave_nothing_out(const struct bpf_object *o)
{
	struct bpf_program *p;

	bpf_object__for_each_program(p, o) bpf_program__set_autoload(p, true);
}

int __wrap_bpf_object__load(struct bpf_object *o)
{
	struct bpf_program *left[ARRAY_SIZE(arrays)][N_PROGS] = { 0 };
	unsigned n[ARRAY_SIZE(arrays)] = { 0 };
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(arrays); i++) {
		const char *listed = programs_of_suite(arrays[i].array);

		if (listed && bpf_object__find_map_by_name(o, prog_array_name(arrays[i].array)))
			n[i] = leave_out(o, i, listed, left[i]);
	}
	if (load_every_program)
		leave_nothing_out(o);
	r = load_every_program ? __real_bpf_object__load(o) : kept_load(o);
	if (!r)
		verified_note(o);
	/* On an emulated processor it takes minutes, and silence is taken for a guest that has stopped. */
	if (!r && load_every_program) {
		printf("loaded %s\n", bpf_object__name(o));
		fflush(stdout);
	}
	for (size_t i = 0; !r && i < ARRAY_SIZE(arrays); i++) {
		if (!n[i])
			continue;
		make_called();
		put_stand_ins(o, i, left[i]);
	}
	return r;
}

void left_out_check(void)
{
	for (unsigned i = 0; called && i < N_PROG_ARRAYS * N_PROGS; i++)
		if (called[i])
			cr_assert_fail("the suite %s calls the program %s: list it in left_out.c",
				       criterion_current_suite->name, prog_name(i % N_PROGS));
}
