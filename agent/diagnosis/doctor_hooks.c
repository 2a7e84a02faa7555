/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs of others at tcx that run before detnat's, and keep from it what they accept. */
#include "attach/attach.h"
#include "diagnosis/doctor_private.h"

/* The program of others that runs before detnat's link or filter; 0: none. */
static uint32_t before_own(const struct doctor *d, uint32_t ifindex, enum tc_side side, bool *ret_filter)
{
	uint32_t id = tcx_in_front(d->config->pin_path, ifindex, side);

	*ret_filter =
		!id && !tcx_program(d->config->pin_path, ifindex, side) && tc_is_filter(d->netlink, ifindex, side);
	return *ret_filter ? tcx_first(ifindex, side) : id;
}

static bool say_front(struct doctor *d, const struct link *l, enum tc_side side)
{
	char name[BPF_OBJ_NAME_LEN];
	bool filter;
	uint32_t id = before_own(d, l->ifindex, side, &filter);

	if (!id)
		return false;
	doctor_say(d, DOCTOR_WARNING,
		   "%s: program \"%s\" (id %u) runs before detnat's at its %s, and packets that it accepts pass "
		   "untranslated; %s",
		   l->name, program_name(id, name), id, tc_side_name(side),
		   filter ? "detnat has a filter there, which cannot come before tcx programs: detach the program"
			  : "a running agent takes the first place again; without one, detach the program or start the "
			    "agent");
	return true;
}

void doctor_hooks(struct doctor *d)
{
	unsigned found = 0;

	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const struct link *l = doctor_link(d, &d->config->interfaces[i]);

		for (enum tc_side side = 0; l && side < N_TC_SIDES; side++)
			found += say_front(d, l, side);
	}
	if (!found && tcx_is_supported() && !tcx_wanted(d->config->pin_path))
		doctor_say(
			d, DOCTOR_WARNING,
			"pins in %s end with this mount namespace or container, so detnat's programs at tc are "
			"filters: tcx programs of others run before them, and whoever deletes the clsact qdisc takes "
			"them away, which nothing notices while no agent runs",
			d->config->pin_path);
	else if (!found && tcx_is_supported())
		doctor_say(d, DOCTOR_OK,
			   "no tcx program runs before detnat's; while no agent runs, nothing notices one that is "
			   "attached in front of them later");
	else if (!found)
		doctor_say(d, DOCTOR_OK, "this kernel has no tcx");
}
