/* SPDX-License-Identifier: BSD-2-Clause */
#include "attach/share.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>

#include "attach/attach.h"
#include "attach/share_private.h"
#include "base/log.h"
#include "base/text.h"
#include "datapath/bpffs.h"

/* The pin under which a new link waits until it replaces the former one. */
#define PIN_NEXT "next_" PIN_SHARE

static const struct share_program *own_of(const struct share_answer *a)
{
	for (unsigned i = 0; i < a->n_programs; i++)
		if (a->program[i].own)
			return &a->program[i];
	return NULL;
}

/* The program before detnat's that does not pass packets on; NULL: there is none. */
static const struct share_program *blocking(const struct share_answer *a)
{
	for (unsigned i = 0; i < a->n_programs && !a->program[i].own; i++)
		if (!(a->program[i].chain & 1U << XDP_PASS))
			return &a->program[i];
	return NULL;
}

static int check_reached(const struct link *l, const struct share_answer *a, struct error *err)
{
	const struct share_program *before = blocking(a);

	if (!before)
		return 0;
	return error_set(err, -EHOSTUNREACH,
			 "%s: %s (priority %u), which runs before detnat, does not pass packets on: its chain lacks "
			 "XDP_PASS; load it with XDP_PASS in its chain, or with a priority above detnat's",
			 l->name, QUOTED(before->name), before->priority);
}

/* The reason of a failure, with the name of the interface before it. */
static int name_it(const struct link *l, int r, const struct error *why, struct error *err)
{
	return error_set(err, r, "%s: %.400s", l->name, why->text);
}

int share_look(const struct datapath *d, uint32_t ifindex, struct share_answer *ret, struct error *err)
{
	return share_ask(d, (struct share_request){ .kind = SHARE_LIST, .ifindex = ifindex }, ret, NULL, err);
}

static uint8_t mode_of(enum xdp_mode mode)
{
	return mode == XDP_MODE_NATIVE ? SHARE_NATIVE : mode == XDP_MODE_SKB ? SHARE_SKB : SHARE_ANY;
}

int share_try(const struct datapath *d, const struct link *l, const struct xdp_wish *wish, struct share_answer *ret,
	      struct error *err)
{
	struct error why = { 0 };
	int r = share_ask(
		d,
		(struct share_request){
			.kind = SHARE_LIST, .ifindex = l->ifindex, .mode = mode_of(wish->mode), .flags = SHARE_TRY },
		ret, NULL, &why);

	return r ? name_it(l, r, &why, err) : 0;
}

struct pin_search {
	const char *pin_dir;
	uint32_t ifindex;
	const char *kept; /* name; NULL: none */
};

static int visit_pin(const char *name, void *arg)
{
	const struct pin_search *s = arg;
	char path[PATH_MAX], prefix[32];

	snprintf(prefix, sizeof(prefix), PIN_SHARE "_%u_", s->ifindex);
	if (!strncmp(name, prefix, strlen(prefix)) && (!s->kept || strcmp(name, s->kept) != 0) &&
	    (size_t)snprintf(path, sizeof(path), "%s/%s", s->pin_dir, name) < sizeof(path))
		unlink(path);
	return 0;
}

static void unpin(const struct datapath *d, uint32_t ifindex, const char *kept)
{
	directory_visit(d->pin_dir, visit_pin, &(struct pin_search){ d->pin_dir, ifindex, kept });
}

/* Pins a link, in place of the former one, and enters it in own. */
static int hold(const struct datapath *d, uint32_t ifindex, int link, enum entry entry, uint8_t priority,
		struct own_programs *own)
{
	char name[64], path[PATH_MAX], next[PATH_MAX];
	int r;

	snprintf(name, sizeof(name), PIN_SHARE "_%u_%u_%u", ifindex, entry, priority);
	snprintf(path, sizeof(path), "%s/%s", d->pin_dir, name);
	snprintf(next, sizeof(next), "%s/" PIN_NEXT "_%u", d->pin_dir, ifindex);
	unlink(next);
	r = bpf_obj_pin(link, next) ? -errno : 0;
	if (!r && rename(next, path))
		r = -errno;
	if (r)
		return r;
	unpin(d, ifindex, name);
	return own_programs_add_share(own, link, ifindex, (uint8_t)entry, priority);
}

void share_forget(const struct datapath *d, uint32_t ifindex, struct own_programs *own)
{
	const struct own_program *share;

	while ((share = own_programs_share(own, ifindex)) != NULL) {
		if (share->layout == LAYOUT_VERSION)
			unpin(d, ifindex, NULL);
		own_programs_del_share(own, ifindex, share->layout);
	}
}

/* Whether another mode than the first could help after a failure: where the driver or the MTU allows no native XDP. */
static bool may_be_generic(int r)
{
	return r == -EOPNOTSUPP || r == -ERANGE || r == -EINVAL;
}

/* One attempt, in one mode. */
static int ask_attach(const struct datapath *d, const struct link *l, enum entry entry, const struct xdp_wish *wish,
		      enum share_mode mode, struct own_programs *own, struct error *err)
{
	const struct share_request q = { .kind = SHARE_ATTACH,
					 .ifindex = l->ifindex,
					 .mode = (uint8_t)mode,
					 .entry = (uint8_t)entry,
					 .priority = wish->priority };
	_cleanup_close_ int link = -1;
	struct share_answer a;
	struct error why = { 0 };
	int r = share_ask(d, q, &a, &link, &why);

	if (r)
		return name_it(l, r, &why, err);
	if (link < 0)
		return error_set(err, -EAGAIN, "%s: detnat's program did not stay under libxdp's dispatcher", l->name);
	r = check_reached(l, &a, err);
	if (r) {
		share_ask(d, (struct share_request){ .kind = SHARE_DETACH, .ifindex = l->ifindex }, &a, NULL, NULL);
		return r;
	}
	r = hold(d, l->ifindex, link, entry, wish->priority, own);
	return r ? error_set(err, r, "%s: the link to libxdp's dispatcher cannot be kept: %s", l->name, strerror(-r))
		 : 0;
}

/* The mode of what is on the interface, where the wish leaves it open. */
static bool begins_native(const struct link *l, const struct xdp_wish *wish)
{
	return wish->mode != XDP_MODE_SKB && (wish->mode == XDP_MODE_NATIVE || l->xdp.attached != XDP_ATTACHED_SKB);
}

static int attach_in_some_mode(const struct datapath *d, const struct link *l, enum entry entry,
			       const struct xdp_wish *wish, struct own_programs *own, bool *ret_native,
			       struct error *err)
{
	bool native = begins_native(l, wish);
	struct error first = { 0 };
	int r = ask_attach(d, l, entry, wish, native ? SHARE_NATIVE : SHARE_SKB, own, &first);

	if (native && wish->mode == XDP_MODE_AUTO && may_be_generic(r) && !xdp_check_merged(l, err)) {
		if (!ask_attach(d, l, entry, wish, SHARE_SKB, own, err)) {
			log_info("%s; using generic XDP, which is slower", first.text);
			*ret_native = false;
			return 0;
		}
	}
	if (r)
		return error_set(err, r, "%s", first.text);
	*ret_native = native;
	return 0;
}

static bool is_there(const struct link *l, enum entry entry, const struct xdp_wish *wish,
		     const struct own_programs *own)
{
	const struct own_program *share = own_programs_share(own, l->ifindex);
	bool native = l->xdp.attached == XDP_ATTACHED_DRV;

	return share && share->layout == LAYOUT_VERSION && share->id == l->xdp.prog_id && share->entry == entry &&
	       share->priority == wish->priority &&
	       !(native ? wish->mode == XDP_MODE_SKB : wish->mode == XDP_MODE_NATIVE);
}

/* The program that is alone there, to restore it; -1: none. */
static int open_alone(const struct link *l, const struct own_programs *own)
{
	if (!l->xdp.prog_id || own_programs_shares(own, l->ifindex, l->xdp.prog_id) ||
	    !own_programs_has(own, l->xdp.prog_id))
		return -1;
	return own_programs_open(own, l->xdp.prog_id);
}

int share_attach(const struct datapath *d, const struct link *l, enum entry entry, const struct xdp_wish *wish,
		 struct own_programs *own, bool *ret_native, struct error *err)
{
	_cleanup_close_ int alone = open_alone(l, own);
	bool was_native = l->xdp.attached == XDP_ATTACHED_DRV;
	struct link bare = *l;
	bool ignored;
	int r = 0;

	if (is_there(l, entry, wish, own)) {
		*ret_native = was_native;
		return 0;
	}
	if (alone >= 0) {
		r = xdp_detach(l, own);
		if (r)
			return error_set(err, r, "%s: its XDP program cannot be detached: %s", l->name, strerror(-r));
		bare.xdp = (struct link_xdp){ 0 };
	}
	r = attach_in_some_mode(d, &bare, entry, wish, own, ret_native, err);
	if (r && alone >= 0 &&
	    xdp_attach(&bare, alone, was_native ? XDP_MODE_NATIVE : XDP_MODE_SKB, own, &ignored, NULL))
		log_error("%s: the former XDP program cannot be attached again", l->name);
	return r;
}

bool share_renew(const struct datapath *d, const struct link *l, struct own_programs *own, struct share_answer *ret,
		 struct error *err)
{
	const struct own_program *share = own_programs_share(own, l->ifindex);
	_cleanup_close_ int link = -1;
	struct error why = { 0 };
	int r = share_ask(d, (struct share_request){ .kind = SHARE_LIST, .ifindex = l->ifindex }, ret, &link, &why);

	if (r) {
		name_it(l, r, &why, err);
		return false;
	}
	if (!share || share->layout != LAYOUT_VERSION || link < 0 || !own_of(ret)) {
		error_set(err, -ENOENT, "%s: detnat's program is not under libxdp's dispatcher", l->name);
		return false;
	}
	r = check_reached(l, ret, err);
	if (!r && share->id != ret->dispatcher)
		r = hold(d, l->ifindex, link, share->entry, share->priority, own);
	return !r;
}

/* Opens a map of the datapath of another layout beside d's; -1: there is none. */
static int open_beside(const struct datapath *d, uint32_t layout, const char *map)
{
	char path[PATH_MAX];
	int length = (int)(strrchr(d->pin_dir, '/') - d->pin_dir);

	if ((size_t)snprintf(path, sizeof(path), "%.*s/v%u/%s", length, d->pin_dir, layout, map) >= sizeof(path))
		return -1;
	return bpf_obj_get(path);
}

/* Asks for the removal of what jumps through the maps of d. */
static int ask_detach(const struct datapath *d, uint32_t ifindex, struct error *err)
{
	struct share_answer a;
	int r;

	if (d->entries < 0 || d->counters < 0)
		return error_set(err, -ENOENT, "the maps are gone by which detnat's component is found");
	r = share_ask(d, (struct share_request){ .kind = SHARE_DETACH, .ifindex = ifindex }, &a, NULL, err);
	return r == -ENODEV ? 0 : r;
}

bool share_is_apart(const struct datapath *d, const struct own_program *share)
{
	_cleanup_close_ int entries = -1;

	if (share->layout == LAYOUT_VERSION)
		return false;
	entries = open_beside(d, share->layout, "entries");
	return entries >= 0 && map_id(entries) != map_id(d->entries);
}

static const struct own_program *share_of_another_layout(const struct own_programs *own, uint32_t ifindex)
{
	for (size_t i = 0; i < own->count; i++)
		if (own->program[i].shared == ifindex && own->program[i].layout != LAYOUT_VERSION)
			return &own->program[i];
	return NULL;
}

int share_detach_former(const struct datapath *d, uint32_t ifindex, struct own_programs *own, struct error *err)
{
	const struct own_program *former;
	int r = 0;

	while (!r && ifindex && (former = share_of_another_layout(own, ifindex)) != NULL) {
		_cleanup_close_ int entries = open_beside(d, former->layout, "entries");
		_cleanup_close_ int counters = open_beside(d, former->layout, "counters");
		const struct datapath other = { .entries = entries, .counters = counters };

		/* Else it is the present one: the datapaths have that map in common. */
		r = share_is_apart(d, former) ? ask_detach(&other, ifindex, err) : 0;
		if (!r)
			own_programs_del_share(own, ifindex, former->layout);
	}
	return r;
}

int share_detach_present(const struct datapath *d, uint32_t ifindex, struct own_programs *own, struct error *err)
{
	const struct own_program *share = own_programs_share(own, ifindex);
	int r;

	if (!share || share->layout != LAYOUT_VERSION)
		return 0;
	r = ask_detach(d, ifindex, err);
	if (r)
		return r;
	unpin(d, ifindex, NULL);
	own_programs_del_share(own, ifindex, LAYOUT_VERSION);
	return 0;
}

int share_detach(const struct datapath *d, uint32_t ifindex, struct own_programs *own, struct error *err)
{
	bool any = own_programs_share(own, ifindex);
	int r = share_detach_former(d, ifindex, own, err);

	/* Also one that this datapath has taken over, and whose link it has not pinned yet. */
	if (!r && any)
		r = ask_detach(d, ifindex, err);
	if (r || !any)
		return r;
	unpin(d, ifindex, NULL);
	own_programs_del_share(own, ifindex, LAYOUT_VERSION);
	return 0;
}

void share_detach_stray(const struct datapath *d, const struct link *l, const struct own_programs *own)
{
	if (l->xdp.prog_id && !own_programs_has(own, l->xdp.prog_id) && !own_programs_share(own, l->ifindex) &&
	    !xdp_is_of_detnat(l))
		ask_detach(d, l->ifindex, NULL);
}

int share_leave(const struct datapath *d, const struct link *l, struct own_programs *own, struct error *err)
{
	struct share_answer a;
	struct error why = { 0 };
	int r = share_look(d, l->ifindex, &a, &why);

	for (unsigned i = 0; !r && i < a.n_programs; i++)
		if (!a.program[i].own)
			return error_set(err, -EBUSY,
					 "%s: libxdp's dispatcher also runs %s there, beside which detnat cannot be "
					 "alone: leave 'xdp_dispatcher' at \"libxdp\", or unload the others first, "
					 "'xdp-loader status %s' lists them",
					 l->name, QUOTED(a.program[i].name), l->name);
	if (!r)
		r = share_detach(d, l->ifindex, own, &why);
	return r ? name_it(l, r, &why, err) : 0;
}
