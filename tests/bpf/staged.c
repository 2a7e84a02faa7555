// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>

#include "datapath/datapath_private.h"

#include "fixture.h"
#include "staged.h"

static struct hook_object stage2;
static int program = -1;
static pthread_rwlock_t programs = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
bool staged_leave_answers;

bool staged_wanted(void)
{
	const char *stages = getenv("STAGES");

	return stages && !strcmp(stages, "2");
}

static struct bpf_map *map_of(const char *name)
{
	struct bpf_map *m = bpf_object__find_map_by_name(stage2.object, name);

	cr_assert_not_null(m, "%s", name);
	return m;
}

static void fill_leaves(void)
{
	int leaves = bpf_map__fd(map_of(prog_array_name(STAGE2_PROGS)));

	for (uint32_t i = 0; i < N_PROGS; i++) {
		const struct bpf_program *leaf;
		char name[64];
		int fd;

		snprintf(name, sizeof(name), "prog_%s_stage2", prog_name(i));
		leaf = bpf_object__find_program_by_name(stage2.object, name);
		if (!leaf)
			continue;
		fd = bpf_program__fd(leaf);
		cr_assert_eq(bpf_map_update_elem(leaves, &i, &fd, BPF_ANY), 0, "%s: %s", name, strerror(errno));
	}
}

void staged_begin_reload(void)
{
	pthread_rwlock_wrlock(&programs);
}

void staged_enter(void)
{
	pthread_rwlock_rdlock(&programs);
}

void staged_leave(void)
{
	pthread_rwlock_unlock(&programs);
}

static void reload(void)
{
	const struct datapath_build *b = datapath.build;
	struct bpf_program *each;
	struct error err;

	if (b->stage2 < 0)
		return;
	hook_object_close(&stage2);
	cr_assert_eq(hook_object_open_stage2(&datapath, &b->settings, &stage2), 0);
	cr_assert_eq(build_share_stages(b, stage2.object), 0);
	/* The kernel test-runs no programs of a DEVMAP. */
	bpf_object__for_each_program(each, stage2.object) bpf_program__set_expected_attach_type(each, BPF_XDP);
	cr_assert_eq(object_load(stage2.object, &err), 0, "%s", err.text);
	fill_leaves();
	program = bpf_program__fd(bpf_object__find_program_by_name(stage2.object, "stage2"));
	cr_assert_geq(program, 0);
}

void staged_reload(void)
{
	reload();
	pthread_rwlock_unlock(&programs);
}

uint64_t staged_drops(void)
{
	_cleanup_free_ uint64_t *each = calloc((size_t)libbpf_num_possible_cpus(), sizeof(*each));
	uint32_t zero = 0;
	uint64_t sum = 0;

	/* The kernel rounds each core's value up to 8 octets. */
	cr_assert_eq(bpf_map_lookup_elem(datapath.stage_drops, &zero, each), 0);
	for (int i = 0; i < libbpf_num_possible_cpus(); i++)
		sum += (uint32_t)each[i];
	return sum;
}

void staged_number_from(uint32_t next)
{
	int lists = datapath.build->stage_lists;
	_cleanup_free_ struct stage_list *each = calloc((size_t)libbpf_num_possible_cpus(), sizeof(*each));
	uint32_t zero = 0;

	cr_assert_eq(bpf_map_lookup_elem(lists, &zero, each), 0);
	for (int i = 0; i < libbpf_num_possible_cpus(); i++)
		each[i].next = each[i].touched = next;
	cr_assert_eq(bpf_map_update_elem(lists, &zero, each, BPF_ANY), 0, "%s", strerror(errno));
}

bool staged_is_marked(const uint8_t *frame, size_t size)
{
	return size >= 14 && frame[12] == STAGE_ETHERTYPE >> 8 && frame[13] == (STAGE_ETHERTYPE & 255);
}

int staged_run_stage2(uint8_t *frame, size_t *size)
{
	uint8_t in[FRAME_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = (uint32_t)*size, .data_out = frame,
		    .data_size_out = FRAME_MAX, .repeat = 1);

	memcpy(in, frame, *size);
	cr_assert_eq(bpf_prog_test_run_opts(program, &opts), 0, "BPF_PROG_TEST_RUN: %s", strerror(errno));
	*size = opts.data_size_out;
	return (int)opts.retval;
}

int staged_finish(int verdict, uint8_t *frame, size_t *size)
{
	static struct transmission answer;

	if (verdict != REDIRECT_XDP || !staged_is_marked(frame, *size))
		return verdict;
	if (staged_run_stage2(frame, size) == PASS_XDP)
		return REDIRECT_XDP;
	if (staged_leave_answers || !transmitted(&answer))
		return DROP_XDP;
	cr_assert_eq(answer.kind, TRANSMISSION_FRAME);
	memcpy(frame, answer.frame, answer.length);
	*size = answer.length;
	return REDIRECT_XDP;
}
