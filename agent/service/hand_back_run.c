/* SPDX-License-Identifier: BSD-2-Clause */
#include "service/hand_back_run.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "attach/attach.h"
#include "base/log.h"
#include "base/rights.h"
#include "config/config.h"
#include "datapath/bpffs.h"
#include "datapath/hand_back.h"
#include "datapath/namespace.h"
#include "datapath/pinned.h"
#include "host/paths.h"

/* How often it is looked whether 1.0.0 starts, and sessions are carried over until it does. */
#define LOOK_NS		     2000000L
#define LOOKS_BETWEEN_ROUNDS 100U

struct run {
	const char *pin_path;
	struct datapath datapath;
	struct hand_back *offer;
};

/* Added to a tick of the past, one that is not over while XDP takes the place of tc. */
#define NOT_OVER (1U << 30)

static int program_of(const struct datapath *d, uint32_t id)
{
	/* 1.0.0 does not know those that send packets themselves: they stand in for the others, see datapath_lend_tc().
	 */
	const struct {
		int attached, known;
	} entries[] = {
		{ d->tc_from_inside, d->tc_from_inside },   { d->tc_send_inside, d->tc_from_inside },
		{ d->tc_from_outside, d->tc_from_outside }, { d->tc_send_outside, d->tc_from_outside },
		{ d->tc_from_both, d->tc_from_both },	    { d->tc_send_both, d->tc_from_both },
	};
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
		if (program_id(entries[i].attached) == id)
			return dup(entries[i].known);
	fd = pinned_program(d->pin_dir, "tc_outside", id);
	return fd < 0 ? pinned_program(d->pin_dir, "tc_bare", id) : fd;
}

/* The XDP program of the roles for which a program at tc sends; -1: it is no such program. */
static int xdp_in_place_of(const struct datapath *d, uint32_t id)
{
	return program_id(d->tc_send_inside) == id    ? d->xdp_inside
	       : program_id(d->tc_send_outside) == id ? d->xdp_outside
	       : program_id(d->tc_send_both) == id    ? d->xdp_both
						      : -1;
}

/*
 * Where tc sends, 1.0.0 runs XDP: that takes the place of tc here already, with these programs, so that 1.0.0 replaces
 * it without a gap. False: it cannot.
 */
static bool go_to_xdp(struct run *run, struct netlink *n, const struct link *l)
{
	__attribute__((cleanup(own_programs_free))) struct own_programs own = { 0 };
	int fd = xdp_in_place_of(&run->datapath, tcx_program(run->pin_path, l->ifindex, TC_INGRESS));
	enum xdp_mode mode = XDP_MODE_AUTO;
	struct error ignored;
	bool native;

	if (fd < 0 || link_is_stacked(l) || own_programs_read(run->pin_path, &run->datapath, &own) ||
	    xdp_settle_mode(l, &mode, &ignored))
		return false;
	return !xdp_attach(l, fd, mode, &own, &native, &ignored) && !tc_detach(n, &own, l->ifindex, TC_INGRESS, false);
}

/*
 * A filter takes a link's place: while both are there, the link keeps packets from the filter. The next start of this
 * version turns it round again.
 */
static int filter_at(struct run *run, struct netlink *n, const struct link *l, enum tc_side side, struct error *err)
{
	const struct own_programs by_filters = { .pin_path = (char *)run->pin_path };
	uint32_t id = tcx_program(run->pin_path, l->ifindex, side);
	_cleanup_close_ int fd = id ? program_of(&run->datapath, id) : -ENOENT;
	bool made_clsact = false;
	int r = fd;

	if (!id)
		return 0;
	if (fd >= 0)
		r = tcx_attach(run->pin_path, l->ifindex, side, fd, true);
	if (r)
		return error_set(err, r, "%s: its tc programs cannot be exchanged: %s", l->name, strerror(-r));
	r = tc_attach(n, &by_filters, l, side, fd, &made_clsact, err);
	if (made_clsact)
		run->datapath.device[l->ifindex].flags |= DEVICE_CLSACT;
	if (r)
		tcx_attach(run->pin_path, l->ifindex, side, fd, false);
	return r;
}

/* 1.0.0 knows no tcx links, and takes an interface that has them for one without programs. */
static int attach_filters(struct run *run, struct error *err)
{
	_cleanup_netlink_ struct netlink *n = NULL;
	_cleanup_free_ struct link *links = NULL;
	struct shared_limits *limits = &run->datapath.table->limits;
	uint32_t until = limits->handled_until;
	size_t n_links = 0;
	int r = netlink_new(&n);

	if (!r)
		r = links_read(n, &links, &n_links);
	if (r)
		return error_set(err, r, "the interfaces cannot be read: %s", strerror(-r));
	datapath_lend_tc(&run->datapath);
	__atomic_store_n(&limits->handled_until, until + NOT_OVER, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < n_links; i++)
		if (links[i].ifindex < MAX_IFINDEX && go_to_xdp(run, n, &links[i]))
			log_info("%s: XDP in place of tc, as 1.0.0 has it", links[i].name);
	__atomic_store_n(&limits->handled_until, until, __ATOMIC_SEQ_CST);
	for (size_t i = 0; !r && i < n_links; i++)
		for (int side = TC_EGRESS; !r && side <= TC_INGRESS && links[i].ifindex < MAX_IFINDEX; side++)
			r = filter_at(run, n, &links[i], (enum tc_side)side, err);
	return r;
}

static int begin(struct run *run, struct error *err)
{
	_cleanup_free_ char *running = NULL, *former = NULL;
	uint64_t hash;
	int r = hand_back_judge(&run->datapath, err);

	if (!r)
		r = datapath_peek_running(run->pin_path, &running, &hash);
	if (r)
		return *err->text ? r : error_set(err, r, "%s: there is no datapath of this version", run->pin_path);
	former = config_of_former(running, err);
	if (!former)
		return *err->text ? -EXDEV : error_set(err, -ENOMEM, "out of memory");
	r = attach_filters(run, err);
	return r ? r : hand_back_begin(&run->datapath, former, hash, &run->offer, err);
}

static void carry(struct run *run)
{
	int r = hand_back_carry(run->offer);

	if (r)
		log_warning("sessions beyond the slots cannot be carried over: %s", strerror(-r));
}

/* Takes the offer back. Not if an agent has the lock: then 1.0.0 is taking it up. */
static bool withdraw(const struct run *run)
{
	_cleanup_close_ int lock = -1;
	struct error err = { 0 };

	if (bpffs_lock(run->pin_path, &lock, &err)) {
		log_warning("1.0.0 is taking the datapath over already; a moment");
		return false;
	}
	return hand_back_undo(run->pin_path);
}

/* Until 1.0.0 is done, or a signal comes in time: then -ECANCELED. */
static int wait_for_takeover(struct run *run)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	for (unsigned long round = 1;; round++) {
		enum hand_back_state state = hand_back_state(run->offer);

		if (state != HAND_BACK_OFFERED || !(round % LOOKS_BETWEEN_ROUNDS))
			carry(run);
		if (state == HAND_BACK_DONE)
			return 0;
		if (sigtimedwait(&signals, NULL, &pause) > 0 && withdraw(run))
			return -ECANCELED;
	}
}

static int offer(struct run *run, struct error *err)
{
	int r = begin(run, err);

	if (r)
		return r;
	close_fd(&run->datapath.lock_fd);
	puts("the datapath is offered to 1.0.0: install and start it now, while this goes on; Ctrl-C takes it back");
	fflush(stdout);
	r = wait_for_takeover(run);
	hand_back_free(run->offer);
	if (r)
		return error_set(err, r, "the datapath was not handed back: this version has it again");
	puts("1.0.0 has taken the datapath over");
	return 0;
}

enum exit_status hand_back_run(const char *config_path, struct error *err)
{
	_cleanup_config_ struct config *c = NULL;
	struct run run = { 0 };
	bool gone;
	int r = config_load(config_path, &c, NULL, err);

	if (r)
		return EXIT_BAD_CONFIGURATION;

	_cleanup_rights_ struct rights lesser = path_rights(c->pin_path);

	run.pin_path = c->pin_path;
	r = namespace_check(c->pin_path, &gone, err);
	if (!r)
		r = datapath_open_pinned(c->pin_path, &run.datapath, err);
	if (r)
		return EXIT_FAILED;
	if (run.datapath.running < 0 || run.datapath.mappings < 0)
		r = error_set(err, -ENOENT, "%s: there is no datapath of this version", c->pin_path);
	else
		r = offer(&run, err);
	datapath_close(&run.datapath);
	return r ? EXIT_FAILED : EXIT_DONE;
}
