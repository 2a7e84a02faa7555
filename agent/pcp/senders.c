/* SPDX-License-Identifier: BSD-2-Clause */
#include "pcp/pcp_private.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <detnat/pcp_sender.h>

#include "base/base.h"
#include "detnat_agent.skel.h"

struct pcp_senders {
	struct detnat_agent *skeleton;
};

/* Loads the filter and its map alone. 0 or -errno. */
static int load(struct detnat_agent *skeleton)
{
	struct bpf_program *program;
	struct bpf_map *map;
	int r = 0;

	bpf_object__for_each_program(program, skeleton->obj)
		bpf_program__set_autoload(program, program == skeleton->progs.pcp_sender);
	bpf_object__for_each_map(map, skeleton->obj)
	{
		if (!r)
			r = bpf_map__set_autocreate(map, map == skeleton->maps.senders);
		if (!r)
			r = bpf_map__set_pin_path(map, NULL);
	}
	return r ? r : bpf_object__load(skeleton->obj);
}

int pcp_senders_new(struct pcp_senders **ret)
{
	struct pcp_senders *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->skeleton = detnat_agent__open();
	r = s->skeleton ? load(s->skeleton) : -errno;
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
	detnat_agent__destroy(s->skeleton);
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
