/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attaches the tc programs by tcx links where there are any (attach/tcx.h), else as filters of a clsact qdisc. A filter
 * that a former version has left gives way to a link with no packet untranslated or translated twice: tc_attach() has
 * the link keep packets from it, and tc_settle() removes it.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <string.h>

#include "attach/attach.h"
#include "attach/tcx.h"

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
	} ours[] = { INGRESS_ENTRY_PROGRAMS(X){ PIN_TC_PROGRAM, PIN_TC_PROGRAM ":[" },
		     { PIN_INTO_VRF, PIN_INTO_VRF ":[" } };
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

const char *tc_side_name(enum tc_side side)
{
	return side == TC_EGRESS ? "egress" : "ingress";
}

static enum bpf_tc_attach_point attach_point(enum tc_side side)
{
	return side == TC_EGRESS ? BPF_TC_EGRESS : BPF_TC_INGRESS;
}

bool tc_is_filter(struct netlink *n, uint32_t ifindex, enum tc_side side)
{
	return query(n, ifindex, side).ours;
}

uint32_t tc_attached(struct netlink *n, const struct own_programs *own, uint32_t ifindex, enum tc_side side)
{
	uint32_t linked = tcx_program(own->pin_path, ifindex, side);
	struct filter f;

	if (linked)
		return linked;
	f = query(n, ifindex, side);
	return f.ours ? f.id : 0;
}

uint32_t tc_translates(struct netlink *n, const struct own_programs *own, uint32_t ifindex, enum tc_side side)
{
	return tcx_in_front(own->pin_path, ifindex, side) ? 0 : tc_attached(n, own, ifindex, side);
}

struct foreign {
	const struct own_programs *own;
	uint32_t known; /* the program of the pinned link */
	uint32_t id;
	char name[BPF_OBJ_NAME_LEN];
};

/* Recognising them by name needs CAP_SYS_ADMIN, like everything about a program that is not pinned here. */
static int visit_program(uint32_t id, void *arg)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);
	struct foreign *f = arg;

	if (id == f->known || own_programs_has(f->own, id))
		return 0;

	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) || !is_entry_program(info.name))
		return 0;
	f->id = id;
	memcpy(f->name, info.name, sizeof(f->name));
	return 1;
}

/* A program of detnat's at the ingress that is not of this pin path. */
static bool find_foreign(struct netlink *n, uint32_t ifindex, const struct own_programs *own, struct foreign *ret)
{
	struct filter f = query(n, ifindex, TC_INGRESS);

	*ret = (struct foreign){ .own = own, .known = tcx_program(own->pin_path, ifindex, TC_INGRESS) };
	if (f.ours && !own_programs_has(own, f.id)) {
		ret->id = f.id;
		snprintf(ret->name, sizeof(ret->name), "%s", f.ours);
		return true;
	}
	return tcx_visit_programs(ifindex, TC_INGRESS, visit_program, ret);
}

bool tc_is_foreign(struct netlink *n, uint32_t ifindex, const struct own_programs *own)
{
	struct foreign f;

	return find_foreign(n, ifindex, own, &f);
}

int tc_check(struct netlink *n, const struct link *l, const struct own_programs *own, struct error *err)
{
	struct foreign f;

	return find_foreign(n, l->ifindex, own, &f) ? own_programs_refuse(l->name, f.name, f.id, err) : 0;
}

static int report(const struct link *l, enum tc_side side, int r, const char *message, struct error *err)
{
	if (r == -ENODEV)
		return error_set(err, r, "%s: the interface is gone", l->name);
	return error_set(err, r, "%s: the tc program cannot be attached at its %s: %s%s%s", l->name, tc_side_name(side),
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

static int add_filter(struct netlink *n, const struct link *l, enum tc_side side, struct bpf_tc_opts *opts,
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

static int attach_filter(struct netlink *n, const struct link *l, enum tc_side side, int fd, bool *ret_made_clsact,
			 struct error *err)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = tc_handle(side), .priority = TC_PRIORITY, .prog_fd = fd);
	struct filter present = query(n, l->ifindex, side);

	if (present.id && present.id == program_id(fd))
		return 0;
	if (present.id && !present.ours)
		return error_set(err, -EBUSY,
				 "%s: another tc filter is in place at %s pref %u handle %u (program id %u); "
				 "take it off with `tc filter del dev %s %s pref %u`",
				 l->name, tc_side_name(side), TC_PRIORITY, tc_handle(side), present.id, l->name,
				 tc_side_name(side), TC_PRIORITY);
	if (present.id)
		opts.flags = BPF_TC_F_REPLACE;
	return add_filter(n, l, side, &opts, ret_made_clsact, err);
}

bool tc_make_clsact(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_EGRESS);
	int r;

	kernel_message_begin();
	r = bpf_tc_hook_create(&hook);
	kernel_message_end();
	return !r;
}

int tc_attach(struct netlink *n, const struct own_programs *own, const struct link *l, enum tc_side side, int fd,
	      bool *ret_made_clsact, struct error *err)
{
	int r;

	if (fd < 0)
		return error_set(err, -EBADF, "%s: there is no tc program to attach", l->name);
	if (!own->by_links) {
		r = attach_filter(n, l, side, fd, ret_made_clsact, err);
		/* Of an agent whose pins outlived it. */
		return r ? r : tcx_detach(own->pin_path, l->ifindex, side);
	}
	kernel_message_begin();
	r = tcx_attach(own->pin_path, l->ifindex, side, fd, tc_is_filter(n, l->ifindex, side));
	kernel_message_end();
	return r ? report(l, side, r, "", err) : 0;
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

static int remove_filter(struct netlink *n, uint32_t ifindex, enum tc_side side, bool made_clsact)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = attach_point(side));
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = tc_handle(side), .priority = TC_PRIORITY);
	bool ours = tc_is_filter(n, ifindex, side);
	int r = 0;

	kernel_message_begin();
	if (ours)
		r = bpf_tc_detach(&hook, &opts);
	if (!r && made_clsact && !clsact_in_use(n, ifindex)) {
		hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		r = bpf_tc_hook_destroy(&hook);
		/* Another program has deleted it. */
		r = r == -EINVAL ? 0 : r;
	}
	kernel_message_end();
	return r == -ENODEV ? 0 : r;
}

int tc_settle(struct netlink *n, const struct own_programs *own, const struct link *l, enum tc_side side, int fd,
	      struct error *err)
{
	int r;

	if (fd < 0 || !own->by_links || !tc_is_filter(n, l->ifindex, side))
		return 0;
	/* The qdisc stays: the kernel drops what is being sent while one goes. */
	r = remove_filter(n, l->ifindex, side, false);
	if (!r)
		r = tcx_attach(own->pin_path, l->ifindex, side, fd, false);
	return r ? report(l, side, r, "", err) : 0;
}

int tc_detach(struct netlink *n, const struct own_programs *own, uint32_t ifindex, enum tc_side side, bool made_clsact)
{
	int linked = tcx_detach(own->pin_path, ifindex, side), r = remove_filter(n, ifindex, side, made_clsact);

	return r ? r : linked;
}
