// SPDX-License-Identifier: BSD-2-Clause
#include "ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/whole_file.h"

#define STATUS_REFUSED	   1
#define STATUS_USAGE	   2
#define STATUS_UNREACHABLE 3
/* What is kept of its messages. */
#define MESSAGES 4096U

/* By which an answer's share of files grows. */
#define SHARE_STEP (4U << 20)

static int64_t now_ms(void)
{
	return (int64_t)(clock_ns(CLOCK_MONOTONIC) / NS_PER_MS);
}

/* A process and this side's ends of its standard streams; -1: closed. */
struct child {
	pid_t pid;
	int in, out, err;
};

static int spawn(const char *program, char *const *argv, const int pipes[3][2], pid_t *ret)
{
	static char *const environment[] = { "LC_ALL=C", "PATH=/usr/bin:/bin", NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t signals;
	int r;

	sigemptyset(&signals);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &signals);
	/* A group of its own, so that what it runs ends with it. */
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipes[0][0], 0);
	posix_spawn_file_actions_adddup2(&actions, pipes[1][1], 1);
	posix_spawn_file_actions_adddup2(&actions, pipes[2][1], 2);
	r = posix_spawn(ret, program, &actions, &attributes, argv, environment);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -r;
}

static int start(const char *program, char *const *argv, struct child *ret)
{
	int pipes[3][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
	int r = 0;

	for (unsigned i = 0; i < 3 && !r; i++)
		r = pipe2(pipes[i], O_CLOEXEC) ? -errno : 0;
	if (!r)
		r = spawn(program, argv, pipes, &ret->pid);
	if (!r) {
		ret->in = take_fd(pipes[0][1]);
		ret->out = take_fd(pipes[1][0]);
		ret->err = take_fd(pipes[2][0]);
		fcntl(ret->in, F_SETFL, O_NONBLOCK);
	}
	for (unsigned i = 0; i < 3; i++) {
		close_fd(&pipes[i][0]);
		close_fd(&pipes[i][1]);
	}
	return r;
}

static void shut(int *fd)
{
	close_fd(fd);
	*fd = -1;
}

static uint64_t limit_of(const struct ask *ask)
{
	return ask->archive ? ASK_ARCHIVE : ASK_OUTPUT;
}

static int seconds_of(const struct ask *ask)
{
	return ask->archive ? ASK_ARCHIVE_S : ASK_SECONDS;
}

static int open_file(struct ask_answer *to)
{
	to->fd = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return to->fd < 0 ? -errno : 0;
}

/* Appends to the file, whose share grows with it. -EBUSY: all is taken. */
static int keep_in_file(struct ask_answer *to, const char *piece, size_t size)
{
	int r;

	while (to->size + size > to->taken) {
		if (!share_take(SHARE_ANSWERS, &to->who, SHARE_STEP))
			return -EBUSY;
		to->taken += SHARE_STEP;
	}
	r = size ? file_write(to->fd, piece, size, to->size) : 0;
	to->size += r ? 0 : size;
	return r;
}

/* What begins to be long moves to a file. */
static int keep(struct ask_answer *to, const char *piece, size_t size, uint64_t limit)
{
	int r = 0;

	if (to->size + to->text.size + size > limit)
		return -E2BIG;
	if (to->fd < 0 && to->text.size + size <= ASK_IN_MEMORY)
		return buffer_add(&to->text, piece, size, ASK_IN_MEMORY);
	if (to->fd < 0)
		r = open_file(to);
	r = r ? r : keep_in_file(to, to->text.data, to->text.size);
	buffer_free(&to->text);
	return r ? r : keep_in_file(to, piece, size);
}

/* Reads what is there; the descriptor is closed at its end. What is beyond the limit is -E2BIG. */
static int drain(int *fd, struct ask_answer *to, uint64_t limit)
{
	char piece[65536];
	ssize_t n = read(*fd, piece, sizeof(piece));

	if (n > 0)
		return keep(to, piece, (size_t)n, limit);
	if (n == 0 || errno != EINTR)
		shut(fd);
	return 0;
}

static void feed(int *fd, const struct buffer *input, size_t *done)
{
	ssize_t n = input && *done < input->size ? write(*fd, input->data + *done, input->size - *done) : 0;

	if (n > 0)
		*done += (size_t)n;
	if (!input || *done == input->size || (n < 0 && errno != EAGAIN && errno != EINTR))
		shut(fd);
}

/* Whether somebody waits for the answer. */
static bool is_wanted(void *arg)
{
	const struct ask *ask = arg;
	struct pollfd p = { ask->client, POLLRDHUP, 0 };

	return !ask->client || poll(&p, 1, 0) <= 0;
}

/* Until both outputs are at their end: 0, -ETIME, -ECONNRESET: nobody waits, -E2BIG, -ENOMEM, or what a file's disk
 * says. */
static int talk(struct child *c, const struct ask *ask, struct ask_answer *out, struct ask_answer *messages)
{
	int64_t until = now_ms() + INT64_C(1000) * seconds_of(ask);
	size_t done = 0;
	int r = 0;

	while (!r && (c->out >= 0 || c->err >= 0)) {
		struct pollfd p[] = { { c->in, POLLOUT, 0 },
				      { c->out, POLLIN, 0 },
				      { c->err, POLLIN, 0 },
				      { ask->client ? ask->client : -1, POLLRDHUP, 0 } };
		int64_t left = until - now_ms();

		if (left <= 0)
			return -ETIME;
		if (poll(p, 4, (int)left) <= 0)
			continue;
		if (p[3].revents)
			return -ECONNRESET;
		if (p[0].revents)
			feed(&c->in, ask->input, &done);
		if (p[1].revents)
			r = drain(&c->out, out, limit_of(ask));
		if (p[2].revents && drain(&c->err, messages, MESSAGES))
			shut(&c->err);
	}
	return r;
}

/* Ends the process if it still runs. Returns its exit status, or -1. */
static int finish(struct child *c, bool kill_it)
{
	int status = 0;

	if (kill_it)
		kill(-c->pid, SIGKILL);
	shut(&c->in);
	shut(&c->out);
	shut(&c->err);
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The first of its messages that is no warning, without the program's name. */
static unsigned explain(int status, const struct buffer *messages, struct error *err)
{
	static const char name[] = "detnatctl: ", warning[] = "detnatctl: warning: ";
	const char *at = messages->data ? messages->data : "", *stop = at + messages->size;

	while (stop - at > (ptrdiff_t)sizeof(warning) && !strncmp(at, warning, sizeof(warning) - 1) &&
	       memchr(at, '\n', (size_t)(stop - at)))
		at = (const char *)memchr(at, '\n', (size_t)(stop - at)) + 1;
	if (stop - at >= (ptrdiff_t)sizeof(name) && !strncmp(at, name, sizeof(name) - 1))
		at += sizeof(name) - 1;
	while (stop > at && stop[-1] == '\n')
		stop--;
	error_set(err, 0, "%.*s", (int)(stop - at), stop > at ? at : "");
	if (stop == at)
		error_set(err, 0, "detnatctl ended without an answer; see the journal of detnat-desk");
	switch (status) {
	case STATUS_REFUSED:
		return 404;
	case STATUS_USAGE:
		return 400;
	case STATUS_UNREACHABLE:
		return 503;
	default:
		return 502;
	}
}

static unsigned broke_off(int r, const struct ask *ask, struct error *err)
{
	if (r == -ETIME) {
		error_set(err, 0,
			  "the agent did not answer within %d s; try again, or see `detnatctl status` on the gateway",
			  seconds_of(ask));
		return 504;
	}
	if (r == -EBUSY)
		error_set(err, 0, "too many long answers at once; try again in some seconds");
	else if (r == -E2BIG)
		error_set(err, 0, "the answer is longer than 64 MiB, or the archive than 2 GiB; ask for less at once");
	else
		error_set(err, 0, "the answer cannot be kept: %s", strerror(-r));
	return r == -E2BIG ? 413 : 503;
}

const char *ask_answer_map(const struct ask_answer *a, size_t *ret_size)
{
	void *text;

	*ret_size = a->fd < 0 ? a->text.size : a->size;
	if (a->fd < 0)
		return a->text.data;
	text = mmap(NULL, a->size, PROT_READ, MAP_PRIVATE, a->fd, 0);
	return text == MAP_FAILED ? NULL : text;
}

void ask_answer_unmap(const struct ask_answer *a, const char *text, size_t size)
{
	if (a->fd >= 0 && text)
		munmap((void *)(uintptr_t)text, size);
}

void ask_answer_free(struct ask_answer *a)
{
	buffer_free(&a->text);
	close_fd(&a->fd);
	share_give(SHARE_ANSWERS, &a->who, a->taken);
	*a = ASK_NO_ANSWER;
}

static unsigned run(const struct ask_at *at, char *const *argv, const struct ask *ask, struct ask_answer *out,
		    struct error *err)
{
	_cleanup_answer_ struct ask_answer messages = ASK_NO_ANSWER;
	struct child c;
	int r = start(at->program, argv, &c), status;

	if (r) {
		error_set(err, 0, "%s cannot be run: %s", at->program, strerror(-r));
		return 502;
	}
	r = talk(&c, ask, out, &messages);
	status = finish(&c, r != 0);
	if (r)
		return broke_off(r, ask, err);
	/* Findings and unanswered questions end with status 1, and are answers. */
	if ((!out->text.size && !out->size) || (status != 0 && (ask->archive || status != STATUS_REFUSED)))
		return explain(status, &messages.text, err);
	return 200;
}

void ask_add(struct ask *a, const char *word)
{
	if (a->n < ASK_MAX_WORDS)
		a->words[a->n++] = word;
}

void ask_add_option(struct ask *a, const char *option, const char *value)
{
	if (!value)
		return;
	ask_add(a, option);
	ask_add(a, value);
}

unsigned ask_ctl(const struct ask_at *at, const struct ask *ask, struct ask_answer *ret, struct error *err)
{
	const char *argv[ASK_MAX_WORDS + 6] = { "detnatctl", "-j", "-s", at->control };
	_cleanup_answer_ struct ask_answer out = { .fd = -1, .who = *ask->who };
	unsigned status;
	int r = 0;

	memcpy(argv + 4, ask->words, ask->n * sizeof(*argv));
	if (!share_wait(SHARE_PROCESSES, ask->who, 1, ASK_WAIT_S, is_wanted, (void *)(uintptr_t)ask)) {
		error_set(err, 0, "too many questions at once; try again in some seconds");
		return 503;
	}
	if (ask->archive)
		r = open_file(&out);
	status = r ? broke_off(r, ask, err) : run(at, (char *const *)argv, ask, &out, err);
	share_give(SHARE_PROCESSES, ask->who, 1);
	if (status == 200) {
		*ret = out;
		out = ASK_NO_ANSWER;
	}
	return status;
}
