/* SPDX-License-Identifier: BSD-2-Clause */
/* Interfaces that detnat is to share with other XDP programs, by libxdp's dispatcher. */
#include <linux/bpf.h>

#include "attach/share.h"
#include "base/base.h"
#include "base/text.h"
#include "diagnosis/doctor_private.h"

/* The longest MTU that a driver with pages of 4096 octets is sure to take without frags. */
#define MTU_WITHOUT_FRAGS 3498U

static bool runs_before(const struct share_answer *a, unsigned number, uint8_t priority)
{
	for (unsigned i = 0; i < a->n_programs; i++)
		if (a->program[i].own)
			return number < i;
	return a->program[number].priority <= priority;
}

static void say_program(struct doctor *d, const struct link *l, const struct share_program *p, bool before)
{
	if (before && !(p->chain & 1U << XDP_PASS))
		doctor_say(d, DOCTOR_FAILURE,
			   "%s: %s (priority %u) runs before detnat and does not pass packets on: its chain lacks "
			   "XDP_PASS, so NAT sees none; load it with XDP_PASS, or behind detnat",
			   l->name, QUOTED(p->name), p->priority);
	else if (before)
		doctor_say(d, DOCTOR_OK,
			   "%s: %s (priority %u) runs before NAT; what it sends itself (XDP_TX, XDP_REDIRECT) passes "
			   "NAT and the guard by",
			   l->name, QUOTED(p->name), p->priority);
	else
		doctor_say(d, DOCTOR_OK,
			   "%s: %s (priority %u) runs behind NAT, and sees what that leaves to the kernel", l->name,
			   QUOTED(p->name), p->priority);
	if (!p->frags && l->mtu > MTU_WITHOUT_FRAGS)
		doctor_say(d, DOCTOR_WARNING,
			   "%s: %s takes no frags, so libxdp's dispatcher takes none, and with the MTU of %u it "
			   "may not "
			   "attach",
			   l->name, QUOTED(p->name), l->mtu);
}

static void examine(struct doctor *d, const struct link *l, const struct xdp_wish *wish)
{
	struct share_answer a;
	struct error err;
	int r = share_try(NULL, l, wish, &a, &err);
	bool automatic = wish->mode == XDP_MODE_AUTO;

	if (r)
		doctor_say(d, automatic ? DOCTOR_WARNING : DOCTOR_FAILURE, "%s%s", err.text,
			   automatic ? "; until then tc translates there, without XDP" : "");
	else
		doctor_say(d, DOCTOR_OK, "%s: detnat-xdp can put detnat under libxdp's dispatcher, priority %u",
			   l->name, wish->priority);
	if (a.unpinned)
		doctor_say(d, DOCTOR_WARNING,
			   "%s: libxdp's pins of its dispatcher are gone: it changes nothing there until 'xdp-loader "
			   "unload "
			   "%s --all'",
			   l->name, l->name);
	for (unsigned i = 0; i < a.n_programs; i++)
		/* NULL: none is known as detnat's, but the agent's has its name and its priority. */
		if (!is_entry_program(a.program[i].name))
			say_program(d, l, &a.program[i], runs_before(&a, i, wish->priority));
}

void doctor_shared(struct doctor *d)
{
	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const struct config_interface *c = &d->config->interfaces[i];
		struct xdp_wish wish = config_interface_xdp(c, config_xdp(d->config));
		const struct link *l = doctor_link(d, c);

		if (l && wish.dispatcher == DISPATCHER_LIBXDP && !xdp_mode_is_without(wish.mode))
			examine(d, l, &wish);
	}
}
