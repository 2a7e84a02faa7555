/* SPDX-License-Identifier: BSD-2-Clause */
#include "attacks/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/address.h"
#include "base/background.h"
#include "base/base.h"
#include "base/log.h"
#include "config/config.h"
#include "host/paths.h"

#define STACK	(128U << 10)
#define POLL_NS 20000000

/* How long an end of the agent waits for a thread that the kernel holds up, as on a file system that hangs. */
#define ABORT_SECONDS 1

enum outcome { OUTCOME_EXITED, OUTCOME_KILLED, OUTCOME_NOT_STARTED };

/* The thread writes outcome and status, then ended, and touches nothing afterwards. */
struct exec_run {
	pthread_t thread;
	char path[CONFIG_EXEC_PATH];
	char addr[ADDR_TEXT];
	char rate[24];
	char hold[40];
	enum outcome outcome;
	int status; /* of waitpid(), or errno */
	atomic_bool stop;
	atomic_bool ended;
};

static int start(struct exec_run *run, pid_t *ret)
{
	static char search[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	char *const arguments[] = { run->path, run->addr, run->rate, NULL };
	char *const environment[] = { search, run->hold, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	sigset_t none, all;
	int r;

	/* Whoever owns it would run what he likes as root. */
	if (path_is_anothers(run->path))
		return EPERM;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&how);
	/* Its output goes where the agent's log does. */
	r = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
	if (!r)
		r = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setsigmask(&how, &none);
	posix_spawnattr_setsigdefault(&how, &all);
	posix_spawnattr_setpgroup(&how, 0);
	if (!r)
		r = posix_spawn(ret, run->path, &files, &how, arguments, environment);
	posix_spawnattr_destroy(&how);
	posix_spawn_file_actions_destroy(&files);
	return r;
}

static void wait_for(struct exec_run *run, pid_t pid)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	const uint64_t until = monotonic_us() + EXEC_SECONDS * 1000000ULL;

	for (;;) {
		pid_t r = waitpid(pid, &run->status, WNOHANG);

		if (r == pid)
			return;
		if (r < 0 && errno != EINTR)
			break;
		if (atomic_load(&run->stop) || monotonic_us() >= until)
			break;
		nanosleep(&pause, NULL);
	}
	run->outcome = OUTCOME_KILLED;
	kill(-pid, SIGKILL);
	while (waitpid(pid, &run->status, 0) < 0 && errno == EINTR)
		;
}

static void *work(void *arg)
{
	struct exec_run *run = arg;
	pid_t pid;

	run->status = start(run, &pid);
	if (run->status)
		run->outcome = OUTCOME_NOT_STARTED;
	else
		wait_for(run, pid);
	atomic_store(&run->ended, true);
	return NULL;
}

int exec_begin(const char *path, uint32_t addr, uint64_t rate, uint32_t hold_s, struct exec_run **ret)
{
	_cleanup_free_ struct exec_run *run = calloc(1, sizeof(*run));
	int r;

	if (!run)
		return -ENOMEM;
	snprintf(run->path, sizeof(run->path), "%s", path);
	addr_format(addr, run->addr);
	snprintf(run->rate, sizeof(run->rate), "%" PRIu64, rate);
	snprintf(run->hold, sizeof(run->hold), "DETNAT_HOLD=%u", hold_s);
	r = thread_start(&run->thread, STACK, work, run);
	if (r)
		return r;
	*ret = take_pointer(run);
	return 0;
}

static void tell(const struct exec_run *run)
{
	switch (run->outcome) {
	case OUTCOME_NOT_STARTED:
		log_warning("attack: %s %s cannot be run: %s", run->path, run->addr, strerror(run->status));
		break;
	case OUTCOME_KILLED:
		log_warning("attack: %s %s was killed after %u s", run->path, run->addr, EXEC_SECONDS);
		break;
	default:
		if (WIFSIGNALED(run->status))
			log_warning("attack: %s %s was ended by signal %d", run->path, run->addr,
				    WTERMSIG(run->status));
		else if (WEXITSTATUS(run->status))
			log_warning("attack: %s %s ended with status %d", run->path, run->addr,
				    WEXITSTATUS(run->status));
	}
}

bool exec_ended(struct exec_run *run, bool *ret_failed)
{
	if (!atomic_load(&run->ended))
		return false;
	pthread_join(run->thread, NULL);
	*ret_failed = run->outcome != OUTCOME_EXITED || !WIFEXITED(run->status) || WEXITSTATUS(run->status);
	tell(run);
	free(run);
	return true;
}

void exec_abort(struct exec_run *run)
{
	struct timespec until;

	atomic_store(&run->stop, true);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ABORT_SECONDS;
	/* A thread that is stuck keeps its memory. */
	if (pthread_timedjoin_np(run->thread, NULL, &until))
		pthread_detach(run->thread);
	else
		free(run);
}
