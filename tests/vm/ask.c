// SPDX-License-Identifier: BSD-2-Clause
/*
 * Asks detnat-xdp by itself, as the agent does:
 *
 *	ask SOCKET PINS list|attach|detach DEVICE PRIORITY [native|skb]
 *
 * prints what is under the dispatcher, a line "NAME PRIORITY [own]" each, and "failed: WHY"; "gone" if the helper ends
 * without an answer. The role is that of an interface inside. Status 0: it succeeded.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <detnat/xdp_helper.h>

static int get(const char *pins, const char *name)
{
	char path[256];
	union bpf_attr attr = { 0 };

	snprintf(path, sizeof(path), "%s/%s", pins, name);
	attr.pathname = (uintptr_t)path;
	return (int)syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof(attr));
}

int main(int argc, char **argv)
{
	struct share_request q = { .magic = SHARE_MAGIC, .version = SHARE_VERSION };
	union {
		char room[CMSG_SPACE(SHARE_REQUEST_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec data = { &q, sizeof(q) };
	struct msghdr m = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *c = &control.align;
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct share_answer a;
	int s = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	if (argc < 6)
		return 2;
	q.kind = !strcmp(argv[3], "list") ? SHARE_LIST : !strcmp(argv[3], "attach") ? SHARE_ATTACH : SHARE_DETACH;
	q.ifindex = if_nametoindex(argv[4]);
	q.priority = (uint8_t)atoi(argv[5]);
	q.mode = argc > 6 && !strcmp(argv[6], "skb") ? SHARE_SKB : SHARE_NATIVE;
	strncpy(to.sun_path, argv[1], sizeof(to.sun_path) - 1);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(SHARE_REQUEST_FDS * sizeof(int));
	memcpy(CMSG_DATA(c),
	       (int[]){ open("/proc/self/ns/net", O_RDONLY), get(argv[2], "entries"), get(argv[2], "counters") },
	       SHARE_REQUEST_FDS * sizeof(int));
	if (connect(s, (struct sockaddr *)&to, sizeof(to)) || sendmsg(s, &m, MSG_NOSIGNAL) != sizeof(q) ||
	    recv(s, &a, sizeof(a), 0) != sizeof(a)) {
		puts("gone");
		return 3;
	}
	for (unsigned i = 0; i < a.n_programs; i++)
		printf("%s %u%s\n", a.program[i].name, a.program[i].priority, a.program[i].own ? " own" : "");
	if (a.error)
		printf("failed: %s\n", a.text);
	return a.error ? 1 : 0;
}
