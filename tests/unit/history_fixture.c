/* SPDX-License-Identifier: BSD-2-Clause */
#include "history_fixture.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

struct history_lab lab;
const struct history_change lab_no_portmaps;
struct clock_reading (*lab_machine_clock)(void);

/* The other clock goes on where this one is set. */
struct clock_reading lab_clock(void)
{
	return (struct clock_reading){ lab.now * 1000000000, (lab.now - lab.set_by) * 1000000000, 0 };
}

void lab_set_clock(int64_t by)
{
	lab.now += by;
	lab.set_by += by;
}

void lab_begin(void)
{
	struct error err = { 0 };

	cr_assert_eq(history_open(lab.state, -1, &lab.history, &err), 0, "%s", err.text);
	cr_assert_eq(history_begin(lab.history, false, NULL, 0), 0);
	cr_assert_eq(history_settle(lab.history, &err), 0, "%s", err.text);
}

void lab_setup(void)
{
	lab = (struct history_lab){ .directory = "/dev/shm/detnat-history-XXXXXX", .now = NOON };
	cr_assert(mkdtemp(lab.directory));
	snprintf(lab.state, sizeof(lab.state), "%s/a/b", lab.directory);
	if (history_clock != lab_clock)
		lab_machine_clock = history_clock;
	history_clock = lab_clock;
	log_set_level(LOG_LEVEL_ERROR);
	lab_begin();
}

void lab_teardown(void)
{
	char command[128];

	history_close(lab.history);
	snprintf(command, sizeof(command), "rm -rf %s", lab.directory);
	cr_assert_eq(system(command), 0);
}

struct history_mapping lab_mapping(const char *in, const char *out)
{
	struct history_mapping m = { .from = TIME_NONE };

	cr_assert_eq(prefix_parse(in, &m.in), 0);
	cr_assert_eq(prefix_parse(out, &m.out), 0);
	return m;
}

const char *lab_events(void)
{
	static char words[4096];
	struct history_files f;
	struct error err = { 0 };

	cr_assert_eq(history_files_read(lab.state, &f, &err), 0, "%s", err.text);
	cr_assert_eq(f.index.n_damages, 0);
	cr_assert_eq(f.end, END_AGREES);
	words[0] = '\0';
	for (char *at = f.text; at < f.text + f.size; at = strchr(at, '\n') + 1) {
		struct history_record r;

		cr_assert_eq(history_record_read(at, strcspn(at, "\n"), &r, &err), 0, "%s", err.text);
		snprintf(words + strlen(words), 32, "%s%s", *words ? " " : "", history_event_word(r.event));
		history_record_free(&r);
	}
	history_files_free(&f);
	return words;
}

void lab_confirm(void)
{
	struct error err = { 0 };

	cr_assert_eq(history_confirm(lab.history, lab_clock().steady_ns, &err), 0, "%s", err.text);
}

int lab_change(struct history *h, const struct history_mapping *del, size_t n_del, const struct history_mapping *add,
	       size_t n_add, const struct history_change *portmaps, const struct history_change *drains,
	       struct error *err)
{
	struct history_change c = *portmaps;

	c.del[FACT_MAPPING] = (struct fact_list){ (void *)(uintptr_t)del, n_del };
	c.add[FACT_MAPPING] = (struct fact_list){ (void *)(uintptr_t)add, n_add };
	if (drains) {
		c.del[FACT_DRAIN] = drains->del[FACT_DRAIN];
		c.add[FACT_DRAIN] = drains->add[FACT_DRAIN];
	}
	c.by = lab.by;
	return history_change(h, &c, err);
}

void lab_add(const char *in, const char *out)
{
	struct history_mapping m = lab_mapping(in, out);
	struct error err = { 0 };

	cr_assert_eq(lab_change(lab.history, NULL, 0, &m, 1, &lab_no_portmaps, NULL, &err), 0, "%s", err.text);
	lab_confirm();
}
