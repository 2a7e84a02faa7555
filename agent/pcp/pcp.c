/* SPDX-License-Identifier: BSD-2-Clause */
#include "pcp/pcp.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/trouble.h"
#include "pcp/announce.h"
#include "pcp/decide.h"
#include "pcp/epoch.h"
#include "pcp/ingress.h"
#include "pcp/leases.h"
#include "pcp/rate.h"
#include "pcp/pcp_socket.h"

/* Requests answered in a turn of the event loop: about a millisecond. */
#define REQUESTS_PER_TURN 32U
/* There is room again when the leases are fewer than this much of what is common to all. */
#define ROOM_WELL_PERCENT 90U

/* One octet more than a message may have, so that one that is too long is seen to be. */
#define RECEIVED_MAX (PCP_MAX_MESSAGE + 1U)

struct place {
	struct pcp *owner;
	uint32_t addr;
	int fd;
	struct event *event;
};

struct pcp {
	struct event_base *base;
	struct datapath *d;
	struct config_pcp rules; /* enabled: false while it is off */
	struct pcp_leases leases;
	struct pcp_ingress *ingress;
	struct pcp_announcer *announcer;
	struct pcp_rate *rate;
	/* A free one has no owner. Twice, as a change opens what is new before it closes what is not wanted. */
	struct place place[2 * PCP_MAX_LISTEN];
	struct event *second; /* leases that end; addresses that are waited for */
	bool waits;
	uint32_t told_wanted; /* leases, and of how many subscribers, when the log was last told of them */
	uint64_t told_subscribers;
	bool room_told;	       /* that leases are refused */
	uint64_t refused_told; /* of pcp_leases.refused */
	uint64_t began_s;      /* the epoch, CLOCK_BOOTTIME */
	bool has_epoch;
	struct pcp_figures figures;
};

static uint32_t epoch_now(void *arg)
{
	const struct pcp *p = arg;

	return p->has_epoch ? (uint32_t)(boottime_s() - p->began_s) : 0;
}

static int socket_number(void *arg, unsigned n)
{
	const struct pcp *p = arg;

	for (size_t i = 0; i < ARRAY_SIZE(p->place); i++)
		if (p->place[i].owner && !n--)
			return p->place[i].fd;
	return -1;
}

/* Whether a request is to be looked at: PCP_DROPS, or N_PCP_DROPS if it is. */
static enum pcp_drop admit(struct pcp *p, const struct pcp_desk *desk, const struct pcp_arrival *from, uint64_t now_s)
{
	if (!pcp_ingress_is_inside(p->ingress, from->ifindex))
		return PCP_DROP_INTERFACE;
	if (!pcp_is_client(desk, from->source))
		return PCP_DROP_SOURCE;
	if (!pcp_rate_take(p->rate, from->source, from->ifindex, now_s))
		return PCP_DROP_RATE;
	return pcp_ingress_leads_back(p->ingress, from->source, from->ifindex) ? N_PCP_DROPS : PCP_DROP_INTERFACE;
}

static void count_answer(struct pcp *p, const struct pcp_outcome *o)
{
	unsigned opcode = o->result == PCP_UNSUPP_VERSION || o->opcode >= N_PCP_OPCODES ? PCP_OPCODE_OTHER : o->opcode;

	p->figures.answers[opcode][o->result]++;
}

static void answer(struct pcp *p, const struct place *at, const uint8_t *data, size_t size,
		   const struct pcp_arrival *from)
{
	const struct pcp_desk desk = { &p->rules, &pcp_lease_table, &p->leases };
	uint64_t now_s = boottime_s();
	uint8_t out[PCP_MAX_MESSAGE];
	enum pcp_drop dropped = admit(p, &desk, from, now_s);
	struct pcp_outcome outcome;
	size_t length;

	if (dropped != N_PCP_DROPS) {
		p->figures.drops[dropped]++;
		return;
	}
	length = pcp_answer(&desk, data, size, from->source, epoch_now(p), now_s, out, &outcome);
	if (!length) {
		p->figures.drops[PCP_DROP_SOURCE]++;
		return;
	}
	count_answer(p, &outcome);
	/* The client asks again where the answer is lost. */
	if (pcp_socket_answer(at->fd, from, out, length))
		p->figures.drops[PCP_DROP_SEND]++;
}

static void on_request(evutil_socket_t fd, short what, void *arg)
{
	struct place *at = arg;
	uint8_t data[RECEIVED_MAX];

	for (unsigned i = 0; i < REQUESTS_PER_TURN; i++) {
		struct pcp_arrival from;
		ssize_t n = pcp_socket_receive(at->fd, data, sizeof(data), &from);

		if (n == -EAGAIN)
			return;
		/* Errors that ICMP brought: of an earlier answer. */
		if (n >= 0)
			answer(at->owner, at, data, (size_t)n, &from);
	}
}

static void place_close(struct place *at)
{
	if (at->event)
		event_free(at->event);
	close_fd(&at->fd);
	*at = (struct place){ .fd = -1 };
}

/* The place of an address, or with 0 a free one; NULL: there is none. */
static struct place *place_of(struct pcp *p, uint32_t addr)
{
	for (size_t i = 0; i < ARRAY_SIZE(p->place); i++)
		if (addr ? p->place[i].owner && p->place[i].addr == addr : !p->place[i].owner)
			return &p->place[i];
	return NULL;
}

/* Listens at one more address. 0 or -errno. */
static int listen_at(struct pcp *p, uint32_t addr)
{
	struct place *at = place_of(p, 0);
	int fd = pcp_socket_open(addr);

	if (fd < 0)
		return fd;
	*at = (struct place){ .owner = p, .addr = addr, .fd = fd };
	at->event = event_new(p->base, fd, EV_READ | EV_PERSIST, on_request, at);
	if (!at->event || event_add(at->event, NULL)) {
		place_close(at);
		return -ENOMEM;
	}
	return 0;
}

static bool wants(const struct config_pcp *rules, uint32_t addr)
{
	for (uint32_t i = 0; rules->enabled && i < rules->n_listen; i++)
		if (rules->listen[i] == addr)
			return true;
	return false;
}

static int refuse(const struct config *c, uint32_t addr, uint32_t number, int r, const char *name, struct error *err)
{
	char text[ADDR_TEXT], path[32];

	snprintf(path, sizeof(path), "pcp.listen[%u]", number);
	return config_refuse(err, r, name, c ? config_line(c, path) : 0, path, "cannot listen on %s:%u: %s%s",
			     addr_format(addr, text), PCP_SERVER_PORT, strerror(-r),
			     r == -EADDRNOTAVAIL ? "; it must be an address of this machine, on an inside interface"
						 : "");
}

static void close_unwanted(struct pcp *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(p->place); i++)
		if (p->place[i].owner && !wants(&p->rules, p->place[i].addr))
			place_close(&p->place[i]);
}

/* Opens what is missing. 0, or -errno with err about the first that cannot be opened. */
static int open_missing(struct pcp *p, const struct config *c, const char *name, struct error *err)
{
	int r = 0;

	for (uint32_t i = 0; i < p->rules.n_listen; i++) {
		int this_r;

		if (place_of(p, p->rules.listen[i]))
			continue;
		this_r = listen_at(p, p->rules.listen[i]);
		if (this_r && !r)
			r = refuse(c, p->rules.listen[i], i, this_r, name, err);
	}
	return r;
}

static void stop_waiting(struct pcp *p)
{
	p->waits = false;
	trouble_clear(TROUBLE_PCP);
}

static void try_again(struct pcp *p)
{
	struct error why = { 0 };

	if (open_missing(p, NULL, NULL, &why))
		trouble_set(TROUBLE_PCP, "%s; tried again every second", why.text);
	else
		stop_waiting(p);
}

static void look_again(struct pcp *p, bool soon)
{
	const struct timeval pause = { .tv_usec = 1000 }, second = { .tv_sec = 1 };

	evtimer_add(p->second, soon ? &pause : &second);
}

/* Tells that leases are refused for want of room, once, until there is some again. */
static void warn_of_room(struct pcp *p)
{
	const struct pcp_shares *s = &p->leases.shares;
	size_t leases = portmaps_count(p->leases.portmaps, PORTMAP_PCP);

	if (!p->room_told && p->leases.refused != p->refused_told) {
		p->room_told = true;
		log_warning("leases of PCP are refused for want of room: there are %zu of %u, and each subscriber is "
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

int pcp_configure(struct pcp *p, const struct config *c, bool wait, const char *name, struct error *err)
{
	struct config_pcp before = p->rules;
	int r;

	p->rules = c->pcp;
	if (!c->pcp.enabled) {
		close_unwanted(p);
		stop_waiting(p);
		return 0;
	}
	r = open_missing(p, c, name, err);
	if (r && !wait) {
		p->rules = before;
		close_unwanted(p);
		return r;
	}
	close_unwanted(p);
	p->waits = r;
	if (r)
		trouble_set(TROUBLE_PCP, "%s; tried again every second", err->text);
	else
		stop_waiting(p);
	return 0;
}

/* What the operator may not expect, once for each number of leases and subscribers. */
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
		log_error("no memory for the mappings that PCP serves; it goes on with those of before");
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
	for (uint32_t i = 0; c->pcp.enabled && i < c->pcp.n_listen; i++) {
		int fd;

		if (running && wants(&running->pcp, c->pcp.listen[i]))
			continue;
		fd = pcp_socket_open(c->pcp.listen[i]);
		if (fd < 0)
			return refuse(c, c->pcp.listen[i], i, fd, name, err);
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
	if (r)
		return r;
	p->rate = calloc(1, sizeof(*p->rate));
	p->second = evtimer_new(p->base, on_second, p);
	if (!p->rate || !p->second)
		return -ENOMEM;
	errno = 0;
	if (getrandom(&p->rate->seed, sizeof(p->rate->seed), 0) != (ssize_t)sizeof(p->rate->seed))
		return errno_or(EIO);
	p->rate->seed |= 1;
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
	for (size_t i = 0; i < ARRAY_SIZE(p->place); i++)
		if (p->place[i].owner)
			place_close(&p->place[i]);
	if (p->second)
		event_free(p->second);
	pcp_announcer_free(p->announcer);
	pcp_ingress_free(p->ingress);
	pcp_leases_free(&p->leases);
	free(p->rate);
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
	ret->no_room = p->leases.refused;
	ret->epoch = epoch_now((void *)p);
}
