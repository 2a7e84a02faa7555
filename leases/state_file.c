/* SPDX-License-Identifier: BSD-2-Clause */
#include "state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/base.h"
#include "base/whole_file.h"

#define FILE_MAX (32U << 20)

cJSON *state_file_read(const char *dir, const char *name)
{
	_cleanup_close_ int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = at < 0 ? -1 : file_open(at, name);
	_cleanup_free_ char *text = NULL;
	size_t size;
	cJSON *json;

	if (fd < 0 || file_read(fd, FILE_MAX, &text, &size))
		return NULL;
	json = cJSON_ParseWithLength(text, size);
	if (cJSON_IsObject(json))
		return json;
	cJSON_Delete(json);
	return NULL;
}

int state_file_write(const char *dir, const char *name, const char *text)
{
	_cleanup_close_ int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return at < 0 ? -errno : file_replace(at, name, text, strlen(text), NULL, true, NULL);
}
