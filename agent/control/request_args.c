// SPDX-License-Identifier: BSD-2-Clause
/* The arguments of a request, by the verb's specification. */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "base/virtual6.h"
#include "control/request.h"

static int parse_arg(const struct arg_spec *spec, const cJSON *json, struct arg_value *ret, struct error *err)
{
	char title[USAGE_TEXT];

	if (spec->refused)
		return error_set(err, -EINVAL, "%s: %s", arg_title(spec, title), spec->refused);
	if (ret->given)
		return error_set(err, -EINVAL, "%s is given twice", arg_title(spec, title));
	if (spec->kind == ARG_FLAG) {
		if (!cJSON_IsBool(json))
			return error_set(err, -EINVAL, "%s must be true or false", arg_title(spec, title));
		*ret = (struct arg_value){ .given = true, .number = cJSON_IsTrue(json) };
		return 0;
	}
	if (arg_is_number(spec->kind)) {
		if (!cJSON_IsNumber(json))
			return error_set(err, -EINVAL, "%s must be a number", arg_title(spec, title));
		return arg_check_number(spec, json->valuedouble, ret, err);
	}
	if (!cJSON_IsString(json))
		return error_set(err, -EINVAL, "%s must be a string", arg_title(spec, title));
	return arg_parse(spec, json->valuestring, ret, err);
}

int request_parse_args(struct request *r, struct error *err)
{
	const cJSON *args = cJSON_GetObjectItemCaseSensitive(r->document, "args");
	const struct arg_spec *specs = r->spec->args;
	bool assignments = false, assigned = false, options = false;
	char title[USAGE_TEXT];
	const cJSON *json;

	cJSON_ArrayForEach (json, args) {
		unsigned i = 0;

		while (specs[i].kind && strcmp(specs[i].name, json->string))
			i++;
		if (!specs[i].kind)
			return error_set(err, -EINVAL, "%s has no argument %s", r->spec->name, QUOTED(json->string));

		int ret = parse_arg(&specs[i], json, &r->args[i], err);

		if (ret)
			return ret;
	}
	for (unsigned i = 0; specs[i].kind; i++) {
		if (specs[i].style == ARG_WORD && !r->args[i].given)
			return error_set(err, -EINVAL, "%s needs %s", r->spec->name, arg_title(&specs[i], title));
		if (r->args[i].given && specs[i + 1].kind &&
		    arg_check_next(&specs[i], &r->args[i], r->args[i + 1].given, err))
			return -EINVAL;
		options |= specs[i].style == ARG_OPTION && r->args[i].given;
		if (specs[i].style == ARG_ASSIGNMENT) {
			assignments = true;
			assigned |= r->args[i].given;
		}
	}
	if ((assignments && !assigned) || (r->spec->needs_option && !options))
		return error_set(err, -EINVAL, "%s needs at least one value", r->spec->name);
	return 0;
}

const struct arg_value *request_arg(const struct request *r, const char *name)
{
	unsigned i = 0;

	while (strcmp(r->spec->args[i].name, name))
		i++;
	return &r->args[i];
}

bool request_changes(const struct request *r)
{
	return r->spec->changes || (r->spec->changes_with && request_arg(r, r->spec->changes_with)->number);
}

/* Seconds since its last packet from inside. The configuration's timeouts may have changed meanwhile. */
static uint32_t idle_seconds(const struct session_filter *f, const struct session *s)
{
	uint32_t timeout = f->timeouts[session_timeout(s->state)];

	return timeout > s->expires ? timeout - s->expires : 0;
}

bool session_fits(const struct session_filter *f, const struct session *s)
{
	if ((f->proto && f->proto != s->proto) || (!s->counts && !f->all))
		return false;
	if (f->in && f->in->given && !prefix_holds(f->in->prefix, s->in_addr))
		return false;
	if (f->host && !address6_equal(f->host, &s->host))
		return false;
	if (f->ext && f->ext->given &&
	    (!prefix_holds(f->ext->prefix, s->ext_addr) || (f->ext->with_port && f->ext->port != s->ext_port)))
		return false;
	if (f->out && f->out->given &&
	    (f->out->endpoint.addr != s->out_addr || (f->out->with_port && f->out->endpoint.port != s->out_port)))
		return false;
	if (f->state && f->state->given && strcmp(f->state->text, session_state_name(s->state)) != 0)
		return false;
	return !f->older || idle_seconds(f, s) >= f->older;
}

int refuse_inside(uint32_t addr, int ret, struct error *err)
{
	char text[INSIDE_TEXT];

	return error_set(err, ret, "%s is not an inside address of any mapping; `detnatctl mapping list` shows them",
			 inside_text(addr, text));
}
