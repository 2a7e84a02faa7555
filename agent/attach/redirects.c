/* SPDX-License-Identifier: BSD-2-Clause */
#include "attach/redirects.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <detnat/watch.h>

#include "base/log.h"
#include "base/notice.h"
#include "detnat_watch.skel.h"
#include "attach/attach.h"
#include "host/ring_reader.h"

/* IEEE 802 local experimental EtherType 1: every station ignores it. */
#define TRIAL_ETHERTYPE 0x88b5
#define TRIAL_FRAME	60

/*
 * Seconds between tries: with a frame of the agent's own, and with subscribers' packets, some of which each try loses.
 */
#define PAUSE_TRIAL_S	  5U
#define PAUSE_TRIAL_MAX_S 60U
#define PAUSE_S		  60U
#define PAUSE_MAX_S	  3600U

/* After this long without failures, an interface is trusted again as if it had never failed. */
#define FORGIVEN_S 600U

/* A link that goes down refuses frames just before its notification arrives. */
#define DOWN_SECONDS 3U

struct redirects {
	struct detnat_watch *skeleton;
	struct bpf_link *xmit;
	struct bpf_link *redirect;
	struct ring_reader *alarms;
	redirects_notify notify;
	void *arg;
	int watched;
};

static void on_alarm(void *arg, void *data, size_t size)
{
	struct redirects *r = arg;
	uint32_t ifindex;

	if (size >= sizeof(ifindex)) {
		memcpy(&ifindex, data, sizeof(ifindex));
		r->notify(ifindex, r->arg);
	}
}

static const struct ring_reader_ops alarm_reader = { .sample = on_alarm };

int redirects_new(struct event_base *base, const struct datapath *d, redirects_notify notify, void *arg,
		  struct redirects **ret, struct error *err)
{
	struct redirects *r = calloc(1, sizeof(*r));
	struct stat netns;
	int e = 0;

	if (!r)
		return error_set(err, -ENOMEM, "out of memory");
	r->notify = notify;
	r->arg = arg;
	r->skeleton = detnat_watch__open();
	if (!r->skeleton || stat("/proc/self/ns/net", &netns))
		e = -errno;
	if (!e) {
		r->skeleton->rodata->netns = (uint32_t)netns.st_ino;
		if (d->counters >= 0)
			e = bpf_map__reuse_fd(r->skeleton->maps.counters, d->counters);
		if (!e && d->stage_drops >= 0)
			e = bpf_map__reuse_fd(r->skeleton->maps.stage_drops, d->stage_drops);
	}
	kernel_message_begin();
	if (!e)
		e = detnat_watch__load(r->skeleton);
	kernel_message_end();
	if (!e) {
		r->watched = bpf_map__fd(r->skeleton->maps.watched);
		r->xmit = bpf_program__attach(r->skeleton->progs.watch_xmit);
		r->redirect = bpf_program__attach(r->skeleton->progs.watch_redirect);
		if (!r->xmit || !r->redirect)
			e = -errno;
	}
	if (!e)
		e = ring_reader_new(base, bpf_map__fd(r->skeleton->maps.alarms), &alarm_reader, r, &r->alarms);
	if (e) {
		redirects_free(r);
		return error_set(err, e, "%s", strerror(-e));
	}
	*ret = r;
	return 0;
}

void redirects_free(struct redirects *r)
{
	if (!r)
		return;
	ring_reader_free(r->alarms);
	bpf_link__destroy(r->xmit);
	bpf_link__destroy(r->redirect);
	detnat_watch__destroy(r->skeleton);
	free(r);
}

static bool can_try(const struct link *l, bool native)
{
	return native && !strcmp(l->kind, "veth") && l->flags & IFF_UP && l->flags & IFF_RUNNING;
}

/* Redirects a frame of the agent's own to the link: 1: it was taken, 0: it was refused, -errno: unknown. */
static int try_frame(struct redirects *r, const struct link *l)
{
	uint8_t frame[TRIAL_FRAME] = { 0 };
	struct watched before, after;
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame), .repeat = 1,
		    .batch_size = 1, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
	int e;

	memcpy(frame, l->mac, sizeof(l->mac));
	memcpy(frame + sizeof(l->mac), l->mac, sizeof(l->mac));
	frame[12] = TRIAL_ETHERTYPE >> 8;
	frame[13] = TRIAL_ETHERTYPE & 255;
	r->skeleton->bss->try_ifindex = l->ifindex;
	e = bpf_map_lookup_elem(r->watched, &l->ifindex, &before);
	if (!e)
		e = bpf_prog_test_run_opts(bpf_program__fd(r->skeleton->progs.try_redirect), &run);
	r->skeleton->bss->try_ifindex = 0;
	if (!e)
		e = bpf_map_lookup_elem(r->watched, &l->ifindex, &after);
	if (e)
		return e;
	if (after.tried_ok != before.tried_ok)
		return 1;
	return after.tried_refused != before.tried_refused ? 0 : -ENODATA;
}

static int last_error(const struct redirects *r, const struct link *l)
{
	struct watched w;

	return bpf_map_lookup_elem(r->watched, &l->ifindex, &w) || w.error >= 0 ? EIO : -w.error;
}

static void tell(const struct link *l, enum log_level level, const char *event, const char *what)
{
	char text[NOTICE_TEXT] = "";
	struct notice n = notice_now(NOTICE_INTERFACES, level, event, text);

	snprintf(text, sizeof(text), "%s: %s", l->name, what);
	notice_add_text(&n, "interface", l->name);
	notice_tell(&n);
}

static void set_refusing(const struct redirects *r, const struct link *l, bool trial, struct redirect_health *h)
{
	unsigned first = trial ? PAUSE_TRIAL_S : PAUSE_S, most = trial ? PAUSE_TRIAL_MAX_S : PAUSE_MAX_S;
	bool veth = !strcmp(l->kind, "veth");

	h->refusing = true;
	h->waited_s = h->bad_seconds = h->good_seconds = 0;
	h->pause_s = !h->pause_s ? first : h->pause_s * 2 > most ? most : h->pause_s * 2;
	log_warning("%s: refuses the frames that XDP redirects to it (%s), so traffic to it goes through the kernel, "
		    "which is slower%s",
		    l->name, strerror(last_error(r, l)),
		    veth ? ", and replies and hairpins through the agent; a veth takes them when its peer has GRO "
			   "on or an XDP program, and the peer must then not leave checksums to a card "
			   "(`ethtool -K PEER gro on tx off`; where GRO is on already, off and on again)"
			 : "; the driver may need an XDP program on it or more queues");
	tell(l, LOG_LEVEL_WARNING, "interface-refuses", "it refuses redirected frames, the kernel forwards to it");
}

static void set_well(const struct link *l, struct redirect_health *h)
{
	h->refusing = false;
	h->waited_s = h->bad_seconds = h->good_seconds = 0;
	log_info("%s: frames are redirected to it again", l->name);
	tell(l, LOG_LEVEL_INFO, "interface-redirects", "frames are redirected to it again");
}

void redirects_start(struct redirects *r, const struct link *l, bool native, struct redirect_health *h)
{
	struct watched zero = { 0 };

	*h = (struct redirect_health){ .refusing = h->refusing };
	if (!r)
		return;
	if (bpf_map_update_elem(r->watched, &l->ifindex, &zero, BPF_ANY))
		log_debug("%s: too many interfaces to watch", l->name);
	if (can_try(l, native) && !try_frame(r, l)) {
		if (!h->refusing) /* not logged yet */
			set_refusing(r, l, true, h);
		h->pause_s = PAUSE_TRIAL_S;
	} else if (h->refusing) {
		set_well(l, h);
	}
}

void redirects_retry(struct redirects *r, const struct link *l, bool native, struct redirect_health *h)
{
	if (r && h->refusing && can_try(l, native) && try_frame(r, l))
		set_well(l, h);
}

static bool tick_refusing(struct redirects *r, const struct link *l, bool native, struct redirect_health *h)
{
	if (++h->waited_s < h->pause_s)
		return false;
	h->waited_s = 0;
	if (can_try(l, native) && !try_frame(r, l)) {
		h->pause_s = h->pause_s * 2 > PAUSE_TRIAL_MAX_S ? PAUSE_TRIAL_MAX_S : h->pause_s * 2;
		return false;
	}
	set_well(l, h);
	return true;
}

bool redirects_alarm(struct redirects *r, const struct link *l, bool native, struct redirect_health *h)
{
	struct watched w;

	if (!r || h->refusing || bpf_map_lookup_elem(r->watched, &l->ifindex, &w) || w.unable == h->unable)
		return false;
	/* If the link is going down, its notification arrives within seconds. */
	if (w.error == -ENETDOWN)
		return false;
	h->unable = w.unable;
	set_refusing(r, l, can_try(l, native), h);
	return true;
}

bool redirects_tick(struct redirects *r, const struct link *l, bool native, struct redirect_health *h)
{
	struct watched w;

	if (!r || bpf_map_lookup_elem(r->watched, &l->ifindex, &w))
		return false;

	bool failed = w.unable != h->unable;

	h->unable = w.unable;
	if (h->refusing)
		return tick_refusing(r, l, native, h);
	if (!failed) {
		h->bad_seconds = 0;
		if (++h->good_seconds >= FORGIVEN_S)
			h->pause_s = 0;
		return false;
	}
	h->good_seconds = 0;
	if (++h->bad_seconds < (w.error == -ENETDOWN ? DOWN_SECONDS : 1U))
		return false;
	set_refusing(r, l, can_try(l, native), h);
	return true;
}

void redirects_stop(struct redirects *r, uint32_t ifindex)
{
	if (r)
		bpf_map_delete_elem(r->watched, &ifindex);
}
