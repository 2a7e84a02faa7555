// SPDX-License-Identifier: BSD-2-Clause
/* plan: what sharing ratios would do to subscribers. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "command.h"
#include "json_get.h"
#include "message.h"
#include "plan_show.h"

static const uint32_t usual_ratios[] = { 16, 24, 32, 48, 64, 96, 128, 256 };
/* Where 256 still meets the target. */
static const uint32_t high_ratios[] = { 512, 1024, 2048, 4096 };
/* Ratios tried in one walk through the traffic, in search of the largest that meets the target. */
#define TRIED 7U

static int read_source(struct collection *c, const char *path, struct traffic_notes *notes, struct error *err)
{
	bool standard = !strcmp(path, "-");
	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	int64_t taken_ms = (int64_t)wall_clock_ms();
	struct stat st;
	int r;

	if (fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	/* A connection table says no time: it was taken when it was written. */
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size)
		taken_ms = st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	r = collection_read(c, fd, standard ? "standard input" : path, taken_ms, notes, err);
	if (!standard)
		close(fd);
	return r;
}

static int read_sources(struct plan_result *p, struct error *err)
{
	const cJSON *file;
	int r = 0;

	p->source = calloc((size_t)cJSON_GetArraySize(p->options->traffic), sizeof(*p->source));
	if (!p->source)
		return error_set(err, -ENOMEM, "out of memory");
	cJSON_ArrayForEach (file, p->options->traffic) {
		struct plan_source *s = &p->source[p->n_sources++];

		s->name = cJSON_GetStringValue(file);
		r = read_source(p->traffic, s->name, &s->notes, err);
		if (r)
			break;
	}
	return r;
}

static void say_garbage(const struct plan_source *s)
{
	struct error said;

	for (uint64_t i = 0; i < s->notes.garbage && i < TRAFFIC_NAMED; i++) {
		error_set(&said, 0, "%s:%llu is not understood: %s", s->name,
			  (unsigned long long)s->notes.named[i].line, s->notes.named[i].text);
		message_show(said.text);
	}
	if (s->notes.garbage > TRAFFIC_NAMED) {
		error_set(&said, 0, "%s: and %llu lines more, %llu in all", s->name,
			  (unsigned long long)s->notes.garbage - TRAFFIC_NAMED, (unsigned long long)s->notes.garbage);
		message_show(said.text);
	}
	if (s->notes.cut) {
		error_set(&said, 0, "warning: %s ends within a record", s->name);
		message_show(said.text);
	}
}

/* Refuses traffic of which too little is understood to plan with. */
static int check_sources(const struct plan_result *p, struct error *err)
{
	const struct collection *c = p->traffic;

	for (size_t i = 0; i < p->n_sources; i++)
		say_garbage(&p->source[i]);
	if (!c->n_in && c->unclear > (c->flows + c->towards) / 100)
		return error_set(err, -EINVAL,
				 "of %llu flows both ends are private, or neither is: which are the subscribers? Give "
				 "--in PREFIX",
				 (unsigned long long)c->unclear);
	if (!c->flows)
		return error_set(err, -EINVAL, "no flow is from a subscriber%s",
				 c->n_in ? ": does --in have their addresses before translation?"
					 : "; --in names them");
	return 0;
}

static void add_row(struct plan_result *p, uint32_t ratio)
{
	size_t at = 0;

	while (at < p->n && p->row[at].ratio < ratio)
		at++;
	if (p->n == PLANNER_MAX_ROWS || (at < p->n && p->row[at].ratio == ratio))
		return;
	memmove(&p->row[at + 1], &p->row[at], (p->n - at) * sizeof(p->row[0]));
	p->row[at] = planner_row_of(&p->options->settings, ratio);
	p->n++;
}

static bool meets(const struct plan_result *p, const struct planner_row *row)
{
	return planner_refused(row) <= p->options->target;
}

/* Fills rows of their own for ratios between two, and returns the largest that meets the target and the next one. */
static int narrow(struct plan_result *p, uint32_t *good, uint32_t *bad, struct error *err)
{
	struct planner_row row[TRIED];
	uint32_t step = (*bad - *good + TRIED) / (TRIED + 1), from = *good;
	size_t n = 0;
	int r;

	for (uint32_t ratio = from + step; ratio < *bad && n < TRIED; ratio += step)
		row[n++] = planner_row_of(&p->options->settings, ratio);
	r = planner_rows_fill(p->traffic, &p->options->settings, &p->demand, row, n, err);
	for (size_t i = 0; !r && i < n; i++) {
		if (!meets(p, &row[i])) {
			*bad = row[i].ratio;
			break;
		}
		*good = row[i].ratio;
	}
	return r;
}

/* Adds filled rows for ratios. */
static int add_filled(struct plan_result *p, const uint32_t *ratio, size_t n, struct error *err)
{
	struct plan_result more = { .options = p->options };
	int r;

	for (size_t i = 0; i < n; i++)
		add_row(&more, ratio[i]);
	r = planner_rows_fill(p->traffic, &p->options->settings, &p->demand, more.row, more.n, err);
	for (size_t i = 0; !r && i < more.n; i++) {
		add_row(p, more.row[i].ratio);
		for (size_t k = 0; k < p->n; k++)
			if (p->row[k].ratio == more.row[i].ratio)
				p->row[k] = more.row[i];
	}
	return r;
}

/* The largest ratio that meets the target, in a row of its own. */
static int find_target(struct plan_result *p, struct error *err)
{
	uint32_t good = 0, bad = 0;
	int r = 0;

	if (meets(p, &p->row[p->n - 1]))
		r = add_filled(p, high_ratios, ARRAY_SIZE(high_ratios), err);
	for (size_t i = 0; !r && i < p->n && !bad; i++) {
		if (meets(p, &p->row[i]))
			good = p->row[i].ratio;
		else
			bad = p->row[i].ratio;
	}
	while (!r && bad && bad - good > 1)
		r = narrow(p, &good, &bad, err);
	if (!r && good)
		r = add_filled(p, &good, 1, err);
	p->meets = good;
	return r;
}

/* The least ratio for which the outside addresses suffice gets a row. */
static void add_fitting(struct plan_result *p)
{
	uint64_t addresses = range_addresses(p->options->out, p->options->n_out), ratio;

	if (!addresses)
		return;
	ratio = (p->subscribers + addresses - 1) / addresses;
	if (!ratio || ratio > MAPPING_PORTS)
		return;
	p->fits = (uint32_t)ratio;
	add_row(p, p->fits);
}

static int fill(struct plan_result *p, struct error *err)
{
	int r = 0;

	if (p->traffic) {
		r = read_sources(p, err);
		r = r ? r : check_sources(p, err);
		r = r ? r : planner_demand_read(p->traffic, &p->options->settings, &p->demand, err);
		if (!r && !p->demand.subscribers)
			r = error_set(
				err, -EINVAL,
				"all sessions have been idle for longer than detnat keeps them: nothing is left to "
				"plan with");
	}
	if (r)
		return r;
	p->subscribers = p->options->subscribers ? p->options->subscribers : p->demand.subscribers;
	for (size_t i = 0; i < ARRAY_SIZE(usual_ratios); i++)
		add_row(p, usual_ratios[i]);
	add_fitting(p);
	if (!p->traffic)
		return 0;
	r = planner_rows_fill(p->traffic, &p->options->settings, &p->demand, p->row, p->n, err);
	return !r && p->options->target >= 0 ? find_target(p, err) : r;
}

static int plan_run(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	struct plan_options options;
	struct collection traffic;
	struct plan_result p = { .options = &options };
	int r = plan_options_read(args, &options, err);

	if (r)
		return EXIT_USAGE;
	collection_init(&traffic);
	traffic.in = options.in;
	traffic.n_in = options.n_in;
	memcpy(traffic.timeout_s, options.settings.timeout_s, sizeof(traffic.timeout_s));
	p.traffic = options.traffic ? &traffic : NULL;
	r = fill(&p, err);
	if (!r && options.plot)
		r = plan_draw(options.plot, &p, err);
	if (!r && w->json)
		plan_show_json(w, &p);
	else if (!r)
		plan_show_text(w, &p);
	planner_demand_free(&p.demand);
	collection_free(&traffic);
	free(p.source);
	plan_options_free(&options);
	return r ? EXIT_REFUSED : EXIT_DONE;
}

const struct view view_plan = { .run = plan_run };
