/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads data for the doctor's checks, and reports their findings. */
#include <fcntl.h>
#include <string.h>

#include "diagnosis/doctor_private.h"

void doctor_say(struct doctor *d, enum doctor_level level, const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	d->count[level]++;
	d->report(d, level, text);
}

const struct link *doctor_link(const struct doctor *d, const struct config_interface *i)
{
	for (size_t k = 0; k < d->links.count; k++)
		if (!strcmp(d->links.link[k].name, i->name))
			return &d->links.link[k];
	return NULL;
}

const struct config_interface *doctor_interface(const struct doctor *d, const char *name, uint8_t roles)
{
	const struct config_interface *i = config_find_interface(d->config, name);

	return i && i->roles & roles ? i : NULL;
}

const struct link *doctor_find_link(const struct doctor *d, const char *name)
{
	for (size_t i = 0; i < d->links.count; i++)
		if (!strcmp(d->links.link[i].name, name))
			return &d->links.link[i];
	return NULL;
}

size_t doctor_vrfs(const struct doctor *d, uint8_t roles, uint32_t *ret, size_t room)
{
	size_t n = 0;

	for (size_t i = 0; i < d->config->n_interfaces && n < room; i++) {
		const struct link *l = doctor_link(d, &d->config->interfaces[i]);
		bool known = !l || !(d->config->interfaces[i].roles & roles);

		for (size_t k = 0; !known && k < n; k++)
			known = ret[k] == link_vrf(l);
		if (!known)
			ret[n++] = link_vrf(l);
	}
	return n;
}

bool doctor_leads(const struct doctor *d, const char *name, uint8_t roles)
{
	const struct link *vrf = doctor_find_link(d, name);

	if (!vrf || strcmp(vrf->kind, "vrf"))
		return doctor_interface(d, name, roles) != NULL;
	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const struct link *l = doctor_link(d, &d->config->interfaces[i]);

		if (l && d->config->interfaces[i].roles & roles && link_vrf(l) == vrf->ifindex)
			return true;
	}
	return false;
}

const struct link *doctor_link_down(const struct doctor *d, uint8_t roles)
{
	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const struct link *l = doctor_link(d, &d->config->interfaces[i]);

		if (l && d->config->interfaces[i].roles & roles && link_down_reason(l))
			return l;
	}
	return NULL;
}

static bool read_at(const struct doctor *d, char *ret, size_t size, const char *format, va_list ap)
{
	char path[256];
	int at = snprintf(path, sizeof(path), "%s", d->root);
	ssize_t n;

	vsnprintf(path + at, sizeof(path) - (size_t)at, format, ap);

	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	n = fd < 0 ? -1 : read(fd, ret, size - 1);
	if (n < 0)
		return false;
	ret[n] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return true;
}

bool doctor_read(const struct doctor *d, char *ret, size_t size, const char *format, ...)
{
	va_list ap;
	bool found;

	va_start(ap, format);
	found = read_at(d, ret, size, format, ap);
	va_end(ap);
	return found;
}

bool doctor_read_number(const struct doctor *d, long long *ret, const char *format, ...)
{
	char text[64], *end;
	va_list ap;
	bool found;

	va_start(ap, format);
	found = read_at(d, text, sizeof(text), format, ap);
	va_end(ap);
	if (!found)
		return false;
	*ret = strtoll(text, &end, 10);
	return end != text;
}

bool doctor_shown_in_sys(const struct doctor *d, const struct link *l)
{
	long long ifindex;

	return doctor_read_number(d, &ifindex, "/sys/class/net/%s/ifindex", l->name) &&
	       ifindex == (long long)l->ifindex;
}
