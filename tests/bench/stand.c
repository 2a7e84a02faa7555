// SPDX-License-Identifier: BSD-2-Clause
/*
 * A row that stands in a world, step by step; and a partner, which has another one in a world of its own, in a process
 * of its own. Both are on the same core, and the one waits while the other runs.
 */
#include "stand.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A ramp-up of few sessions takes no longer than a disturbance: so many, or as many as open what a run has packets. */
#define MOST_RAMP_UPS 3U

struct answer {
	bool done;
	bool wrong;
	struct sample sample;
	char skipped[256];
};

/* Ramp-ups, the median of which is the sample; the tables are full after it. */
static bool open_all(struct stand *st, struct sample *ret)
{
	uint64_t wanted = st->o->packets / row_sessions(st->s.row);
	struct result *res = &st->res;

	res->path[PATH_OPEN].n = 0;
	for (unsigned i = 0; i == 0 || (i < wanted && i < MOST_RAMP_UPS); i++)
		row_fill(st->b, &st->s, false, res);
	if (!res->path[PATH_OPEN].n)
		return false;
	*ret = series_median(&res->path[PATH_OPEN]);
	return true;
}

bool stand_step(struct stand *st, const struct step *p, struct sample *ret)
{
	/* Short runs, one of which nothing disturbs. */
	const struct options o = { .packets = st->o->packets / 2 };

	switch (p->what) {
	case STEP_BEGIN:
		st->res.row = p->row;
		row_csit_name(p->row, st->res.csit);
		return row_begin(st->b, p->row, &st->s, &st->res);
	case STEP_OPEN:
		return open_all(st, ret);
	case STEP_RUN:
		return row_measure(st->b, &st->s, &o, p->path, false, ret);
	case STEP_END:
		if (!st->res.verified)
			row_verify(st->b, &st->s, &st->res);
		space_free(st->b, &st->s);
		break;
	}
	return true;
}

/* The partner's process: until the other one closes its end. */
static void __attribute__((noreturn)) serve(int requests, int answers, const struct options *o, const struct room *room)
{
	static struct stand st;
	struct bench b;
	struct step step;

	world_make(&b, room);
	st = (struct stand){ .b = &b, .o = o };
	while (read(requests, &step, sizeof(step)) == sizeof(step)) {
		struct answer a = { .done = false };

		if (step.what == STEP_BEGIN)
			st.res = (struct result){ .row = step.row };
		a.done = stand_step(&st, &step, &a.sample);
		a.wrong = st.res.wrong;
		memcpy(a.skipped, st.res.skipped, sizeof(a.skipped));
		if (write(answers, &a, sizeof(a)) != sizeof(a))
			break;
	}
	world_end(&b);
	exit(0);
}

void partner_start(struct partner *p, const struct options *o, const struct room *room)
{
	const struct room its = { .list = room->list, .cores = 1 };
	int requests[2], answers[2];

	if (pipe2(requests, O_CLOEXEC) || pipe2(answers, O_CLOEXEC))
		die("a pipe", errno);
	p->pid = fork();
	if (p->pid < 0)
		die("a process for the rows that others are compared with", errno);
	if (!p->pid) {
		/* A run that dies takes its partner with it, whatever the pipe says. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(requests[1]);
		close(answers[0]);
		serve(requests[0], answers[1], o, &its);
	}
	close(requests[0]);
	close(answers[1]);
	p->requests = requests[1];
	p->answers = answers[0];
}

bool partner_step(const struct partner *p, const struct step *step, struct sample *ret, struct result *res)
{
	struct answer a;

	if (write(p->requests, step, sizeof(*step)) != sizeof(*step) || read(p->answers, &a, sizeof(a)) != sizeof(a))
		die("the process of the rows that others are compared with has ended", EPIPE);
	*ret = a.sample;
	res->wrong |= a.wrong;
	if (a.skipped[0])
		memcpy(res->skipped, a.skipped, sizeof(res->skipped));
	return a.done;
}

void partner_end(struct partner *p)
{
	close_fd(&p->requests);
	close_fd(&p->answers);
	if (p->pid > 0)
		waitpid(p->pid, NULL, 0);
}
