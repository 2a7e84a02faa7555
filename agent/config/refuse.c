/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages that refuse a configuration: file, line and key first. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "config/config.h"
#include "config/fields.h"

/* Characters of a file's name that a message shows, from its end. */
#define NAME_SHOWN 200U

int config_refuse(struct error *err, int r, const char *name, unsigned line, const char *path, const char *format, ...)
{
	size_t length = name ? strlen(name) : 0;
	char text[256], number[16] = "";
	const char *cut = "";
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (name && line)
		snprintf(number, sizeof(number), ":%u", line);
	if (length > NAME_SHOWN) {
		name += length - NAME_SHOWN;
		cut = "...";
	}
	return error_set(err, r, "%s%s%s%s%s%s%s", cut, name ? name : "", number, name ? ": " : "", path,
			 *path ? ": " : "", text);
}

int reader_refuse(struct reader *r, const cJSON *json, const char *format, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	return config_refuse(r->err, -EINVAL, r->name, json_line(json), r->path.text, "%s", text);
}

int reader_no_memory(struct reader *r)
{
	return config_refuse(r->err, -ENOMEM, r->name, 0, "", "no memory to read it");
}

/* Warnings about allowed values that break what works elsewhere. */

/* With fewer ports a host, inside ports that each hold one for all destinations soon use them up. */
#define FEW_PORTS 64U

/* Returns whether a mapping, found in a configuration or not, has endpoint-independent mapping. */
static bool is_independent(const struct config *c, const struct config_mapping *m)
{
	return c && m && config_mapping_independence(c, m).mapping;
}

bool config_few_ports(const struct config *c, const struct config_mapping *m, char text[static FEW_PORTS_TEXT])
{
	char title[MAPPING_TITLE];
	struct geometry g;

	if (!is_independent(c, m) || config_mapping_geometry(m, &g) || g.ports_per_host >= FEW_PORTS)
		return false;
	snprintf(text, FEW_PORTS_TEXT,
		 "mapping %s: with endpoint_independent each inside port takes one of its subscriber's %u ports for "
		 "all destinations; %u or more are advisable",
		 config_mapping_title(c, m->tenant, m->in, m->out, title), g.ports_per_host, FEW_PORTS);
	return true;
}

static void warn_of_few_ports(const struct config *now, const struct config *before, const char *place)
{
	for (size_t i = 0; i < now->n_mappings; i++) {
		const struct config_mapping *m = &now->mappings[i];
		char text[FEW_PORTS_TEXT];

		if (config_few_ports(now, m, text) &&
		    !is_independent(before, before ? config_find_mapping_of(before, m->tenant, m->in, m->out) : NULL))
			log_warning("%s%s", place, text);
	}
}

void config_warn(const struct config *now, const struct config *before, const char *name)
{
	_cleanup_free_ char *place = NULL;

	if (asprintf(&place, "%s%s", name ? name : "", name ? ": " : "") < 0) {
		place = NULL;
		return;
	}
	warn_of_few_ports(now, before, place);
	for (size_t i = 0; i < N_TIMEOUTS; i++) {
		uint32_t seconds = now->timeouts[i];

		if (seconds < timeout_minima[i].seconds && !(before && before->timeouts[i] == seconds))
			log_warning("%stimeouts.%s: %u s is below the %u s that %s requires", place, timeout_names[i],
				    seconds, timeout_minima[i].seconds, timeout_minima[i].source);
	}
}
