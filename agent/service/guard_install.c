/* SPDX-License-Identifier: BSD-2-Clause */
#include "service/guard_install.h"

#include <errno.h>
#include <string.h>

#include "attach/carriers.h"
#include "datapath/datapath.h"
#include "guard/guard.h"
#include "service/startup.h"

void guard_open_carriers(struct guard *g, const char *pin_path)
{
	_cleanup_free_ uint32_t *ifindex = NULL;
	size_t n = 0;

	if (!carriers_find(pin_path, &ifindex, &n))
		guard_open(g, ifindex, n);
}

static int install(const struct startup *up, struct error *err)
{
	struct guard *g;
	int r;

	if (guard_new(NULL, up->file->pin_path, &g))
		return error_set(err, -ENOMEM, "out of memory");
	guard_open_carriers(g, up->file->pin_path);
	r = guard_configure(g, up->running, startup_wanted(up));
	if (r)
		error_set(err, r, "the guard was not put up");
	guard_free(g);
	return r;
}

enum exit_status guard_install(const char *config_path, const char **ret_done, struct error *err)
{
	__attribute__((cleanup(startup_free))) struct startup up = { 0 };
	struct datapath d;
	int r = config_load(config_path, &up.file, &up.file_hash, err);

	if (r)
		return EXIT_BAD_CONFIGURATION;
	/* While the lock is held, no agent starts. */
	r = datapath_open_pinned(up.file->pin_path, &d, NULL);
	if (r == -EBUSY) {
		*ret_done = "an agent runs, which sees to the guard";
		return EXIT_DONE;
	}

	bool pinned = !r;

	startup_read_running(&up);
	*ret_done = startup_wanted(&up)->guard ? "the guard stands" : "\"guard\" is false: there is no guard";
	r = install(&up, err);
	if (pinned)
		datapath_close(&d);
	return r ? EXIT_FAILED : EXIT_DONE;
}
