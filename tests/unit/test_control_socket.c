/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the control socket lies, whose it is, and what becomes of what is there already. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "control/listener.h"

static char directory[] = "/tmp/detnat-socket-XXXXXX";
static char path[96];
static struct control_socket ours;
static struct error err;

static void setup(void)
{
	cr_assert(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/run/detnat/agent.sock", directory);
}

static void teardown(void)
{
	char command[160];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	cr_assert_eq(system(command), 0);
}

TestSuite(control_socket, .init = setup, .fini = teardown, .timeout = 300);

static int reach(const char where[static 1])
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	cr_assert_lt(strlen(where), sizeof(sa.sun_path));
	strcpy(sa.sun_path, where);
	return connect(fd, (struct sockaddr *)&sa, sizeof(sa)) ? -errno : 0;
}

Test(control_socket, is_made_with_its_directories_and_modes)
{
	struct stat st;
	char parent[128];

	umask(0077);
	cr_assert_eq(control_socket_open(path, &ours, &err), 0, "%s", err.text);
	cr_assert_eq(reach(path), 0);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert(S_ISSOCK(st.st_mode));
	cr_assert_eq(st.st_mode & 07777, 0660);
	snprintf(parent, sizeof(parent), "%s/run/detnat", directory);
	cr_assert_eq(stat(parent, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0755);
	cr_assert_eq(umask(0), 0077, "the umask is as it was");
	control_socket_close(&ours);
	cr_assert_eq(access(path, F_OK), -1);
}

Test(control_socket, one_left_behind_is_replaced)
{
	cr_assert_eq(control_socket_open(path, &ours, &err), 0, "%s", err.text);
	close(ours.fd); /* as a kill does */
	free(ours.path);
	cr_assert_eq(reach(path), -ECONNREFUSED);
	cr_assert_eq(control_socket_open(path, &ours, &err), 0, "%s", err.text);
	cr_assert_eq(reach(path), 0);
	control_socket_close(&ours);
}

Test(control_socket, one_that_is_answered_is_refused_and_left_alone)
{
	struct control_socket other;

	cr_assert_eq(control_socket_open(path, &ours, &err), 0, "%s", err.text);
	cr_assert_eq(control_socket_open(path, &other, &err), -EADDRINUSE);
	cr_assert(strstr(err.text, path));
	cr_assert_eq(reach(path), 0);
	control_socket_close(&ours);
}

Test(control_socket, a_full_backlog_is_an_answer)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), n;

	snprintf(path, sizeof(path), "%s/agent.sock", directory);
	strcpy(sa.sun_path, path);
	cr_assert_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	cr_assert_eq(listen(fd, 0), 0);
	for (n = 0; n < 16; n++) {
		int client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

		if (connect(client, (struct sockaddr *)&sa, sizeof(sa)))
			break;
	}
	cr_assert_lt(n, 16);
	cr_assert_eq(control_socket_open(path, &ours, &err), -EADDRINUSE);
}

Test(control_socket, a_file_that_is_no_socket_is_left_alone)
{
	snprintf(path, sizeof(path), "%s/file", directory);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	cr_assert_eq(control_socket_open(path, &ours, &err), -EADDRINUSE);
	cr_assert(strstr(err.text, "not a socket"), "%s", err.text);
	cr_assert_eq(access(path, F_OK), 0);
}

Test(control_socket, a_socket_that_took_its_place_is_not_removed)
{
	struct control_socket other;

	cr_assert_eq(control_socket_open(path, &ours, &err), 0, "%s", err.text);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(control_socket_open(path, &other, &err), 0, "%s", err.text);
	control_socket_close(&ours);
	cr_assert_eq(reach(path), 0);
	control_socket_close(&other);
	cr_assert_eq(access(path, F_OK), -1);
}

Test(control_socket, paths_that_cannot_be_are_refused)
{
	char longest[160];

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	longest[0] = '/';
	cr_assert_eq(control_socket_open(longest, &ours, &err), -ENAMETOOLONG);
	cr_assert_eq(control_socket_open("", &ours, &err), -ENAMETOOLONG);
	snprintf(path, sizeof(path), "%s/file", directory);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	strcat(path, "/agent.sock");
	cr_assert_lt(control_socket_open(path, &ours, &err), 0);
}
