/* SPDX-License-Identifier: BSD-2-Clause */
/* How long copies live, whose they are, and what outlives the agent. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copying_fixture.h"

TestSuite(copying_vouch, .init = pair_make_kept, .fini = pair_free_kept, .timeout = 300);

#define HOST  7U
#define PEER  0x02U /* bit of peer 1 */
#define ALIVE 4000U /* ticks: all timeouts of the fixture */

static uint32_t slot;

/* A session of a's that b has as a copy. */
static void copy_one(void)
{
	connect_gateways(&a, &b);
	slot = open_flow(&a, HOST, 5000, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
	exchange(&a, &b);
	cr_assert_eq(copying_held(b.c, 1), 1);
}

/* So many ticks pass. */
static void age(struct gateway *g, uint32_t ticks)
{
	for (uint32_t i = 0; i < 256; i++) {
		for (uint32_t k = 0; k < copying_spec.session_slots; k++)
			if (slot_at(g, i, k)->truth)
				touch(g, i, k, word_seen(slot_at(g, i, k)->truth) - ticks);
		if (!copy_marks_of(&g->c->mapping[g->number].marks, i))
			continue;
		for (unsigned p = 1; p <= COPYING_PEERS; p++) {
			struct vouched *v = copy_vouched(&g->c->mapping[g->number].marks, i, p);

			v->now = (uint16_t)(v->now - ticks);
			v->before = (uint16_t)(v->before - ticks);
		}
	}
	for (unsigned p = 1; p <= COPYING_PEERS; p++)
		g->c->peer[p].vouched_tick -= ticks;
}

static uint32_t age_of(struct gateway *g, uint32_t at)
{
	return datapath_ticks(&g->d) - word_seen(slot_at(g, HOST, at)->truth);
}

static void sweep(struct gateway *g)
{
	struct session_sweep *s;

	cr_assert_eq(session_sweep_new(g->m, &s), 0);
	while (session_sweep_step(s, 1000, NULL, NULL))
		;
	session_sweep_free(s);
}

Test(copying_vouch, copies_stay_fresh_while_their_peer_is_up)
{
	copy_one();
	for (unsigned i = 0; i < 10; i++) {
		age(&b, ALIVE / 2);
		vouch(&b, PEER);
		cr_assert_lt(age_of(&b, slot), 10);
	}
	cr_assert_eq(copying_held(b.c, 1), 1);
	sweep(&b);
	cr_assert_eq(sessions_in(&b, HOST), 1);
	pair_sound();
}

Test(copying_vouch, a_round_begins_once_in_a_quarter_of_the_shortest_timeout)
{
	copy_one();
	vouch(&b, PEER);
	age(&b, ALIVE / 4 - 2);
	vouch(&b, PEER);
	cr_assert_gt(age_of(&b, slot), ALIVE / 4 - 10);
	age(&b, 10);
	vouch(&b, PEER);
	cr_assert_lt(age_of(&b, slot), 10);
	pair_sound();
}

Test(copying_vouch, a_peer_that_falls_silent_leaves_copies_with_their_whole_timeout)
{
	copy_one();
	vouch(&b, PEER);
	age(&b, ALIVE / 8);
	vouch(&b, 0);
	cr_assert_lt(age_of(&b, slot), 10);
	for (unsigned i = 0; i < 4; i++) {
		age(&b, ALIVE / 5);
		vouch(&b, 0);
		cr_assert_leq(age_of(&b, slot), ALIVE, "round %u", i);
	}
	age(&b, ALIVE / 4);
	vouch(&b, 0);
	cr_assert_gt(age_of(&b, slot), ALIVE);
	sweep(&b);
	cr_assert_eq(sessions_in(&b, HOST), 0);
	cr_assert_eq(mappings_subscriber(b.m, b.number, HOST)->sessions, 0);
	pair_sound();
}

Test(copying_vouch, a_peer_that_comes_back_finds_its_copies)
{
	copy_one();
	vouch(&b, PEER);
	vouch(&b, 0);
	age(&b, ALIVE / 2);
	connect_gateways(&a, &b);
	cr_assert_eq(b.counts.placed, 1);
	vouch(&b, PEER);
	cr_assert_lt(age_of(&b, slot), 10);
	end_session(&a, HOST, slot);
	exchange(&a, &b);
	cr_assert_eq(sessions_in(&b, HOST), 0);
	pair_sound();
}

Test(copying_vouch, sessions_that_a_peer_with_new_tables_has_lost_are_this_gateways_own_and_told_to_it)
{
	struct told t = { 0 };

	copying_peer_tables(b.c, 1, 7);
	copy_one();
	/* The same tables again, as after a restart of the agent. */
	copying_peer_tables(b.c, 1, 7);
	cr_assert_eq(copying_held(b.c, 1), 1);
	vouch(&b, PEER);
	vouch(&b, 0);
	end_session(&a, HOST, slot);
	gateway_free(&a);
	gateway_make(&a, NULL);
	copying_peer_tables(b.c, 1, 8);
	cr_assert_eq(copying_held(b.c, 1), 0);
	pass(&a, &t);
	told_free(&t);
	whole(&a, &t);
	hear(&b, 1, &t);
	cr_assert_eq(sessions_in(&b, HOST), 1);
	connect_gateways(&a, &b);
	exchange(&a, &b);
	cr_assert_eq(sessions_in(&a, HOST), 1);
	cr_assert_eq(copying_held(a.c, 1), 1);
	pair_sound();
}

Test(copying_vouch, a_copy_that_a_packet_has_refreshed_is_vouched_for_no_more)
{
	copy_one();
	touch(&b, HOST, slot, datapath_ticks(&b.d) - 33);
	age(&b, ALIVE / 2);
	vouch(&b, PEER);
	cr_assert_gt(age_of(&b, slot), ALIVE / 2);
	cr_assert_eq(copying_held(b.c, 1), 0);
	pair_sound();
}

Test(copying_vouch, a_refreshed_copy_does_not_end_with_the_peers_session)
{
	copy_one();
	touch(&b, HOST, slot, datapath_ticks(&b.d) - 33);
	end_session(&a, HOST, slot);
	exchange(&a, &b);
	cr_assert_eq(sessions_in(&b, HOST), 1);
	pair_sound();
}

/*
 * Each has told the other the session while it had none itself any more, so each has the other's copy of it: none is
 * vouched for longer than it takes both to tell that it is gone.
 */
Test(copying_vouch, a_session_that_each_has_from_the_other_ends)
{
	struct told of_a = { 0 }, of_b = { 0 };

	connect_gateways(&a, &b);
	slot = open_flow(&a, HOST, 5000, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
	open_flow(&b, HOST, 5000, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
	passes(&a, &of_a);
	passes(&b, &of_b);
	end_session(&a, HOST, slot);
	end_session(&b, HOST, slot);
	hear(&b, 1, &of_a);
	hear(&a, 1, &of_b);
	cr_assert_eq(copying_held(a.c, 1), 1);
	cr_assert_eq(copying_held(b.c, 1), 1);
	vouch(&a, PEER);
	vouch(&b, PEER);
	exchange(&a, &b);
	cr_assert_eq(sessions_in(&a, HOST) + sessions_in(&b, HOST), 0);
	pair_sound();
}

Test(copying_vouch, whole_copies_end_a_session_that_each_has_from_the_other)
{
	struct told of_a = { 0 }, of_b = { 0 };

	connect_gateways(&a, &b);
	slot = open_flow(&a, HOST, 5000, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
	open_flow(&b, HOST, 5000, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
	passes(&a, &of_a);
	passes(&b, &of_b);
	end_session(&a, HOST, slot);
	end_session(&b, HOST, slot);
	hear(&b, 1, &of_a);
	hear(&a, 1, &of_b);
	/* What both tell now is lost. */
	passes(&a, &of_a);
	passes(&b, &of_b);
	told_free(&of_a);
	told_free(&of_b);
	connect_gateways(&a, &b);
	cr_assert_eq(sessions_in(&a, HOST) + sessions_in(&b, HOST), 0);
	pair_sound();
}

static void restart(struct gateway *g, const char *path)
{
	const struct copying_limits limits = { 2, 1000 };

	copying_free(g->c);
	cr_assert_eq(copying_new(g->m, &limits, path, &g->c), 0);
}

Test(copying_vouch, marks_outlive_the_agent)
{
	struct told t = { 0 };

	copy_one();
	restart(&b, pair_file);
	cr_assert_eq(copying_held(b.c, 1), 1);
	passes(&b, &t);
	cr_assert_eq(copying_told(b.c), 0, "what is a copy is not told");
	told_free(&t);
	end_session(&a, HOST, slot);
	connect_gateways(&a, &b);
	cr_assert_eq(sessions_in(&b, HOST), 0);
	pair_sound();
}

Test(copying_vouch, without_marks_copies_are_its_own_and_have_their_timeout)
{
	copy_one();
	restart(&b, NULL);
	cr_assert_eq(copying_held(b.c, 1), 0);
	connect_gateways(&a, &b);
	cr_assert_eq(b.counts.existing, 1);
	age(&b, ALIVE + 100);
	vouch(&b, PEER);
	sweep(&b);
	cr_assert_eq(sessions_in(&b, HOST), 0);
	restart(&b, pair_file);
	pair_sound();
}

static char *file_of(void)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s.0a000000-24-cb007100-28", pair_file);
	return path;
}

Test(copying_vouch, a_file_of_other_tables_is_discarded)
{
	struct stat st;
	int fd;

	copy_one();
	cr_assert_eq(stat(file_of(), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	fd = open(file_of(), O_RDWR);
	cr_assert_eq(pwrite(fd, "x", 1, 20), 1, "the boot's id");
	restart(&b, pair_file);
	cr_assert_eq(copying_held(b.c, 1), 0);
	close(fd);
	/* One that has been cut off would end the process at the first look. */
	cr_assert_eq(truncate(file_of(), 4096), 0);
	restart(&b, pair_file);
	cr_assert_eq(copying_held(b.c, 1), 0);
	cr_assert_eq(unlink(file_of()), 0);
	cr_assert_eq(symlink("/etc/passwd", file_of()), 0);
	restart(&b, pair_file);
	cr_assert_eq(lstat(file_of(), &st), 0);
	cr_assert(S_ISREG(st.st_mode));
	pair_sound();
}

/* Has a file end after so many octets; then it may be as long as before again. */
static void cut_off(const char *path, off_t left, bool grows)
{
	struct stat before;

	cr_assert_eq(stat(path, &before), 0);
	cr_assert_eq(truncate(path, left), 0);
	if (grows)
		cr_assert_eq(truncate(path, before.st_size), 0);
}

Test(copying_vouch, a_file_that_is_cut_off_in_use_costs_the_marks_that_were_there)
{
	static const struct {
		off_t left;
		bool grows;
	} cuts[] = { { 0, false }, { 4096, false }, { 0, true } };

	connect_gateways(&a, &b);
	for (unsigned i = 0; i < ARRAY_SIZE(cuts); i++) {
		slot = open_flow(&a, HOST, (uint16_t)(5000 + 8 * i), 7, IPPROTO_TCP, SESSION_ESTABLISHED);
		exchange(&a, &b);
		cr_assert_eq(copying_held(b.c, 1), 1, "%u", i);
		cut_off(file_of(), cuts[i].left, cuts[i].grows);
		age(&b, ALIVE / 4 + 1);
		vouch(&b, PEER);
		exchange(&a, &b);
		cr_assert_eq(copying_held(b.c, 1), 0, "%u", i);
		cr_assert_eq(sessions_in(&b, HOST), i + 1, "%u", i);
	}
	/* What is told from now on is marked where the next agent finds it. */
	slot = open_flow(&a, HOST + 1, 5000, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
	exchange(&a, &b);
	restart(&b, pair_file);
	cr_assert_eq(copying_held(b.c, 1), 1);
	pair_sound();
}

Test(copying_vouch, marks_made_after_a_file_was_cut_off_do_not_make_it_as_long_as_before)
{
	const struct marked_tables of = { .n_subscribers = 1U << 16, .n_slots = 32 };
	struct copy_marks k;
	uint32_t last = of.n_subscribers - 1;

	cr_assert_eq(copy_marks_open(&k, pair_file, &of), 0);
	cr_assert_eq(copy_marks_make(&k, 0), 0);
	cr_assert_eq(copy_marks_make(&k, last / 2), 0);
	*copy_marks_of(&k, 0) = mark_of(1, 7);
	*copy_marks_of(&k, last / 2) = mark_of(2, 7);
	cut_off(pair_file, (off_t)(k.header + k.segment), false);
	cr_assert_not(copy_marks_lost(&k));
	cr_assert_eq(copy_marks_make(&k, last), -ESTALE);
	cr_assert(copy_marks_lost(&k));
	cr_assert_eq(copy_marks_mend(&k, &of), 0);
	cr_assert_not(copy_marks_lost(&k));
	cr_assert_eq(copy_marks_make(&k, last), 0);
	cr_assert_eq(*copy_marks_of(&k, 0), mark_of(1, 7));
	cr_assert_eq(*copy_marks_of(&k, last / 2), 0);
	copy_marks_close(&k, true);
	pair_sound();
}

/* A copy of the file, as by a backup, where a store could find no room on the file system. */
Test(copying_vouch, a_file_with_holes_gets_its_memory_at_the_start)
{
	struct stat before, after;
	int fd;

	copy_one();
	fd = open(file_of(), O_RDWR);
	cr_assert_eq(fstat(fd, &before), 0);
	/* All but the first page. */
	cr_assert_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, before.st_size - 4096), 0);
	restart(&b, pair_file);
	cr_assert_eq(fstat(fd, &after), 0);
	cr_assert_eq(after.st_blocks, before.st_blocks);
	cr_assert_eq(copying_held(b.c, 1), 0);
	close(fd);
	pair_sound();
}

Test(copying_vouch, the_file_of_a_mapping_goes_with_it)
{
	char stray[128];
	struct stat st;

	snprintf(stray, sizeof(stray), "%s.0b000000-24-cb007200-28", pair_file);
	close(open(stray, O_CREAT | O_RDWR, 0600));
	restart(&b, pair_file);
	cr_assert_neq(stat(stray, &st), 0);
	cr_assert_eq(stat(file_of(), &st), 0);
	cr_assert_eq(mappings_del_of(b.m, 0, copying_spec.in, copying_spec.out), 0);
	copying_mappings_changed(b.c);
	cr_assert_neq(stat(file_of(), &st), 0);
	tables_reclaim(b.m);
	b.number = tables_add(b.m, &copying_spec);
	pair_sound();
}

Test(copying_vouch, a_mapping_that_is_deleted_between_its_table_and_changes_takes_no_harm)
{
	struct told t = { 0 }, more = { 0 };

	connect_gateways(&a, &b);
	open_flow(&a, HOST, 5000, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
	passes(&a, &t);
	whole(&a, &more);
	cr_assert_eq(mappings_del_of(b.m, 0, copying_spec.in, copying_spec.out), 0);
	hear(&b, 1, &t);
	hear(&b, 1, &more);
	cr_assert_eq(b.counts.skipped, 2);
	tables_reclaim(b.m);
	b.number = tables_add(b.m, &copying_spec);
	/* It is exchanged again, as the peer has shown it, and complete with the next whole copy. */
	connect_gateways(&a, &b);
	cr_assert_eq(sessions_in(&b, HOST), 1);
	pair_sound();
}

Test(copying_vouch, copies_of_a_mapping_that_the_peer_has_no_more_end)
{
	struct copying_table_report report;
	struct prefix in, out;
	enum copying_difference why;

	copy_one();
	vouch(&b, PEER);
	cr_assert_eq(copying_mappings(b.c, 1, NULL, 0, &report), 0);
	cr_assert_eq(report.common, 0);
	cr_assert_eq(report.lacking, 1);
	cr_assert(copying_difference(b.c, 1, 0, &in, &out, &why));
	cr_assert_eq(why, COPYING_LACKING_THERE);
	cr_assert_not(copying_difference(b.c, 1, 1, &in, &out, &why));
	age(&b, ALIVE / 2);
	vouch(&b, PEER);
	cr_assert_eq(sessions_in(&b, HOST), 0);
	cr_assert_eq(copying_held(b.c, 1), 0);
	pair_sound();
}

Test(copying_vouch, two_peers_that_tell_one_session_share_one_copy_which_the_latest_has)
{
	struct gateway third;
	struct told t = { 0 };

	copy_one();
	gateway_make(&third, NULL);
	pass(&third, &t);
	open_flow(&third, HOST, 5000, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
	passes(&third, &t);
	hear(&b, 2, &t);
	cr_assert_eq(sessions_in(&b, HOST), 1);
	cr_assert_eq(copying_held(b.c, 1), 0);
	cr_assert_eq(copying_held(b.c, 2), 1);
	/* What the first one ends is not its any more. */
	end_session(&a, HOST, slot);
	exchange(&a, &b);
	cr_assert_eq(sessions_in(&b, HOST), 1);
	end_session(&third, HOST, slot);
	passes(&third, &t);
	hear(&b, 2, &t);
	cr_assert_eq(sessions_in(&b, HOST), 0);
	gateway_free(&third);
	pair_sound();
}
