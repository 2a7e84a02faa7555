/* SPDX-License-Identifier: BSD-2-Clause */
/* The sockets of the PCP server. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "pcp/pcp_private.h"

static void place_close(struct place *at)
{
	if (at->event)
		event_free(at->event);
	close_fd(&at->fd);
	*at = (struct place){ .fd = -1 };
}

/* NULL: nobody listens there. */
static struct place *place_of(struct pcp *p, const struct pcp_home *home)
{
	for (size_t i = 0; i < ARRAY_SIZE(p->place); i++)
		if (p->place[i].owner && p->place[i].addr == home->addr && p->place[i].vrf == home->vrf)
			return &p->place[i];
	return NULL;
}

/* NULL: there is none. */
static struct place *free_place(struct pcp *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(p->place); i++)
		if (!p->place[i].owner)
			return &p->place[i];
	return NULL;
}

void pcp_close_all(struct pcp *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(p->place); i++)
		if (p->place[i].owner)
			place_close(&p->place[i]);
}

/* Whether another socket has the address, elsewhere; both then share it. */
static bool shares(struct pcp *p, uint32_t addr)
{
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(p->place); i++)
		if (p->place[i].owner && p->place[i].addr == addr)
			any |= !pcp_socket_share(p->place[i].fd);
	return any;
}

/* Listens at one more place. 0 or -errno. */
static int listen_at(struct pcp *p, const struct pcp_home *home)
{
	struct place *at = free_place(p);
	int fd = at ? pcp_socket_open(home, shares(p, home->addr)) : -ENOSPC;

	if (fd < 0)
		return fd;
	*at = (struct place){ .owner = p, .addr = home->addr, .vrf = home->vrf, .fd = fd };
	if (p->senders && pcp_senders_watch(p->senders, fd))
		log_warning("PCP: the MAC addresses of clients are not known");
	at->event = event_new(p->base, fd, EV_READ | EV_PERSIST, pcp_on_request, at);
	if (!at->event || event_add(at->event, NULL)) {
		place_close(at);
		return -ENOMEM;
	}
	return 0;
}

uint32_t pcp_listen_number(const struct config_pcp *rules, uint32_t addr)
{
	uint32_t i = 0;

	while (i < rules->n_listen && rules->listen[i] != addr)
		i++;
	return i;
}

bool pcp_wants(const struct config_pcp *rules, uint32_t addr)
{
	return rules->enabled && pcp_listen_number(rules, addr) < rules->n_listen;
}

int pcp_refuse_address(const struct config *c, uint32_t addr, uint32_t number, int r, const char *name,
		       struct error *err)
{
	char text[ADDR_TEXT], path[32];

	snprintf(path, sizeof(path), "pcp.listen[%u]", number);
	return config_refuse(err, r, name, c ? config_line(c, path) : 0, path, "cannot listen on %s:%u: %s%s",
			     addr_format(addr, text), PCP_SERVER_PORT, strerror(-r),
			     r == -EADDRNOTAVAIL ? "; it must be an address of this machine, on an inside interface"
						 : "");
}

void pcp_close_unwanted(struct pcp *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(p->place); i++)
		if (p->place[i].owner && !pcp_wants(&p->rules, p->place[i].addr))
			place_close(&p->place[i]);
}

/* Without interfaces in VRFs no address is in one. */
static bool may_move(const struct pcp *p)
{
	bool any = p->d->settings.vrf;

	for (size_t i = 0; i < ARRAY_SIZE(p->place) && !any; i++)
		any = p->place[i].owner && p->place[i].vrf;
	return any && p->rules.enabled;
}

bool pcp_close_moved(struct pcp *p)
{
	struct pcp_home home[PCP_PLACES];
	size_t n = may_move(p) ? pcp_socket_homes(&p->rules, home) : 0;
	bool changed = false;

	for (size_t i = 0; n && i < ARRAY_SIZE(p->place); i++) {
		struct place *at = &p->place[i];
		size_t k = 0;

		while (k < n && (home[k].addr != at->addr || home[k].vrf != at->vrf))
			k++;
		if (!at->owner || k < n)
			continue;
		place_close(at);
		changed = true;
	}
	for (size_t k = 0; k < n; k++)
		changed |= !place_of(p, &home[k]);
	return changed;
}

int pcp_listen_missing(struct pcp *p, const struct config *c, const char *name, struct error *err)
{
	struct pcp_home home[PCP_PLACES];
	size_t n = pcp_socket_homes(&p->rules, home);
	int r = 0;

	for (size_t k = 0; k < n; k++) {
		int this_r = place_of(p, &home[k]) ? 0 : listen_at(p, &home[k]);

		if (this_r && !r)
			r = pcp_refuse_address(c, home[k].addr, pcp_listen_number(&p->rules, home[k].addr), this_r,
					       name, err);
	}
	return r;
}
