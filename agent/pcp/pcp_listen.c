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

/* The place of an address, or with 0 a free one; NULL: there is none. */
static struct place *place_of(struct pcp *p, uint32_t addr)
{
	for (size_t i = 0; i < ARRAY_SIZE(p->place); i++)
		if (addr ? p->place[i].owner && p->place[i].addr == addr : !p->place[i].owner)
			return &p->place[i];
	return NULL;
}

void pcp_close_all(struct pcp *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(p->place); i++)
		if (p->place[i].owner)
			place_close(&p->place[i]);
}

/* Listens at one more address. 0 or -errno. */
static int listen_at(struct pcp *p, uint32_t addr)
{
	struct place *at = place_of(p, 0);
	uint32_t vrf;
	int fd = pcp_socket_open(addr, &vrf);

	if (fd < 0)
		return fd;
	*at = (struct place){ .owner = p, .addr = addr, .vrf = vrf, .fd = fd };
	if (p->senders && pcp_senders_watch(p->senders, fd))
		log_warning("PCP: the MAC addresses of clients are not known");
	at->event = event_new(p->base, fd, EV_READ | EV_PERSIST, pcp_on_request, at);
	if (!at->event || event_add(at->event, NULL)) {
		place_close(at);
		return -ENOMEM;
	}
	return 0;
}

bool pcp_wants(const struct config_pcp *rules, uint32_t addr)
{
	for (uint32_t i = 0; rules->enabled && i < rules->n_listen; i++)
		if (rules->listen[i] == addr)
			return true;
	return false;
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

bool pcp_close_moved(struct pcp *p)
{
	bool closed = false;

	for (size_t i = 0; i < ARRAY_SIZE(p->place); i++) {
		struct place *at = &p->place[i];

		/* Without interfaces in VRFs no address is in one. */
		if (!at->owner || (!at->vrf && !p->d->settings.vrf) || pcp_socket_vrf(at->addr) == at->vrf)
			continue;
		place_close(at);
		closed = true;
	}
	return closed;
}

int pcp_listen_missing(struct pcp *p, const struct config *c, const char *name, struct error *err)
{
	int r = 0;

	for (uint32_t i = 0; i < p->rules.n_listen; i++) {
		int this_r;

		if (place_of(p, p->rules.listen[i]))
			continue;
		this_r = listen_at(p, p->rules.listen[i]);
		if (this_r && !r)
			r = pcp_refuse_address(c, p->rules.listen[i], i, this_r, name, err);
	}
	return r;
}
