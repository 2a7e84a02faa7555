/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/replication_private.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "peers/peer_numbers.h"

#define PASS_US	 1000U
#define COPY_US	 700U
#define VOUCH_US 300U
#define PAUSE_US 2000

static void go_on(struct replication *r)
{
	static const struct timeval pause = { .tv_usec = PAUSE_US };

	if (!evtimer_pending(r->passes.work, NULL))
		evtimer_add(r->passes.work, &pause);
}

static int tell_all(unsigned type, const void *payload, size_t length, void *arg)
{
	struct replication *r = arg;

	for (unsigned i = 0; i < r->n_peers; i++)
		sender_tell(r->peer[i].sender, type, payload, length);
	return 0;
}

static void step_pass(struct replication *r)
{
	struct replication_passes *p = &r->passes;
	int ret;

	if (!p->under_way)
		return;
	ret = copying_pass(r->copying, PASS_US, tell_all, r);
	if (ret > 0)
		return;
	p->under_way = false;
	if (ret)
		log_warning("replication: a pass over the sessions failed: %s", strerror(-ret));
	else
		p->complete_ms = p->began_ms;
}

/* One peer's per slice, in turn. */
static bool step_copies(struct replication *r)
{
	struct replication_passes *p = &r->passes;

	for (unsigned i = 0; i < r->n_peers; i++) {
		unsigned n = p->next_copy++ % r->n_peers;

		if (sender_step(r->peer[n].sender, COPY_US))
			return true;
	}
	return false;
}

static uint8_t peers_up(const struct replication *r)
{
	uint8_t up = 0;

	for (unsigned i = 0; i < r->n_peers; i++)
		if (receiver_vouches(r->peer[i].receiver))
			up |= (uint8_t)(1U << r->peer[i].number);
	return up;
}

/*
 * Rule 9. A peer may be back soon. Of the gateways that live and have been connected since before it fell silent, the
 * one whose claims win speaks for it first; the next one tells what that one had no copies of. One that came later has
 * no copies of it. A peer that is back is spoken for until others have heard it, too.
 */
#define SILENT_MS    10000U
#define NEXT_TURN_MS 20000U
#define BACK_MS	     10000U

static uint64_t patience_ms(const struct replication *r, const struct replication_peer *silent)
{
	uint64_t ms = SILENT_MS;

	for (unsigned i = 0; i < r->n_peers; i++) {
		const struct replication_peer *p = &r->peer[i];

		if (receiver_vouches(p->receiver) && receiver_knew(p->receiver, silent->receiver) &&
		    copying_claims_win(r->copying, p->number))
			ms += NEXT_TURN_MS;
	}
	return ms;
}

static void speak_for(const struct replication *r, struct replication_peer *p)
{
	uint64_t now = replication_now_ms();

	if (receiver_vouches(p->receiver)) {
		p->silent_ms = 0;
		p->back_ms = p->back_ms ? p->back_ms : now;
		p->spoken_for &= now - p->back_ms < BACK_MS;
		return;
	}
	p->back_ms = 0;
	p->silent_ms = p->silent_ms ? p->silent_ms : now;
	p->spoken_for |= now - p->silent_ms >= patience_ms(r, p);
}

/* With one peer there is nobody who could be told. */
static void speak(struct replication *r)
{
	uint8_t peers = 0;

	for (unsigned i = 0; i < r->n_peers && r->n_peers > 1; i++) {
		speak_for(r, &r->peer[i]);
		peers |= (uint8_t)(r->peer[i].spoken_for << r->peer[i].number);
	}
	copying_speak(r->copying, peers);
	/* The next agent goes on with it at once, as its peers would lose those sessions meanwhile. */
	if (peers != r->spoken && !peer_numbers_speak(r->d->pin_dir, peers))
		r->spoken = peers;
}

static void on_work(evutil_socket_t fd, short what, void *arg)
{
	struct replication *r = arg;
	bool copies;

	step_pass(r);
	copies = step_copies(r);
	if (r->passes.vouching)
		r->passes.vouching = copying_vouch(r->copying, peers_up(r), VOUCH_US) > 0;
	if (r->passes.under_way || copies || r->passes.vouching)
		go_on(r);
}

void replication_work_tick(struct replication *r)
{
	struct replication_passes *p = &r->passes;
	uint64_t now = replication_now_ms();

	if (!p->under_way && now - p->began_ms >= r->now.rules.interval * 1000ULL) {
		p->under_way = true;
		p->began_ms = now;
	}
	p->vouching = true;
	speak(r);
	go_on(r);
}

int replication_work_start(struct replication *r)
{
	r->passes = (struct replication_passes){ .work = evtimer_new(r->base, on_work, r) };
	return r->passes.work ? 0 : -ENOMEM;
}

void replication_work_stop(struct replication *r)
{
	if (r->passes.work)
		event_free(r->passes.work);
	r->passes = (struct replication_passes){ 0 };
}
