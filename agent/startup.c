/* SPDX-License-Identifier: BSD-2-Clause */
#include "startup.h"

#include <errno.h>
#include <string.h>

#include "check.h"
#include "check_paths.h"
#include "datapath.h"
#include "devices.h"
#include "log.h"

void startup_free(struct startup *s)
{
	config_free(s->file);
	config_free(s->running);
}

void startup_read_running(struct startup *s)
{
	_cleanup_free_ char *json = NULL;
	struct error err = { 0 };

	config_free(s->running);
	s->running = NULL;
	if (datapath_peek_running(s->file->pin_path, &json, &s->running_hash))
		return;
	if (config_parse(json, strlen(json), "running configuration", &s->running, &err))
		log_warning("%s; the file is applied instead", err.text);
}

/*
 * Where pins went with a mount namespace, the kernel takes a moment to empty the arrays by which their programs are
 * known to be nobody's any more.
 */
static int check_devices(const struct config *c, struct error *err)
{
	int r;

	for (unsigned attempt = 0;; attempt++) {
		r = devices_check(c, err);
		if (r != -EBUSY || attempt == 10)
			return r;
		usleep(100000);
	}
}

int startup_read(const char *config_path, struct startup *ret, struct error *err)
{
	struct startup s = { 0 };
	int r = config_load(config_path, &s.file, &s.file_hash, err);

	if (!r)
		startup_read_running(&s);
	if (!r)
		r = check_machine(s.file, s.running, config_path, err);
	if (!r)
		r = check_paths(s.file, config_path, err);
	/* Of an incomplete datapath the programs cannot be told from others' before its pins are gone. */
	if (!r && !datapath_is_incomplete(s.file->pin_path))
		r = check_devices(s.file, err);
	if (r) {
		startup_free(&s);
		return r;
	}
	config_warn(startup_wanted(&s), NULL, config_path);
	*ret = s;
	return 0;
}

const struct config *startup_wanted(const struct startup *s)
{
	return s->running && s->running_hash == s->file_hash ? s->running : s->file;
}
