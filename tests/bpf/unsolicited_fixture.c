// SPDX-License-Identifier: BSD-2-Clause
#include "unsolicited_fixture.h"

#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <string.h>

#include "told_routes.h"

static void put32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* The checksum of the segment at l4 of so many octets, computed anew. */
static void seal(uint8_t *ip, uint8_t *l4, uint16_t octets)
{
	uint8_t pseudo[12] = { [9] = TCP, [10] = (uint8_t)(octets >> 8), [11] = (uint8_t)octets };
	uint16_t sum;

	memcpy(pseudo, ip + 12, 8);
	l4[16] = l4[17] = 0;
	sum = sum_finish(sum_octets(l4, octets, sum_octets(pseudo, sizeof(pseudo), 0)));
	l4[16] = (uint8_t)(sum >> 8);
	l4[17] = (uint8_t)sum;
}

size_t segment_build(const struct reset_row *row, uint8_t *in)
{
	size_t size = frame_build(&row->in, in);
	uint8_t *l4 = in + 34 + row->in.ip_options;

	if (row->seq)
		put32(l4 + 4, row->seq);
	put32(l4 + 8, row->ack);
	l4[12] = (uint8_t)((5 + row->tcp_options / 4) << 4);
	seal(in + 14, l4, (uint16_t)(20 + row->in.payload));
	return size;
}

/* The reset from scratch: no options, no TOS, identification 0 with DF. */
size_t reset_build(const struct reset_row *row, size_t in_size, uint8_t *want)
{
	struct frame f = { .from = row->in.to,
			   .to = row->in.from,
			   .src = row->in.dst,
			   .dst = row->in.src,
			   TCP,
			   row->in.dport,
			   row->in.sport,
			   .flags = row->flags,
			   .options = DONT_FRAGMENT };
	uint16_t sum;

	frame_build(&f, want);
	want[15] = 0;
	want[18] = want[19] = 0;
	want[24] = want[25] = 0;
	sum = sum_finish(sum_octets(want + 14, 20, 0));
	want[24] = (uint8_t)(sum >> 8);
	want[25] = (uint8_t)sum;
	put32(want + 38, row->reset_seq);
	put32(want + 42, row->reset_ack);
	want[48] = want[49] = 0; /* window */
	seal(want + 14, want + 34, 20);
	return in_size < 60 ? in_size : 60;
}

void run_reset(const struct reset_row *row, enum hook hook)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	uint64_t resets = counted(REASON_sent_tcp_reset);
	size_t size = segment_build(row, in), out_size, want_size;

	run_frame_counted(row->name, hook, in, size, out, &out_size, row->flags ? REDIRECT_XDP : DROP_XDP,
			  REASON_drop_no_session);
	cr_expect_eq(counted(REASON_sent_tcp_reset) - resets, !!row->flags, "%s", row->name);
	if (!row->flags)
		return;
	want_size = reset_build(row, size, want);
	cr_expect(frame_equal(row->name, out, out_size, want, want_size), "%s: another packet", row->name);
}

void run_resets(const struct reset_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		run_reset(&rows[i], XDP_OUTSIDE);
		run_reset(&rows[i], XDP_OUTSIDE_SLOW);
	}
	cr_expect_eq(sessions_of(SUBSCRIBER), 0);
}

static int take(void *arg, void *data, size_t size)
{
	struct taken *t = arg;

	cr_assert_eq(size, sizeof(t->last));
	memcpy(&t->last, data, size);
	t->n++;
	return 0;
}

unsigned handed_over(struct taken *t)
{
	struct ring_buffer *ring = ring_buffer__new(datapath.unsolicited_syns, take, t, NULL);

	t->n = 0;
	ring_buffer__consume(ring);
	ring_buffer__free(ring);
	return t->n;
}
