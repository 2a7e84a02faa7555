/* SPDX-License-Identifier: BSD-2-Clause */
/* Receives and checks requests, which come from a process with fewer rights, and sends answers. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <detnat/programs.h>
#include <detnat/reasons.h>

#include "helper.h"

/* Room for more than a request has, so that too many are told from enough. */
#define MAX_FDS 16

void request_close(struct request *q)
{
	for (unsigned i = 0; i < SHARE_REQUEST_FDS; i++)
		close_fd(&q->fd[i]);
}

/* Takes the descriptors out of a message; closes those that are too many. Returns how many came. */
static unsigned take_fds(struct msghdr *m, struct request *q)
{
	unsigned n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (n < SHARE_REQUEST_FDS)
				q->fd[n] = fd;
			else
				close(fd);
			n++;
		}
	}
	return n;
}

/* A program's descriptor would answer a question about a map, too, with other numbers in its places. */
static bool is_map(int fd)
{
	char link[64], target[32];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, target, sizeof(target) - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	return !strcmp(target, "anon_inode:bpf-map");
}

static int check_map(int fd, const char *name, uint32_t type, uint32_t value_size, uint32_t entries, struct error *err)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	if (!is_map(fd) || bpf_obj_get_info_by_fd(fd, &info, &size))
		return error_set(err, -EINVAL, "the descriptor for the map '%s' is not a map's", name);
	if (info.type != type || info.key_size != sizeof(uint32_t) || info.value_size != value_size ||
	    info.max_entries != entries)
		return error_set(err, -EINVAL,
				 "the map for '%s' is of type %u with keys of %u octets, values of %u and %u elements; "
				 "agent and helper must be of one version",
				 name, info.type, info.key_size, info.value_size, info.max_entries);
	return 0;
}

static int check_netns(int fd, struct error *err)
{
	struct statfs st;

	if (fstatfs(fd, &st) || st.f_type != NSFS_MAGIC || ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return error_set(err, -EINVAL, "the first descriptor is not of a network namespace");
	return 0;
}

static int check_fds(const struct request *q, unsigned n, struct error *err)
{
	int r;

	if (n != SHARE_REQUEST_FDS && (n != 1 || q->said.kind != SHARE_LIST))
		return error_set(err, -EINVAL, "a request has %d descriptors, not %u", SHARE_REQUEST_FDS, n);
	r = check_netns(q->fd[SHARE_NETNS], err);
	if (r || n == 1)
		return r;
	r = check_map(q->fd[SHARE_ENTRIES], "entries", BPF_MAP_TYPE_PROG_ARRAY, sizeof(uint32_t), N_ENTRIES, err);
	return r ? r
		 : check_map(q->fd[SHARE_COUNTERS], "counters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(struct counters), 1,
			     err);
}

static int check_said(const struct share_request *said, struct error *err)
{
	if (said->magic != SHARE_MAGIC)
		return error_set(err, -EBADMSG, "not a request to detnat-xdp");
	if (said->version != SHARE_VERSION)
		return error_set(err, -EPROTO,
				 "the request is of version %u and detnat-xdp of version %u: restart both",
				 said->version, SHARE_VERSION);
	if (said->kind < SHARE_LIST || said->kind > SHARE_DETACH || said->mode > SHARE_SKB ||
	    said->entry >= N_ENTRIES || said->flags & (uint8_t)~SHARE_TRY || said->pad ||
	    (said->kind == SHARE_ATTACH && said->mode == SHARE_ANY))
		return error_set(err, -EBADMSG, "the request has values that no request has");
	if (!said->ifindex || said->ifindex > INT32_MAX)
		return error_set(err, -ENODEV, "the request names no interface");
	return 0;
}

int request_receive(int connection, struct request *ret, struct error *err)
{
	union {
		char room[CMSG_SPACE(MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec data = { &ret->said, sizeof(ret->said) };
	struct msghdr m = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t length = recvmsg(connection, &m, MSG_CMSG_CLOEXEC);
	unsigned n;
	int r;

	if (length < 0)
		return error_set(err, -errno, "no request came: %s", strerror(errno));
	n = take_fds(&m, ret);
	if (length != sizeof(ret->said) || m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return error_set(err, -EBADMSG, "a request has %zu octets, and no more", sizeof(ret->said));
	r = check_said(&ret->said, err);
	return r ? r : check_fds(ret, n, err);
}

int request_enter(const struct request *q, struct error *err)
{
	if (setns(q->fd[SHARE_NETNS], CLONE_NEWNET))
		return error_set(err, -errno, "the network namespace cannot be entered: %s", strerror(errno));
	return 0;
}

int answer_send(int connection, const struct share_answer *a, const int fd[SHARE_ANSWER_FDS])
{
	union {
		char room[CMSG_SPACE(SHARE_ANSWER_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec data = { (void *)a, sizeof(*a) };
	struct msghdr m = { .msg_iov = &data, .msg_iovlen = 1 };

	if (fd[SHARE_LINK] >= 0 && fd[SHARE_PROGRAM] >= 0) {
		struct cmsghdr *c = &control.align;

		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(SHARE_ANSWER_FDS * sizeof(int));
		memcpy(CMSG_DATA(c), fd, SHARE_ANSWER_FDS * sizeof(int));
	}
	return sendmsg(connection, &m, MSG_NOSIGNAL) == sizeof(*a) ? 0 : -errno;
}
