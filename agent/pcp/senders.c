/* SPDX-License-Identifier: BSD-2-Clause */
#include "pcp/pcp_private.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <detnat/pcp_sender.h>

#include "base/base.h"
#include "detnat_pcp.skel.h"

struct pcp_senders {
	struct detnat_pcp *skeleton;
};

int pcp_senders_new(struct pcp_senders **ret)
{
	struct pcp_senders *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->skeleton = detnat_pcp__open();
	r = s->skeleton ? detnat_pcp__load(s->skeleton) : -errno;
	if (r) {
		pcp_senders_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void pcp_senders_free(struct pcp_senders *s)
{
	if (!s)
		return;
	detnat_pcp__destroy(s->skeleton);
	free(s);
}

int pcp_senders_watch(const struct pcp_senders *s, int socket)
{
	int program = bpf_program__fd(s->skeleton->progs.pcp_sender);

	return setsockopt(socket, SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof(program)) ? -errno : 0;
}

int pcp_senders_find(const struct pcp_senders *s, const struct pcp_arrival *from, const uint8_t *data, size_t size,
		     uint8_t ret_mac[static 6])
{
	struct pcp_sender_key key = { .addr = htonl(from->source), .port = htons(from->port) };
	struct pcp_sender value;
	int r;

	if (size < PCP_SENDER_FROM + PCP_SENDER_WHICH)
		return -ENOENT;
	memcpy(key.which, data + PCP_SENDER_FROM, sizeof(key.which));
	r = bpf_map_lookup_elem(bpf_map__fd(s->skeleton->maps.senders), &key, &value);
	if (!r)
		memcpy(ret_mac, value.mac, sizeof(value.mac));
	return r;
}
