// SPDX-License-Identifier: BSD-2-Clause
#include "access_servers.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "leases/lease_files.h"
#include "recorded_sources.h"
#include "state_file.h"

void access_servers_recall(const char *dir, const struct config_lease_source *s, struct accounting_servers *senders)
{
	cJSON *json = state_file_read(dir, ACCESS_SERVERS_FILE);
	char name[SOURCE_NAME];

	accounting_servers_read(senders, cJSON_GetObjectItemCaseSensitive(json, lease_source_name(s, name)));
	cJSON_Delete(json);
}

void access_servers_save(const char *dir, const struct config_leases *rules, struct radius_server *const *server)
{
	_cleanup_free_ char *text = NULL;
	char name[SOURCE_NAME], comma = '{';
	bool news = false;
	size_t size;
	FILE *out;

	for (uint32_t i = 0; i < rules->n; i++)
		news |= server[i] && server[i]->senders.news;
	out = news ? open_memstream(&text, &size) : NULL;
	for (uint32_t i = 0; out && i < rules->n; i++) {
		if (!server[i])
			continue;
		fputc(comma, out);
		comma = ',';
		text_json_string(out, lease_source_name(&rules->source[i], name));
		fputc(':', out);
		accounting_servers_write(&server[i]->senders, out);
	}
	if (!out)
		return;
	fputs("}\n", out);
	if (fclose(out) || state_file_write(dir, ACCESS_SERVERS_FILE, text))
		return;
	for (uint32_t i = 0; i < rules->n; i++)
		if (server[i])
			server[i]->senders.news = false;
}
