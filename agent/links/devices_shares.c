/* SPDX-License-Identifier: BSD-2-Clause */
/* Follows what happens under libxdp's dispatcher on the interfaces that detnat shares with other XDP programs. */
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>

#include "base/log.h"
#include "links/devices_private.h"

bool devices_is_shared(const struct interface *i)
{
	return i->xdp.dispatcher == DISPATCHER_LIBXDP && !i->carrier && !i->without_xdp[0];
}

static struct share_seen *find(const struct devices *v, uint32_t ifindex)
{
	for (size_t k = 0; ifindex && k < v->n_seen; k++)
		if (v->seen[k].ifindex == ifindex)
			return &v->seen[k];
	return NULL;
}

/* Notes what an interface runs; warns once where libxdp's pins are gone. */
static void note(struct devices *v, const struct interface *i, const struct share_answer *a)
{
	struct share_seen *seen = find(v, i->link.ifindex);

	if (!seen) {
		seen = reallocarray(v->seen, v->n_seen + 1, sizeof(*seen));
		if (!seen)
			return;
		v->seen = seen;
		seen = &v->seen[v->n_seen++];
		*seen = (struct share_seen){ .ifindex = i->link.ifindex };
	}
	seen->answer = *a;
	if (a->unpinned && !seen->told_unpinned)
		log_warning(
			"%s: libxdp's pins of its dispatcher are gone ('xdp-loader clean' in another network namespace "
			"removes them): detnat's program stays, held by the agent, but libxdp changes nothing there "
			"until 'xdp-loader unload %s --all'",
			i->name, i->link.name);
	seen->told_unpinned = a->unpinned;
}

/* Drops what was noted about interfaces that are no longer shared. */
static void forget_others(struct devices *v)
{
	size_t kept = 0;

	for (size_t k = 0; k < v->n_seen; k++)
		if (own_programs_share(&v->own, v->seen[k].ifindex))
			v->seen[kept++] = v->seen[k];
	v->n_seen = kept;
}

bool devices_share_stays(struct devices *v, const struct interface *i, const struct link *l)
{
	struct share_answer a;
	struct error err = { 0 };

	if (!devices_is_shared(i) || !interface_has_xdp(i) || !l->xdp.prog_id ||
	    !own_programs_share(&v->own, l->ifindex) || own_programs_shares(&v->own, l->ifindex, l->xdp.prog_id))
		return false;
	if (!share_renew(v->datapath, l, &v->own, &a, &err)) {
		log_warning("%s", err.text);
		return false;
	}
	note(v, i, &a);
	log_info("%s: the programs under libxdp's dispatcher have changed, detnat's is in its place", i->name);
	return true;
}

void devices_see_shares(struct devices *v, bool again)
{
	forget_others(v);
	for (size_t k = 0; k < v->interfaces.count; k++) {
		const struct interface *i = &v->interfaces.list[k];
		const struct share_seen *seen = find(v, i->link.ifindex);
		const struct own_program *share = own_programs_share(&v->own, i->link.ifindex);
		struct share_answer a;
		struct error err;

		if (!devices_is_shared(i) || !share || (!again && seen && seen->answer.dispatcher == share->id))
			continue;
		if (share_look(v->datapath, i->link.ifindex, &a, &err))
			log_debug("%s: %s", i->name, err.text);
		else if (a.dispatcher == share->id)
			note(v, i, &a);
	}
}

bool devices_changes_share(const struct devices *v, const struct interface *i)
{
	const struct link *l = &i->link;
	bool shared = own_programs_shares(&v->own, l->ifindex, l->xdp.prog_id);
	bool native = l->xdp.attached == XDP_ATTACHED_DRV;

	if (!l->xdp.prog_id || !own_programs_has(&v->own, l->xdp.prog_id) || i->without_xdp[0])
		return false;
	if (shared == (i->xdp.dispatcher == DISPATCHER_LIBXDP) &&
	    (!shared || !(native ? i->xdp.mode == XDP_MODE_SKB : i->xdp.mode == XDP_MODE_NATIVE)))
		return false;
	log_warning("%s: for the change of %s there is a moment without its XDP program, in which the guard holds back "
		    "packets of subscribers",
		    i->name, shared == (i->xdp.dispatcher == DISPATCHER_LIBXDP) ? "'xdp_mode'" : "'xdp_dispatcher'");
	return true;
}

int devices_xdp_off(struct devices *v, const struct interface *i, struct error *err)
{
	int r;

	if (own_programs_share(&v->own, i->link.ifindex)) {
		struct error why = { 0 };

		r = share_detach(v->datapath, i->link.ifindex, &v->own, &why);
		return r ? error_set(err, r, "%s: %.400s", i->name, why.text) : 0;
	}
	r = xdp_detach(&i->link, &v->own);
	return r ? error_set(err, r, "%s: its XDP program cannot be detached: %s", i->name, strerror(-r)) : 0;
}

const struct share_answer *devices_share_of(const struct devices *v, const struct interface *i)
{
	const struct share_seen *seen = i ? find(v, i->link.ifindex) : NULL;

	return seen && devices_is_shared(i) && own_programs_share(&v->own, seen->ifindex) ? &seen->answer : NULL;
}
