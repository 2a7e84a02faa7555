// SPDX-License-Identifier: BSD-2-Clause
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <net/if.h>
#include <string.h>

#include "told_routes.h"
#include "vlan_fixture.h"

#define ADDRESSES 12 /* octets of a frame before its tags */

uint32_t below_inside, below_outside;

void describe_vlan(uint32_t ifindex, uint32_t lower, uint16_t tpid, uint16_t id)
{
	struct vlan_key key = { .lower = lower, .tpid = tpid, .id = id };
	struct device *d = &datapath.device[ifindex];

	cr_assert_eq(bpf_map_update_elem(datapath.vlans, &key, &ifindex, BPF_ANY), 0);
	d->lower = lower;
	d->tag_tpid = tpid;
	d->tag_id = id;
	d->flags = DEVICE_TAGGED;
	datapath.device[lower].mtu = 1500;
	datapath_raise_epoch(&datapath);
}

void set_up_vlans(void)
{
	set_up();
	stay_on_one_core();
	below_inside = if_nametoindex("pin");
	below_outside = if_nametoindex("pout");
	cr_assert_eq(datapath_add_port(&datapath, below_inside), 0);
	cr_assert_eq(datapath_add_port(&datapath, below_outside), 0);
	describe_vlan(inside_ifindex, below_inside, Q, 100);
	describe_vlan(outside_ifindex, below_outside, AD, 200);
}

size_t frame_tagged(const struct frame *f, const struct tag tags[3], uint8_t *buffer)
{
	size_t size = frame_build(f, buffer), at = ADDRESSES;

	for (int i = 0; i < 3 && tags[i].tpid; i++) {
		const uint8_t tag[] = { (uint8_t)(tags[i].tpid >> 8), (uint8_t)tags[i].tpid,
					(uint8_t)(tags[i].tci >> 8), (uint8_t)tags[i].tci };

		memmove(buffer + at + sizeof(tag), buffer + at, size - at);
		memcpy(buffer + at, tag, sizeof(tag));
		at += sizeof(tag);
		size += sizeof(tag);
	}
	return size;
}

int run_below(enum hook hook, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size)
{
	return run_frame_on(hook == XDP_INSIDE ? below_inside : below_outside, hook, in, size, out, ret_size);
}

void run_tagged(const struct tagged_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct tagged_row *row = &rows[i];
		uint8_t in[FRAME_MAX + 12], out[FRAME_MAX], want[FRAME_MAX + 12];
		size_t size = frame_tagged(&row->in, row->in_tags, in), out_size;
		size_t want_size = row->out.proto ? frame_tagged(&row->out, row->out_tags, want)
						  : frame_tagged(&row->in, row->in_tags, want);
		uint64_t before = counted(row->reason);
		int verdict;

		refresh_followed_routes();
		verdict = run_below(row->hook, in, size, out, &out_size);

		cr_expect_eq(verdict, row->verdict, "%s: verdict %d, not %d", row->name, verdict, row->verdict);
		cr_expect_eq(counted(row->reason), before + 1, "%s: not counted as it should be", row->name);
		if (row->verdict != DROP_XDP)
			cr_expect(frame_equal(row->name, out, out_size, want, want_size), "%s: another packet",
				  row->name);
	}
}

void run_tagged_counted(const struct tagged_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct tagged_row *row = &rows[i];
		uint8_t in[FRAME_MAX + 12], out[FRAME_MAX], want[FRAME_MAX + 12];
		size_t size = frame_tagged(&row->in, row->in_tags, in), out_size;
		size_t want_size = row->out.proto ? frame_tagged(&row->out, row->out_tags, want)
						  : frame_tagged(&row->in, row->in_tags, want);

		run_frame_counted(row->name, row->hook, in, size, out, &out_size, row->verdict, row->reason);
		cr_expect(frame_equal(row->name, out, out_size, want, want_size), "%s: another packet", row->name);
	}
}
