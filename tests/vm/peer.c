// SPDX-License-Identifier: BSD-2-Clause
/*
 * Both ends of the guest's test traffic, in one static program.
 *
 *	peer reflect PORT LOG         answers TCP and UDP: a line with the address that it sees, then what it was sent;
 *	                              appends a line "PROTO ADDR:PORT" to LOG for each, and for each ICMP echo request
 *	peer tcp|udp SRC DST SIZE     sends SIZE octets and prints the address that the reflector saw; checks the rest
 *	peer stream SRC DST           the same on one TCP connection, once for each line of stdin
 *	peer icmp SRC DST             one echo request whose identifier is SRC's port
 *	peer punch SRC DST            UDP to DST until a datagram comes from there
 *	peer flood SRC DST FILE       UDP to DST each 4 ms, as guests are emulated; FILE says how often so far
 *	peer programs                 name, instructions and runs of each BPF program in the kernel, then the number of
 *                                 maps; runs are counted by kernel.bpf_stats_enabled
 *
 * SRC and DST are ADDR:PORT. Failures print one word: an errno's name, "timeout", "garbled".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MAX_PAYLOAD 65000U
#define HEADER_SIZE 32U /* the reflector's line, padded */
#define TIMEOUT_MS  5000
#define PUNCH_MS    100

static int fail(const char *why)
{
	printf("%s\n", why);
	return 1;
}

static int fail_errno(void)
{
	const char *name = strerrorname_np(errno);

	return fail(errno == EAGAIN || errno == EINPROGRESS ? "timeout" : name ? name : "error");
}

static int endpoint_of(const char *text, struct sockaddr_in *ret)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	char addr[INET_ADDRSTRLEN];
	unsigned port;

	if (sscanf(text, "%15[0-9.]:%u", addr, &port) != 2 || port > 65535 || !inet_aton(addr, &sa.sin_addr))
		return -EINVAL;
	sa.sin_port = htons((uint16_t)port);
	*ret = sa;
	return 0;
}

static const char *endpoint_text(const struct sockaddr_in *sa)
{
	static char text[HEADER_SIZE];

	snprintf(text, sizeof(text), "%s:%u", inet_ntoa(sa->sin_addr), ntohs(sa->sin_port));
	return text;
}

/* Writes whole or fails; a peer that went away is an error and no signal. */
static int send_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

static int recv_all(int fd, char *data, size_t size)
{
	while (size) {
		ssize_t n = recv(fd, data, size, 0);

		if (n == 0)
			errno = ECONNRESET;
		if (n <= 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

/* The outside. */

static void log_peer(FILE *log, const char *proto, const struct sockaddr_in *from)
{
	fprintf(log, "%s %s\n", proto, endpoint_text(from));
	fflush(log);
}

/* One TCP connection, served to its end in a process of its own: a 4-octet length, then as many octets, again and
 * again. */
static void serve_connection(int fd, const struct sockaddr_in *from)
{
	static char data[HEADER_SIZE + MAX_PAYLOAD];
	uint32_t size;

	while (recv_all(fd, (char *)&size, sizeof(size)) == 0) {
		size = ntohl(size);
		if (size > MAX_PAYLOAD || recv_all(fd, data + HEADER_SIZE, size) < 0)
			break;
		memset(data, 0, HEADER_SIZE);
		strcpy(data, endpoint_text(from));
		if (send_all(fd, data, HEADER_SIZE + size) < 0)
			break;
	}
	_exit(0);
}

static void accept_one(int listener, FILE *log)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	int fd = accept(listener, (struct sockaddr *)&from, &len);

	if (fd < 0)
		return;
	log_peer(log, "tcp", &from);
	if (fork() == 0)
		serve_connection(fd, &from);
	close(fd);
}

static void reflect_datagram(int fd, FILE *log)
{
	static char data[HEADER_SIZE + MAX_PAYLOAD];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(fd, data + HEADER_SIZE, MAX_PAYLOAD, 0, (struct sockaddr *)&from, &len);

	if (n < 0)
		return;
	log_peer(log, "udp", &from);
	memset(data, 0, HEADER_SIZE);
	strcpy(data, endpoint_text(&from));
	sendto(fd, data, HEADER_SIZE + (size_t)n, 0, (struct sockaddr *)&from, len);
}

/* The kernel answers; this only sees. */
static void log_echo(int fd, FILE *log)
{
	union {
		struct iphdr ip;
		char octets[2048];
	} packet;
	struct sockaddr_in from = { .sin_family = AF_INET };
	ssize_t n = recv(fd, &packet, sizeof(packet), 0);
	struct icmphdr icmp;

	if (n < (ssize_t)sizeof(struct iphdr) || (size_t)n < packet.ip.ihl * 4U + sizeof(icmp))
		return;
	memcpy(&icmp, packet.octets + packet.ip.ihl * 4U, sizeof(icmp));
	if (icmp.type != ICMP_ECHO)
		return;
	from.sin_addr.s_addr = packet.ip.saddr;
	from.sin_port = icmp.un.echo.id;
	log_peer(log, "icmp", &from);
}

static int reflect(const char *port, const char *log_path)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
	int icmp = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	FILE *log = fopen(log_path, "a");
	struct pollfd fds[] = { { .fd = tcp, .events = POLLIN },
				{ .fd = udp, .events = POLLIN },
				{ .fd = icmp, .events = POLLIN } };

	signal(SIGCHLD, SIG_IGN);
	setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (!log || tcp < 0 || udp < 0 || icmp < 0 || bind(tcp, (struct sockaddr *)&any, sizeof(any)) < 0 ||
	    bind(udp, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(tcp, 16) < 0)
		return fail_errno();
	fprintf(log, "ready\n");
	fflush(log);
	for (;;) {
		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[0].revents)
			accept_one(tcp, log);
		if (fds[1].revents)
			reflect_datagram(udp, log);
		if (fds[2].revents)
			log_echo(icmp, log);
	}
}

/* The inside. */

static void fill(char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (char)(i * 31 + (i >> 8));
}

/* A socket bound to src and connected to dst, with a timeout; -errno. */
static int open_socket(int type, int proto, const struct sockaddr_in *src, const struct sockaddr_in *dst)
{
	struct timeval timeout = { .tv_sec = TIMEOUT_MS / 1000 };
	struct sockaddr_in local = *src, remote = *dst;
	int fd = socket(AF_INET, type, proto);

	if (type == SOCK_RAW)
		local.sin_port = remote.sin_port = 0;
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	/* Datagrams longer than the MTU leave as fragments. */
	setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &(int){ IP_PMTUDISC_DONT }, sizeof(int));
	/* Errors of ICMP that a UDP socket would else keep to itself. */
	if (type == SOCK_DGRAM)
		setsockopt(fd, IPPROTO_IP, IP_RECVERR, &(int){ 1 }, sizeof(int));
	if (bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0 ||
	    connect(fd, (struct sockaddr *)&remote, sizeof(remote)) < 0)
		return -errno;
	return fd;
}

/* Prints what the reflector saw when its answer holds what was sent. */
static int check_answer(const char *answer, const char *sent, size_t size)
{
	if (memcmp(answer + HEADER_SIZE, sent, size) != 0 || !memchr(answer, 0, HEADER_SIZE))
		return fail("garbled");
	printf("%s\n", answer);
	fflush(stdout);
	return 0;
}

static int exchange_tcp(int fd, size_t size)
{
	static char sent[sizeof(uint32_t) + MAX_PAYLOAD], answer[HEADER_SIZE + MAX_PAYLOAD];
	uint32_t length = htonl((uint32_t)size);

	memcpy(sent, &length, sizeof(length));
	fill(sent + sizeof(length), size);
	if (send_all(fd, sent, sizeof(length) + size) < 0 || recv_all(fd, answer, HEADER_SIZE + size) < 0)
		return fail_errno();
	return check_answer(answer, sent + sizeof(length), size);
}

static int exchange_udp(int fd, size_t size)
{
	static char sent[MAX_PAYLOAD], answer[HEADER_SIZE + MAX_PAYLOAD];
	ssize_t n;

	fill(sent, size);
	if (send(fd, sent, size, 0) < 0)
		return fail_errno();
	n = recv(fd, answer, sizeof(answer), 0);
	if (n < 0)
		return fail_errno();
	if ((size_t)n != HEADER_SIZE + size)
		return fail("garbled");
	return check_answer(answer, sent, size);
}

static int stream(int fd)
{
	char line[64];

	while (fgets(line, sizeof(line), stdin))
		if (exchange_tcp(fd, 1000) != 0)
			return 1;
	return 0;
}

static uint16_t checksum(const void *data, size_t size)
{
	const uint8_t *octets = data;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < size; i += 2)
		sum += (uint32_t)octets[i] << 8 | octets[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static int echo(int fd, uint16_t id_be)
{
	struct {
		struct icmphdr header;
		char data[56];
	} request = { .header = { .type = ICMP_ECHO, .un.echo = { .id = id_be, .sequence = htons(1) } } };
	char packet[2048];

	fill(request.data, sizeof(request.data));
	request.header.checksum = checksum(&request, sizeof(request));
	if (send(fd, &request, sizeof(request), 0) < 0)
		return fail_errno();
	for (;;) {
		ssize_t n = recv(fd, packet, sizeof(packet), 0);
		size_t ip_size = (packet[0] & 15) * 4U;
		struct icmphdr header;

		if (n < 0)
			return fail_errno();
		if ((size_t)n != ip_size + sizeof(request))
			continue;
		memcpy(&header, packet + ip_size, sizeof(header));
		if (header.type != ICMP_ECHOREPLY || header.un.echo.id != id_be)
			continue;
		if (checksum(packet + ip_size, sizeof(request)) != 0 ||
		    memcmp(packet + ip_size + sizeof(header), request.data, sizeof(request.data)) != 0)
			return fail("garbled");
		return 0;
	}
}

/* The last datagram goes out after the first came in, so that the other side gets one too, whoever was first. */
static int punch(int fd)
{
	struct timeval interval = { .tv_usec = PUNCH_MS * 1000 };
	char data[16];

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &interval, sizeof(interval));
	for (int i = 0; i < TIMEOUT_MS / PUNCH_MS; i++) {
		if (send(fd, "punch", 5, 0) < 0 && errno != ECONNREFUSED)
			return fail_errno();
		if (recv(fd, data, sizeof(data), 0) == 5)
			return send(fd, "punch", 5, 0) == 5 ? 0 : fail_errno();
	}
	return fail("timeout");
}

static int client(const char *what, const char *src_text, const char *dst_text, size_t size)
{
	int is_tcp = strcmp(what, "tcp") == 0 || strcmp(what, "stream") == 0, is_icmp = strcmp(what, "icmp") == 0;
	struct sockaddr_in src, dst;
	int fd;

	if (endpoint_of(src_text, &src) < 0 || endpoint_of(dst_text, &dst) < 0 || size > MAX_PAYLOAD)
		return fail("usage");
	fd = open_socket(is_icmp  ? SOCK_RAW
			 : is_tcp ? SOCK_STREAM
				  : SOCK_DGRAM,
			 is_icmp ? IPPROTO_ICMP : 0, &src, &dst);
	if (fd < 0)
		return fail_errno();
	if (is_icmp)
		return echo(fd, src.sin_port);
	if (strcmp(what, "stream") == 0)
		return stream(fd);
	if (strcmp(what, "punch") == 0)
		return punch(fd);
	return is_tcp ? exchange_tcp(fd, size) : exchange_udp(fd, size);
}

/* What the kernel holds. */

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int programs(void)
{
	union bpf_attr next = { 0 }, maps = { 0 };
	unsigned n_maps = 0;

	while (bpf(BPF_PROG_GET_NEXT_ID, &next) == 0) {
		union bpf_attr by_id = { .prog_id = next.next_id };
		struct bpf_prog_info info = { 0 };
		int fd = bpf(BPF_PROG_GET_FD_BY_ID, &by_id);
		union bpf_attr about = {
			.info = { .bpf_fd = (uint32_t)fd, .info_len = sizeof(info), .info = (uintptr_t)&info }
		};

		if (fd >= 0 && bpf(BPF_OBJ_GET_INFO_BY_FD, &about) == 0)
			printf("program %s %u instructions, verified %u, ran %llu\n", info.name,
			       info.xlated_prog_len / 8, info.verified_insns, info.run_cnt);
		if (fd >= 0)
			close(fd);
		next.start_id = next.next_id;
	}
	for (; bpf(BPF_MAP_GET_NEXT_ID, &maps) == 0; maps.start_id = maps.next_id)
		n_maps++;
	printf("maps %u\n", n_maps);
	return 0;
}

static int flood(const char *src, const char *dst, const char *file)
{
	struct sockaddr_in from, to;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	FILE *count = fopen(file, "w");

	if (endpoint_of(src, &from) || endpoint_of(dst, &to))
		return fail("usage");
	if (fd < 0 || !count || bind(fd, (struct sockaddr *)&from, sizeof(from)))
		return fail_errno();
	for (unsigned long sent = 0;; usleep(4000)) {
		/* Refused while there is no route, or where the gateway answers that there is no way. */
		if (sendto(fd, "flood", 5, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) == 5)
			sent++;
		rewind(count);
		fprintf(count, "%lu\n", sent);
		fflush(count);
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "programs") == 0)
		return programs();
	if (argc == 5 && strcmp(argv[1], "flood") == 0)
		return flood(argv[2], argv[3], argv[4]);
	if (argc == 4 && strcmp(argv[1], "reflect") == 0)
		return reflect(argv[2], argv[3]);
	if (argc == 4 || argc == 5)
		return client(argv[1], argv[2], argv[3], argc == 5 ? (size_t)atol(argv[4]) : 0);
	return fail("usage");
}
