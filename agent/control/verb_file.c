// SPDX-License-Identifier: BSD-2-Clause
/*
 * config show, diff, save: the running configuration and the file. The agent may not write to the file's directory
 * (detnat.service), so detnatctl writes the file with the rights of its user. The agent then records that file as the
 * one last applied, if it matches the running configuration.
 */
#include <errno.h>
#include <string.h>

#include "base/json_scan.h"
#include "control/handlers.h"

int verb_config_show(struct request *r, cJSON **ret_result, struct error *err)
{
	*ret_result = config_document(r->context->active->config, request_arg(r, "all")->number);
	return *ret_result ? 0 : -ENOMEM;
}

/* Only users who may make changes learn, from messages and differences, the contents of a file of their choice. */
static int load_file(const struct request *r, struct config **ret, uint64_t *ret_hash, struct error *err)
{
	const struct arg_value *file = request_arg(r, "file");

	if (!file->given)
		return config_load(r->context->active->path, ret, ret_hash, err);
	if (!r->peer.may_change)
		return error_set(err, -EPERM,
				 "%s: files other than the agent's are read only for root and members of " GROUP_ADMINS,
				 r->spec->name);
	if (file->text[0] != '/')
		return error_set(err, -EINVAL, "%.64s: the path of the file must be absolute", file->text);
	return config_load(file->text, ret, ret_hash, err);
}

int verb_config_diff(struct request *r, cJSON **ret_result, struct error *err)
{
	_cleanup_config_ struct config *file = NULL;
	_cleanup_json_ cJSON *from = NULL, *to = NULL;
	int ret = load_file(r, &file, NULL, err);

	if (ret)
		return ret;
	from = config_document(file, false);
	to = config_document(r->context->active->config, false);
	*ret_result = from && to ? config_patch(from, to) : NULL;
	return *ret_result ? 0 : -ENOMEM;
}

/* Whether the file exists and differs from the one last applied. */
static bool is_edited(const struct active_config *active)
{
	uint64_t hash;
	int r = config_hash(active->path, &hash);

	return r ? r != -ENOENT : hash != active->file_read;
}

/* A configuration that could not be read again is not handed out to be saved. detnatctl may leave blanks out, too. */
static int check_readable(const struct active_config *active, struct error *err)
{
	_cleanup_config_ struct config *again = NULL;
	_cleanup_json_ cJSON *document = config_document(active->config, false);
	_cleanup_free_ char *text = document ? cJSON_PrintUnformatted(document) : NULL;
	struct error why = { 0 };
	int r, same;

	if (!text)
		return -ENOMEM;
	r = strlen(text) >= CONFIG_MAX_SIZE ? error_set(&why, -EFBIG, "it is longer than %u octets", CONFIG_MAX_SIZE)
					    : config_parse(text, strlen(text), "running configuration", &again, &why);
	if (r)
		return error_set(err, r, "nothing is saved, as the agent could not read it again: %s", why.text);
	/* An interface of both lists may come at another place. */
	same = config_same(active->config, again);
	if (same < 0)
		return same;
	return same ? 0
		    : error_set(err, -EINVAL, "nothing is saved, as the running configuration would read differently");
}

/* detnatctl first asks for the agent's file and whether it has been edited, and names it once it is written. */
int verb_config_save(struct request *r, cJSON **ret_result, struct error *err)
{
	const struct arg_value *file = request_arg(r, "file");
	int ret = file->given && !strcmp(file->text, r->context->active->path)
			  ? change_adopt_file(r->context->changes, err)
			  : check_readable(r->context->active, err);

	if (ret)
		return ret;
	*ret_result = cJSON_CreateObject();
	cJSON_AddStringToObject(*ret_result, "file", r->context->active->path);
	cJSON_AddBoolToObject(*ret_result, "edited", is_edited(r->context->active));
	return *ret_result ? 0 : -ENOMEM;
}
