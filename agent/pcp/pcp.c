/* SPDX-License-Identifier: BSD-2-Clause */
#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/base.h"
#include "base/log.h"
#include "base/trouble.h"
#include "datapath/pinned.h"
#include "pcp/pcp_private.h"

/*
 * The server's epoch (RFC 6887 section 8.5): seconds since leases were last lost. Its beginning is in a pinned map, so
 * it continues over restarts of the agent, as the leases do, and is renewed with them.
 */

struct epoch {
	uint64_t began_s; /* CLOCK_BOOTTIME, plus one: 0 is a new map's */
};

static const struct pinned_map epoch_map = {
	.name = "pcp",
	.type = BPF_MAP_TYPE_ARRAY,
	.key_size = sizeof(uint32_t),
	.value_size = sizeof(struct epoch),
	.entries = 1,
};

static const uint32_t only = 0;

/* Renews the epoch, as leases were lost. 0 or -errno. */
static int pcp_epoch_restart(const char *pin_dir, uint64_t now_s)
{
	_cleanup_close_ int fd = pinned_map_open(pin_dir, &epoch_map);
	struct epoch e = { now_s + 1 };

	return fd < 0 ? fd : bpf_map_update_elem(fd, &only, &e, BPF_ANY);
}

/* Reads the beginning of the epoch, in seconds of CLOCK_BOOTTIME; a first call begins it: *ret_new. 0 or -errno. */
static int pcp_epoch_open(const char *pin_dir, uint64_t now_s, uint64_t *ret_began_s, bool *ret_new)
{
	_cleanup_close_ int fd = pinned_map_open(pin_dir, &epoch_map);
	struct epoch e = { 0 };
	int r = fd < 0 ? fd : bpf_map_lookup_elem(fd, &only, &e);
	bool is_new = !e.began_s || e.began_s - 1 > now_s;

	if (!r && is_new) {
		e.began_s = now_s + 1;
		r = bpf_map_update_elem(fd, &only, &e, BPF_ANY);
	}
	if (r)
		return r;
	*ret_began_s = e.began_s - 1;
	*ret_new = is_new;
	return 0;
}

/* There is room again when the leases are below this percentage of the common room. */
#define ROOM_WELL_PERCENT 90U

static uint32_t epoch_now(void *arg)
{
	return pcp_epoch_now(arg);
}

static int socket_number(void *arg, uint32_t vrf, unsigned n, uint32_t *ret_addr)
{
	const struct pcp *p = arg;

	for (size_t i = 0; i < ARRAY_SIZE(p->place); i++)
		if (p->place[i].owner && p->place[i].vrf == vrf && !n--) {
			*ret_addr = p->place[i].addr;
			return p->place[i].fd;
		}
	return -1;
}

static void stop_waiting(struct pcp *p)
{
	p->waits = false;
	trouble_clear(TROUBLE_PCP);
}

static void try_again(struct pcp *p)
{
	struct error why = { 0 };

	if (pcp_listen_missing(p, NULL, NULL, &why))
		trouble_set(TROUBLE_PCP, "%s; tried again every second", why.text);
	else
		stop_waiting(p);
}

static void look_again(struct pcp *p, bool soon)
{
	const struct timeval pause = { .tv_usec = 1000 }, second = { .tv_sec = 1 };

	evtimer_add(p->second, soon ? &pause : &second);
}

/* Warns that leases are refused for lack of room, once, until there is some again. */
static void warn_of_room(struct pcp *p)
{
	const struct pcp_shares *s = &p->leases.shares;
	size_t leases = portmaps_count(p->leases.portmaps, PORTMAP_PCP);

	if (!p->room_told && p->leases.refused != p->refused_told) {
		p->room_told = true;
		log_warning("leases of PCP are refused for lack of room: there are %zu of %u, and each subscriber is "
			    "assured %u; look for hosts that ask in the name of others, or raise pcp.max_leases",
			    leases, s->limit, s->assured);
	} else if (p->room_told && leases * 100 < (uint64_t)s->common * ROOM_WELL_PERCENT) {
		p->room_told = false;
		log_info("leases of PCP have room again: there are %zu of %u", leases, s->limit);
	}
	p->refused_told = p->leases.refused;
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct pcp *p = arg;

	p->waits |= pcp_close_moved(p);
	if (p->waits)
		try_again(p);
	look_again(p, pcp_leases_expire(&p->leases, boottime_s()));
	warn_of_room(p);
}

static void begin_epoch(struct pcp *p, bool is_new)
{
	if (is_new && p->rules.announce)
		pcp_announce(p->announcer);
}

/* Reads the epoch, or begins it. */
static void open_epoch(struct pcp *p)
{
	bool is_new;
	int r;

	if (p->has_epoch)
		return;
	r = pcp_epoch_open(p->d->pin_dir, boottime_s(), &p->began_s, &is_new);
	if (r) {
		log_warning("the epoch of PCP cannot be kept over a restart: %s", strerror(-r));
		p->began_s = boottime_s();
		is_new = true;
	}
	p->has_epoch = true;
	begin_epoch(p, is_new);
}

/* Loads the filter that notes MAC addresses, once. Without it, any neighbour that exists counts as the sender. */
static void open_senders(struct pcp *p)
{
	int r;

	if (p->senders_tried)
		return;
	p->senders_tried = true;
	r = pcp_senders_new(&p->senders);
	if (r)
		log_warning("PCP: the MAC addresses of clients are not known: %s", strerror(-r));
}

int pcp_configure(struct pcp *p, const struct config *c, bool wait, const char *name, struct error *err)
{
	struct config_pcp before = p->rules;
	int r;

	p->rules = c->pcp;
	if (!c->pcp.enabled) {
		pcp_close_unwanted(p);
		stop_waiting(p);
		return 0;
	}
	open_senders(p);
	r = pcp_listen_missing(p, c, name, err);
	if (r && !wait) {
		p->rules = before;
		pcp_close_unwanted(p);
		return r;
	}
	pcp_close_unwanted(p);
	p->waits = r;
	if (r)
		trouble_set(TROUBLE_PCP, "%s; tried again every second", err->text);
	else
		stop_waiting(p);
	return 0;
}

/* Warns of limits that the operator may not expect, once for each number of leases and subscribers. */
static void warn_of_shares(struct pcp *p, const struct config *c)
{
	uint64_t subscribers = config_pcp_subscribers(c);
	uint32_t wanted = config_pcp_leases(c), limit = p->leases.shares.limit;

	if (wanted == p->told_wanted && subscribers == p->told_subscribers)
		return;
	p->told_wanted = wanted;
	p->told_subscribers = subscribers;
	if (limit < wanted)
		log_warning("PCP may give %u leases by this configuration, but their table has room for %u until the "
			    "agent's next start, which ends none",
			    wanted, limit);
	if (!p->leases.shares.assured)
		log_warning("PCP serves %" PRIu64 " subscribers, and not each is assured a lease: there may be %u; "
			    "raise pcp.max_leases",
			    subscribers, limit);
}

void pcp_settle(struct pcp *p, const struct config *c, size_t lost)
{
	if (pcp_leases_configure(&p->leases, c)) {
		log_error("no memory for the mappings that PCP serves; it keeps the previous ones");
		return;
	}
	if (p->rules.enabled)
		warn_of_shares(p, c);
	lost += pcp_leases_trim(&p->leases);
	if (lost)
		log_info("%zu PCP lease%s ended, as the configuration no longer allows %s", lost, lost == 1 ? "" : "s",
			 lost == 1 ? "it" : "them");
	if (!p->rules.enabled) {
		pcp_announce_stop(p->announcer);
		if (lost)
			pcp_epoch_restart(p->d->pin_dir, boottime_s());
		return;
	}
	open_epoch(p);
	if (lost) {
		p->began_s = boottime_s();
		pcp_epoch_restart(p->d->pin_dir, p->began_s);
		begin_epoch(p, true);
	}
}

int pcp_check(const struct config *c, const struct config *running, const char *name, struct error *err)
{
	struct pcp_home home[PCP_PLACES];
	size_t n = pcp_socket_homes(&c->pcp, home);

	for (size_t k = 0; k < n; k++) {
		int fd;

		if (running && pcp_wants(&running->pcp, home[k].addr))
			continue;
		fd = pcp_socket_open(&home[k], false);
		if (fd < 0)
			return pcp_refuse_address(c, home[k].addr, pcp_listen_number(&c->pcp, home[k].addr), fd, name,
						  err);
		close_fd(&fd);
	}
	return 0;
}

static int pcp_open(struct pcp *p)
{
	const struct pcp_announce_source from = { socket_number, epoch_now, p };
	int r = pcp_ingress_new(p->d, &p->ingress);

	if (!r)
		r = pcp_announcer_new(p->base, p->d, &from, &p->announcer);
	if (!r)
		r = pcp_sources_new(&p->sources);
	if (!r)
		r = pcp_waiting_new(p->base, pcp_request_again, pcp_request_lost, p, &p->waiting);
	if (r)
		return r;
	p->second = evtimer_new(p->base, on_second, p);
	if (!p->second)
		return -ENOMEM;
	look_again(p, false);
	return 0;
}

int pcp_new(struct event_base *base, struct datapath *d, struct mappings *m, struct portmaps *portmaps,
	    struct pcp **ret, struct error *err)
{
	struct pcp *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return error_set(err, -ENOMEM, "out of memory");
	p->base = base;
	p->d = d;
	p->leases.mappings = m;
	p->leases.portmaps = portmaps;
	r = pcp_open(p);
	if (r) {
		pcp_free(p);
		return error_set(err, r, "the PCP server cannot be set up: %s", strerror(-r));
	}
	*ret = p;
	return 0;
}

void pcp_free(struct pcp *p)
{
	if (!p)
		return;
	pcp_close_all(p);
	if (p->second)
		event_free(p->second);
	pcp_announcer_free(p->announcer);
	pcp_ingress_free(p->ingress);
	pcp_waiting_free(p->waiting);
	pcp_sources_free(p->sources);
	pcp_senders_free(p->senders);
	pcp_leases_free(&p->leases);
	pcp_rate_free(&p->rate);
	free(p);
}

void pcp_figures(const struct pcp *p, struct pcp_figures *ret)
{
	*ret = p->figures;
	ret->enabled = p->rules.enabled;
	ret->listening = 0;
	for (size_t i = 0; i < ARRAY_SIZE(p->place); i++)
		ret->listening += p->place[i].owner != NULL;
	ret->leases = portmaps_count(p->leases.portmaps, PORTMAP_PCP);
	ret->limit = p->leases.shares.limit;
	ret->assured = p->leases.shares.assured;
	ret->common = p->leases.shares.common;
	ret->no_room = p->leases.refused;
	ret->epoch = pcp_epoch_now(p);
}
