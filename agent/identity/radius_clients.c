/* SPDX-License-Identifier: BSD-2-Clause */
#include "identity/radius_clients.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/base.h"

#define SOURCE_ADDRESS 12U /* in the IPv4 header */
#define WHOLE_PACKET   0xffffU
/* To load an address, mask it, compare it, and accept the packet. */
#define PER_CLIENT 4U

static int by_length(const void *a, const void *b)
{
	const struct prefix *x = a, *y = b; /* the first members */

	return (int)y->plen - (int)x->plen;
}

static int add(struct radius_clients *c, struct prefix from, const char *file, struct error *err)
{
	int r = secret_file_read(file, &c->client[c->n].secret, err);

	if (r)
		return r;
	c->client[c->n++].from = from;
	return 0;
}

int radius_clients_read(const struct config_lease_source *s, struct radius_clients *ret, const char **ret_key,
			struct error *err)
{
	const char *further = *s->forward_secret_file ? s->forward_secret_file : s->secret_file;
	struct radius_clients c = { 0 };
	int r = 0;

	*ret_key = "clients";
	for (uint32_t i = 0; i < s->n_clients && !r; i++)
		r = add(&c, s->client[i].from, s->client[i].secret_file, err);
	if (!r && *s->secret_file) {
		*ret_key = "secret_file";
		r = add(&c, (struct prefix){ 0 }, s->secret_file, err);
	}
	if (!r && s->forward.port) {
		*ret_key = *s->forward_secret_file ? "forward_secret_file" : "secret_file";
		r = secret_file_read(further, &c.forward, err);
	}
	if (!r) {
		qsort(c.client, c.n, sizeof(*c.client), by_length);
		*ret = c;
	}
	radius_clients_forget(&c);
	return r;
}

void radius_clients_forget(struct radius_clients *c)
{
	explicit_bzero(c, sizeof(*c));
}

static uint32_t mask_of(struct prefix p)
{
	return p.plen ? UINT32_MAX << (32 - p.plen) : 0;
}

int radius_clients_find(const struct radius_clients *c, uint32_t addr)
{
	for (uint32_t i = 0; i < c->n; i++)
		if ((addr & mask_of(c->client[i].from)) == c->client[i].from.base)
			return (int)i;
	return -1;
}

int radius_clients_filter(const struct radius_clients *c, int fd)
{
	struct sock_filter code[PER_CLIENT * RADIUS_CLIENTS + 1];
	struct sock_fprog program = { .filter = code };

	for (uint32_t i = 0; i < c->n; i++) {
		struct prefix from = c->client[i].from;
		const struct sock_filter one[PER_CLIENT] = {
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_NET_OFF + SOURCE_ADDRESS),
			BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask_of(from)),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, from.base, 0, 1),
			BPF_STMT(BPF_RET | BPF_K, WHOLE_PACKET),
		};

		memcpy(&code[program.len], one, sizeof(one));
		program.len += PER_CLIENT;
	}
	code[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ? -errno : 0;
}
