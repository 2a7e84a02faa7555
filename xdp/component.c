/* SPDX-License-Identifier: BSD-2-Clause */
/* Attaches detnat's entry program as a component of libxdp's dispatcher, and removes it. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <xdp/libxdp.h>
#include <xdp/prog_dispatcher.h>

#include <detnat/programs.h>

#include "detnat_shared.skel.h"
#include "helper.h"

/* The loopback interface of a new network namespace. */
#define LOOPBACK 1U

static const char *const names[N_ENTRIES] = {
	[ENTRY_INSIDE] = "xdp_inside",
	[ENTRY_OUTSIDE] = "xdp_outside",
	[ENTRY_BOTH] = "xdp_both",
};

static char last[256];

static void keep(const char *format, va_list ap)
{
	static const char prefix[] = "libxdp: ";
	char line[sizeof(last)];
	const char *text;

	vsnprintf(line, sizeof(line), format, ap);
	line[strcspn(line, "\n")] = '\0';
	text = strncmp(line, prefix, sizeof(prefix) - 1) ? line : line + sizeof(prefix) - 1;
	while (*text == ' ')
		text++;
	if (*text)
		snprintf(last, sizeof(last), "%s", text);
}

static int keep_libxdp(enum libxdp_print_level level, const char *format, va_list ap)
{
	if (level == LIBXDP_WARN)
		keep(format, ap);
	return 0;
}

static int keep_libbpf(enum libbpf_print_level level, const char *format, va_list ap)
{
	if (level == LIBBPF_WARN)
		keep(format, ap);
	return 0;
}

void complaints_begin(void)
{
	last[0] = '\0';
	libxdp_set_print(keep_libxdp);
	libbpf_set_print(keep_libbpf);
}

const char *complaint(void)
{
	return last;
}

/* An object with only one program to be loaded, around these maps; -1: maps of its own. NULL: errno says why not. */
static struct detnat_shared *open_object(const char *program, int entries, int counters)
{
	struct detnat_shared *o = detnat_shared__open();
	struct bpf_program *p;
	int r = o ? 0 : -errno;

	if (!o)
		return NULL;
	bpf_object__for_each_program(p, o->obj) bpf_program__set_autoload(p, !strcmp(bpf_program__name(p), program));
	if (!r)
		r = bpf_map__set_pin_path(o->maps.entries, NULL);
	if (!r)
		r = bpf_map__set_pin_path(o->maps.counters, NULL);
	if (!r && entries >= 0)
		r = bpf_map__reuse_fd(o->maps.entries, entries);
	if (!r && counters >= 0)
		r = bpf_map__reuse_fd(o->maps.counters, counters);
	if (!r)
		return o;
	detnat_shared__destroy(o);
	errno = -r;
	return NULL;
}

static void destroy(struct detnat_shared **o)
{
	detnat_shared__destroy(*o);
}

#define CLEANUP_OBJECT __attribute__((cleanup(destroy)))

static int refuse_load(int r, struct error *err)
{
	if (r == -EPERM || r == -EACCES)
		return error_set(
			err, r,
			"this kernel refuses programs of type EXT (freplace), which libxdp needs: a lockdown or "
			"security module forbids them; set 'xdp_dispatcher' to \"none\"");
	return error_set(err, r, "detnat's program cannot be loaded for libxdp's dispatcher: %s%s%s", strerror(-r),
			 *last ? ": " : "", last);
}

/*
 * Loads it as a freplace program, with frags and for a target of our own: libxdp would take the frags off. Type 0 is
 * that of all programs in `entries`.
 */
static int load(struct detnat_shared *o, const char *name, struct error *err)
{
	CLEANUP_OBJECT struct detnat_shared *target = open_object("slot", -1, -1);
	struct bpf_program *p = bpf_object__find_program_by_name(o->obj, name);
	int r = target ? detnat_shared__load(target) : -errno;

	if (r)
		return error_set(err, r, "the kernel loads no XDP program: %s", strerror(-r));
	r = bpf_program__set_attach_target(p, bpf_program__fd(target->progs.slot), "slot");
	if (!r)
		r = bpf_program__set_type(p, BPF_PROG_TYPE_EXT);
	if (!r)
		r = bpf_program__set_expected_attach_type(p, 0);
	if (!r)
		r = bpf_program__set_flags(p, bpf_program__flags(p) | BPF_F_XDP_HAS_FRAGS);
	if (!r)
		r = bpf_object__load(o->obj);
	return r ? refuse_load(r, err) : 0;
}

static enum xdp_attach_mode mode_of(const struct request *q)
{
	return q->said.mode == SHARE_SKB ? XDP_MODE_SKB : XDP_MODE_NATIVE;
}

static int refuse_attach(int r, struct error *err)
{
	static const char data[] =
		"its slots must change packet data on this kernel, as those of libxdp 1.5.5 and later "
		"do; LIBXDP_OBJECT_PATH names the directory of another xdp-dispatcher.o";

	if (r == -ERANGE)
		return error_set(err, r,
				 "a program beside detnat's takes no frags, so the MTU is too long for the dispatcher: "
				 "unload that one (xdp-filter, say), or lower the MTU");
	return error_set(err, r, "libxdp cannot attach detnat's program: %s%s%s%s%s", strerror(-r), *last ? ": " : "",
			 last, r == -EINVAL ? ": " : "", r == -EINVAL ? data : "");
}

/* Attaches a new component. */
static int attach(const struct request *q, struct error *err)
{
	const char *name = names[q->said.entry];
	CLEANUP_OBJECT struct detnat_shared *o = open_object(name, q->fd[SHARE_ENTRIES], q->fd[SHARE_COUNTERS]);
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .obj = o ? o->obj : NULL, .prog_name = name);
	LIBBPF_OPTS(bpf_test_run_opts, none);
	struct xdp_program *x;
	int r;

	if (!o)
		return error_set(err, -errno, "detnat's program cannot be opened: %s", strerror(errno));
	x = xdp_program__create(&opts);
	r = (int)libxdp_get_error(x);
	if (r)
		return error_set(err, r, "libxdp refuses detnat's program: %s%s%s", strerror(-r), *last ? ": " : "",
				 last);
	r = xdp_program__set_run_prio(x, q->said.priority);
	if (!r)
		r = xdp_program__set_chain_call_enabled(x, XDP_PASS, true);
	if (r)
		error_set(err, r, "libxdp refuses the priority: %s", strerror(-r));
	else
		r = load(o, name, err);
	if (!r) {
		/* libxdp takes the loaded program over, with its priority and frags; then it fails, without a packet.
		 */
		xdp_program__test_run(x, &none, 0);
		last[0] = '\0';
		r = xdp_program__attach(x, (int)q->said.ifindex, mode_of(q), 0);
		if (r)
			refuse_attach(r, err);
	}
	xdp_program__close(x);
	return r;
}

/* Takes the dispatcher off, which libxdp no longer finds, and which has no other program. */
static int remove_dispatcher(uint32_t ifindex, const struct look *l)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(l->prog_id);
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = fd);

	if (fd < 0)
		return -errno;
	return bpf_xdp_detach((int)ifindex, l->found.mode == SHARE_SKB ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE,
			      &opts);
}

static int remove_program(uint32_t ifindex, const struct look *l, const struct share_program *p, struct error *err)
{
	struct xdp_program *x;
	int r;

	if (l->found.unpinned) {
		/* Beside others it goes with the last descriptor of its link, which the agent has. */
		r = l->found.n_programs > 1 ? 0 : remove_dispatcher(ifindex, l);
	} else {
		x = xdp_program__from_id(p->id);
		r = (int)libxdp_get_error(x);
		if (!r) {
			r = xdp_program__detach(x, (int)ifindex, XDP_MODE_UNSPEC, 0);
			xdp_program__close(x);
		}
	}
	return r ? error_set(err, r, "detnat's program cannot be taken out of libxdp's dispatcher: %s%s%s",
			     strerror(-r), *last ? ": " : "", last)
		 : 0;
}

/* Removes detnat's components, except the one with id `kept`. */
static int remove_own(const struct request *q, uint32_t kept, struct error *err)
{
	for (unsigned left = SHARE_MAX_PROGRAMS; left; left--) {
		const struct share_program *own = NULL;
		struct look l;
		int r = look_at(q->said.ifindex, q->fd[SHARE_ENTRIES], &l, err);

		if (r)
			return r;
		for (unsigned i = 0; i < l.found.n_programs && !own; i++)
			if (l.found.program[i].own && l.found.program[i].id != kept)
				own = &l.found.program[i];
		if (own)
			r = remove_program(q->said.ifindex, &l, own, err);
		look_close(&l);
		if (r || !own || l.found.unpinned)
			return r;
	}
	return 0;
}

static bool is_as_wanted(const struct request *q, const struct look *l, const struct share_program *p)
{
	return p->own && p->priority == q->said.priority && !strcmp(p->name, names[q->said.entry]) &&
	       l->found.mode == q->said.mode;
}

/* Of detnat's programs there, the one that a request asks for, or NULL. */
static const struct share_program *wanted_one(const struct request *q, const struct look *l)
{
	for (unsigned i = 0; i < l->found.n_programs; i++)
		if (is_as_wanted(q, l, &l->found.program[i]))
			return &l->found.program[i];
	return NULL;
}

static bool others_there(const struct look *l)
{
	for (unsigned i = 0; i < l->found.n_programs; i++)
		if (!l->found.program[i].own)
			return true;
	return false;
}

/* Whether there is a place for the component. */
static int check_place(const struct request *q, const struct look *l, struct error *err)
{
	if (!l->prog_id)
		return 0;
	if (!l->found.dispatcher)
		return error_set(
			err, -EBUSY,
			"carries the XDP program \"%s\" (id %u), which is not under libxdp's dispatcher: take it "
			"off, and load it by xdp-loader",
			l->prog_name, l->prog_id);
	if (l->found.dispatcher_version != XDP_DISPATCHER_VERSION)
		return error_set(
			err, -EPROTO,
			"its dispatcher is of libxdp's protocol %u, and detnat-xdp's libxdp has %u: all programs "
			"must be loaded with one libxdp; unload those there, 'xdp-loader unload DEV --all'",
			l->found.dispatcher_version, XDP_DISPATCHER_VERSION);
	if (l->found.unpinned)
		return error_set(err, -EBUSY,
				 "libxdp no longer knows its dispatcher (id %u), whose pins something removed, such as "
				 "'xdp-loader clean' in another namespace: 'xdp-loader unload DEV --all' frees it",
				 l->found.dispatcher);
	if (others_there(l) && q->said.mode != SHARE_ANY && l->found.mode != q->said.mode)
		return error_set(err, -EBUSY,
				 "its dispatcher runs other programs in %s mode: set 'xdp_mode' to \"%s\" or \"auto\"",
				 l->found.mode == SHARE_SKB ? "generic" : "native",
				 l->found.mode == SHARE_SKB ? "skb" : "native");
	if (l->found.n_programs >= SHARE_MAX_PROGRAMS && l->own == SHARE_MAX_PROGRAMS)
		return error_set(err, -ENOSPC, "its dispatcher is full, with %u programs: unload one",
				 l->found.n_programs);
	return 0;
}

int component_attach(const struct request *q, struct error *err)
{
	const struct share_program *there;
	struct look l;
	uint32_t kept;
	int r = look_at(q->said.ifindex, q->fd[SHARE_ENTRIES], &l, err);

	if (r)
		return r;
	there = wanted_one(q, &l);
	kept = there ? there->id : 0;
	if (!kept)
		r = check_place(q, &l, err);
	/*
	 * Another mode is possible only where nothing is. Of several, which requests that were cut off have left, one
	 * stays until the new one is there.
	 */
	if (!r && !kept && l.own < SHARE_MAX_PROGRAMS)
		r = remove_own(q, l.found.mode == q->said.mode ? l.found.program[l.own].id : 0, err);
	look_close(&l);
	if (r || kept)
		return r ? r : remove_own(q, kept, err);
	/* What has another place goes afterwards: in between both are there, and nothing passes untranslated. */
	r = attach(q, err);
	if (r || look_at(q->said.ifindex, q->fd[SHARE_ENTRIES], &l, NULL))
		return r;
	there = wanted_one(q, &l);
	kept = there ? there->id : 0;
	look_close(&l);
	return kept ? remove_own(q, kept, err)
		    : error_set(err, -EAGAIN, "detnat's program went out of libxdp's dispatcher again");
}

int component_detach(const struct request *q, struct error *err)
{
	return remove_own(q, 0, err);
}

int component_try(const struct request *q, struct error *err)
{
	struct request trial = { .said = q->said, .fd = { -1, -1, -1 } };
	struct look l;
	int r = look_at(q->said.ifindex, q->fd[SHARE_ENTRIES], &l, err);

	if (r)
		return r;
	/* One that is there shows that it can be. */
	if (l.own < SHARE_MAX_PROGRAMS) {
		look_close(&l);
		return 0;
	}
	r = check_place(q, &l, err);
	look_close(&l);
	if (r)
		return r;
	if (unshare(CLONE_NEWNET))
		return error_set(err, -errno, "no network namespace to try it in: %s", strerror(errno));
	trial.said.ifindex = LOOPBACK;
	trial.said.mode = SHARE_SKB;
	r = attach(&trial, err);
	if (!r && !look_at(LOOPBACK, -1, &l, NULL)) {
		if (l.found.n_programs)
			r = remove_program(LOOPBACK, &l, &l.found.program[0], err);
		look_close(&l);
	}
	return r;
}
