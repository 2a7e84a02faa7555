/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <string.h>

#include "attach/attach.h"

/* A cls_bpf filter. */
struct filter {
	uint32_t id;	  /* of its program; 0: no such filter */
	const char *ours; /* the name of its program, if that is one of detnat's; else NULL */
};

/* libbpf names a filter after its program: NAME:[ID]. Returns the name if the program is one of detnat's. */
static const char *our_name(const struct nlattr *name)
{
#define X(name, ...) { #name, #name ":[" },
	static const struct {
		const char *program, *begin;
	} ours[] = { TC_ENTRY_PROGRAMS(X){ PIN_TC_PROGRAM, PIN_TC_PROGRAM ":[" }, { PIN_INTO_VRF, PIN_INTO_VRF ":[" } };
#undef X

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (netlink_begins(name, ours[i].begin))
			return ours[i].program;
	return NULL;
}

static void visit_filter(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *attr[TCA_OPTIONS + 1], *option;
	struct filter *f = arg;

	if (h->nlmsg_type != RTM_NEWTFILTER)
		return;
	netlink_attributes(h, sizeof(struct tcmsg), attr, ARRAY_SIZE(attr));
	if (!netlink_is(attr[TCA_KIND], "bpf") || !attr[TCA_OPTIONS])
		return;
	mnl_attr_for_each_nested(option, attr[TCA_OPTIONS])
	{
		if (mnl_attr_get_type(option) == TCA_BPF_ID)
			f->id = netlink_u32(option);
		else if (mnl_attr_get_type(option) == TCA_BPF_NAME)
			f->ours = our_name(option);
	}
}

/* Any filter in detnat's place. */
static struct filter query(struct netlink *n, uint32_t ifindex, enum tc_side side)
{
	struct nlmsghdr *h = netlink_request(n, RTM_GETTFILTER, 0, sizeof(struct tcmsg));
	struct tcmsg *tc = mnl_nlmsg_get_payload(h);
	struct filter found = { 0 };

	tc->tcm_ifindex = (int)ifindex;
	tc->tcm_parent = TC_H_MAKE(TC_H_CLSACT, side == TC_EGRESS ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
	tc->tcm_info = TC_H_MAKE(TC_PRIORITY << 16, htons(ETH_P_ALL));
	tc->tcm_handle = tc_handle(side);
	mnl_attr_put_strz(h, TCA_KIND, "bpf");
	if (netlink_call(n, visit_filter, &found))
		return (struct filter){ 0 };
	return found;
}

static const char *side_name(enum tc_side side)
{
	return side == TC_EGRESS ? "egress" : "ingress";
}

static enum bpf_tc_attach_point attach_point(enum tc_side side)
{
	return side == TC_EGRESS ? BPF_TC_EGRESS : BPF_TC_INGRESS;
}

uint32_t tc_attached(struct netlink *n, uint32_t ifindex, enum tc_side side)
{
	struct filter f = query(n, ifindex, side);

	return f.ours ? f.id : 0;
}

int tc_check(struct netlink *n, const struct link *l, const struct own_programs *own, struct error *err)
{
	struct filter f = query(n, l->ifindex, TC_INGRESS);

	return f.ours && !own_programs_has(own, f.id) ? own_programs_refuse(l->name, f.ours, f.id, err) : 0;
}

static int report(const struct link *l, enum tc_side side, int r, const char *message, struct error *err)
{
	if (r == -ENODEV)
		return error_set(err, r, "%s: the interface is gone", l->name);
	return error_set(err, r, "%s: the tc program cannot be attached at its %s: %s%s%s", l->name, side_name(side),
			 strerror(-r), *message ? ": " : "", message);
}

static void visit_qdisc(const struct nlmsghdr *h, void *arg)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[TCA_KIND + 1];
	struct tcmsg *wanted = arg;

	/* The dump also contains other interfaces. */
	if (h->nlmsg_type != RTM_NEWQDISC || tc->tcm_ifindex != wanted->tcm_ifindex || tc->tcm_parent != TC_H_CLSACT)
		return;
	netlink_attributes(h, sizeof(*tc), attr, ARRAY_SIZE(attr));
	if (netlink_is(attr[TCA_KIND], "ingress"))
		wanted->tcm_parent = TC_H_INGRESS;
}

/*
 * Whether an `ingress` qdisc takes the place of clsact. The kernel would still accept an egress filter there, and run
 * it at the ingress.
 */
static bool has_ingress_qdisc(struct netlink *n, uint32_t ifindex)
{
	struct nlmsghdr *h = netlink_request(n, RTM_GETQDISC, NLM_F_DUMP, sizeof(struct tcmsg));
	struct tcmsg *tc = mnl_nlmsg_get_payload(h), found = { .tcm_ifindex = (int)ifindex };

	tc->tcm_ifindex = (int)ifindex;
	return !netlink_call(n, visit_qdisc, &found) && found.tcm_parent == TC_H_INGRESS;
}

static int attach_filter(struct netlink *n, const struct link *l, enum tc_side side, struct bpf_tc_opts *opts,
			 bool *ret_made_clsact, struct error *err)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)l->ifindex, .attach_point = BPF_TC_EGRESS);
	const char *message;
	int r = 0;

	kernel_message_begin();
	if (!(opts->flags & BPF_TC_F_REPLACE))
		r = bpf_tc_hook_create(&hook);
	hook.attach_point = attach_point(side);
	if (!r && !(opts->flags & BPF_TC_F_REPLACE))
		*ret_made_clsact = true;
	if (r == -EEXIST) {
		if (has_ingress_qdisc(n, l->ifindex)) {
			kernel_message_end();
			return error_set(
				err, -EBUSY,
				"%s: has an `ingress` qdisc, which leaves no room for `clsact`; replace it: `tc "
				"qdisc del dev %s ingress`, `tc qdisc add dev %s clsact`, then add its filters again",
				l->name, l->name, l->name);
		}
		r = 0;
	}
	if (!r)
		r = bpf_tc_attach(&hook, opts);
	message = kernel_message_end();
	return r ? report(l, side, r, message, err) : 0;
}

int tc_attach(struct netlink *n, const struct link *l, enum tc_side side, int fd, bool *ret_made_clsact,
	      struct error *err)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = tc_handle(side), .priority = TC_PRIORITY, .prog_fd = fd);
	struct filter present = query(n, l->ifindex, side);

	if (fd < 0)
		return error_set(err, -EBADF, "%s: there is no tc program to attach", l->name);
	if (present.id && present.id == program_id(fd))
		return 0;
	if (present.id && !present.ours)
		return error_set(err, -EBUSY,
				 "%s: another tc filter is in place at %s pref %u handle %u (program id %u); "
				 "take it off with `tc filter del dev %s %s pref %u`",
				 l->name, side_name(side), TC_PRIORITY, tc_handle(side), present.id, l->name,
				 side_name(side), TC_PRIORITY);
	if (present.id)
		opts.flags = BPF_TC_F_REPLACE;
	return attach_filter(n, l, side, &opts, ret_made_clsact, err);
}

static void visit_filters(const struct nlmsghdr *h, void *arg)
{
	if (h->nlmsg_type == RTM_NEWTFILTER)
		*(bool *)arg = true;
}

/* Whether the clsact qdisc has any filter; true if unknown. */
static bool clsact_in_use(struct netlink *n, uint32_t ifindex)
{
	static const uint32_t sides[] = { TC_H_MIN_INGRESS, TC_H_MIN_EGRESS };
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(sides); i++) {
		struct nlmsghdr *h = netlink_request(n, RTM_GETTFILTER, NLM_F_DUMP, sizeof(struct tcmsg));
		struct tcmsg *tc = mnl_nlmsg_get_payload(h);

		tc->tcm_ifindex = (int)ifindex;
		tc->tcm_parent = TC_H_MAKE(TC_H_CLSACT, sides[i]);
		if (netlink_call(n, visit_filters, &found) || found)
			return true;
	}
	return false;
}

int tc_detach(struct netlink *n, uint32_t ifindex, enum tc_side side, bool made_clsact)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = attach_point(side));
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = tc_handle(side), .priority = TC_PRIORITY);
	bool ours = tc_attached(n, ifindex, side);
	int r = 0;

	kernel_message_begin();
	if (ours)
		r = bpf_tc_detach(&hook, &opts);
	if (!r && made_clsact && !clsact_in_use(n, ifindex)) {
		hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		r = bpf_tc_hook_destroy(&hook);
	}
	kernel_message_end();
	return r == -ENODEV ? 0 : r;
}
