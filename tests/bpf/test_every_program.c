// SPDX-License-Identifier: BSD-2-Clause
/*
 * The kernel takes every program of every object, also those that only rare settings choose: by whichever compiler they
 * were made. In `make test-clang`, `make test-bpf-passes` and guests, as the verifier walks four million instructions;
 * VERIFIED=1 lists those of each load.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>
#include <criterion/criterion.h>

#include "datapath/copy_program.h"
#include "datapath/datapath_private.h"
#include "pcp/pcp_private.h"
#include "detnat_shared.skel.h"
#include "detnat_takeover.skel.h"
#include "detnat_watch.skel.h"

#include "fixture.h"
#include "late_tc.h"
#include "left_out.h"
#include "verified.h"

/* Sums of an object's programs, by the settings that ask most for each. */
struct sum {
	char object[32], largest[64];
	unsigned programs, insns, most;
};

static struct sum sums[16];
static unsigned n_sums;

static struct sum *sum_of(const char *object)
{
	for (unsigned i = 0; i < n_sums; i++)
		if (!strcmp(sums[i].object, object))
			return &sums[i];
	cr_assert_lt(n_sums, ARRAY_SIZE(sums));
	snprintf(sums[n_sums].object, sizeof(sums->object), "%s", object);
	return &sums[n_sums++];
}

static void add(const char *object, const char *program, bool loaded, unsigned insns)
{
	struct sum *sum = sum_of(object);

	if (!loaded) {
		cr_expect_fail("%s: the program %s was not loaded", object, program);
		return;
	}
	sum->programs++;
	sum->insns += insns;
	if (insns < sum->most)
		return;
	sum->most = insns;
	snprintf(sum->largest, sizeof(sum->largest), "%s", program);
}

static void load_alone(struct bpf_object *o)
{
	struct error err;

	cr_assert_not_null(o);
	cr_assert_eq(object_load(o, &err), 0, "%s", err.text);
}

/* Those that the agent loads beside the datapath. */
static void load_beside(void)
{
	struct detnat_takeover *takeover = detnat_takeover__open();
	struct detnat_watch *watch = detnat_watch__open();
	struct copy_program copies = { 0 };
	struct pcp_senders *senders;

	load_alone(takeover->obj);
	cr_assert_eq(bpf_map__reuse_fd(watch->maps.counters, datapath.counters), 0);
	cr_assert_eq(bpf_map__reuse_fd(watch->maps.stage_drops, datapath.stage_drops), 0);
	load_alone(watch->obj);
	cr_assert_eq(copy_program_load(&copies, &datapath), 0);
	cr_assert_eq(pcp_senders_new(&senders), 0);
	pcp_senders_free(senders);
	copy_program_unload(&copies);
	detnat_watch__destroy(watch);
	detnat_takeover__destroy(takeover);
}

/* Those of a slot of libxdp's dispatcher, as the helper loads them: for a program that stands for the slot. */
static int load_entries(const struct bpf_program *slot)
{
	struct detnat_shared *entries = detnat_shared__open();
	struct bpf_program *p;
	struct error err;
	int r;

	bpf_object__for_each_program(p, entries->obj)
	{
		bpf_program__set_autoload(p, p != entries->progs.slot);
		if (p == entries->progs.slot || !slot)
			continue;
		bpf_program__set_type(p, BPF_PROG_TYPE_EXT);
		bpf_program__set_expected_attach_type(p, 0);
		bpf_program__set_flags(p, bpf_program__flags(p) | BPF_F_XDP_HAS_FRAGS);
		cr_assert_eq(bpf_program__set_attach_target(p, bpf_program__fd(slot), "slot"), 0);
	}
	r = object_load(entries->obj, &err);
	detnat_shared__destroy(entries);
	return r;
}

static void load_for_dispatcher(void)
{
	struct detnat_shared *target = detnat_shared__open();
	struct bpf_program *p;
	int r;

	bpf_object__for_each_program(p, target->obj) bpf_program__set_autoload(p, p == target->progs.slot);
	load_alone(target->obj);
	r = load_entries(target->progs.slot);
	if (r == -EPERM || r == -EACCES) {
		puts("this kernel has no freplace programs: the entries of a dispatcher's slot are loaded as XDP "
		     "programs");
		r = load_entries(NULL);
	}
	cr_assert_eq(r, 0, "%s", strerror(-r));
	detnat_shared__destroy(target);
}

static void ask_for_everything(void)
{
	settings.portmaps = settings.session_events = settings.growth = settings.attack = 1;
	settings.udp_inbound_refresh = settings.route_mtus = settings.vrf = 1;
	settings.tcp_mss_clamp = MSS_CLAMP_MTU;
	settings.unsolicited_tcp = UNSOLICITED_ANSWER;
	settings.limits = settings.drains = settings.port_zero = 1;
	bindings.mapping = bindings.filtering = 1;
	settings.tc = TC_ALONE | TC_BARE | TC_REDIRECTS;
}

/* Has the agent load with all programs what it loads with these settings. */
static void load_all(void)
{
	load_every_program = true;
	reload_settings();
	tc_program();
	load_every_program = false;
}

static void begin(void)
{
	if (!getenv("EVERY_PROGRAM"))
		cr_skip_test("EVERY_PROGRAM is not set");
	unsetenv("STAGES");
	unsetenv("TRACED");
	set_up();
	ask_for_everything();
}

/* No program of the objects that were loaded, which are so many, is missing. */
static void end(unsigned objects)
{
	verified_each(add);
	for (const struct sum *sum = sums; sum < &sums[n_sums]; sum++)
		printf("object %s: %u programs, %u instructions, %u of them for %s\n", sum->object, sum->programs,
		       sum->insns, sum->most, sum->largest);
	if (getenv("VERIFIED"))
		verified_report("all loads");
	cr_expect_eq(n_sums, objects, "%u objects were loaded", n_sums);
	tear_down();
}

Test(every_program, of_one_stage_is_loaded)
{
	begin();
	load_all();
	end(5);
}

Test(every_program, of_two_stages_is_loaded)
{
	begin();
	verified_reset();
	settings.stages = 2;
	settings.tc = 0;
	load_all();
	end(3);
}

Test(every_program, for_ipv6_subscribers_is_loaded)
{
	begin();
	verified_reset();
	settings.six = 1;
	settings.tc = TC_REDIRECTS;
	load_all();
	end(5);
}

/* With what is another in some programs of the same objects, too. */
Test(every_program, of_the_tracing_build_is_loaded)
{
	begin();
	verified_reset();
	setenv("TRACED", "1", 1);
	settings.source_check = SOURCES_STRICT_EACH;
	settings.open_mappings = settings.tenants = settings.outside_filter = 1;
	load_all();
	end(4);
}

Test(every_program, beside_the_datapath_is_loaded)
{
	begin();
	verified_reset();
	load_beside();
	load_for_dispatcher();
	end(4);
}
