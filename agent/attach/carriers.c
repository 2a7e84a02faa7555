/* SPDX-License-Identifier: BSD-2-Clause */
#include "attach/attach.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <sys/mman.h>

#include "datapath/bpffs.h"
#include "host/paths.h"

struct search {
	const char *pin_path;
	struct netlink *netlink;
	struct own_programs own;
	struct link *links;
	size_t n_links;
	uint32_t *found;
	size_t n_found;
};

static const struct link *link_of(const struct search *s, uint32_t ifindex)
{
	for (size_t i = 0; i < s->n_links; i++)
		if (s->links[i].ifindex == ifindex)
			return &s->links[i];
	return NULL;
}

static bool carries(const struct search *s, const struct link *l, const struct device *record)
{
	const struct link *carrier = record->lower ? link_of(s, record->lower) : l;
	bool has_xdp = carrier && carrier->xdp.prog_id && own_programs_has(&s->own, carrier->xdp.prog_id);

	if (!record->roles || (!has_xdp && !tc_translates(s->netlink, &s->own, l->ifindex, TC_INGRESS)))
		return false;
	return !(record->roles & DEVICE_OUTSIDE) || tc_translates(s->netlink, &s->own, l->ifindex, TC_EGRESS);
}

/* Counts records of every layout that have the same format: an upgrade finds what the former version attached. */
static int visit_layout(const char *name, void *arg)
{
	struct search *s = arg;
	const struct device_table *table;
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);
	char path[PATH_MAX];

	if (name[0] != 'v' || (size_t)snprintf(path, sizeof(path), "%s/%s/devices", s->pin_path, name) >= sizeof(path))
		return 0;

	_cleanup_close_ int fd = bpf_obj_get(path);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) || info.value_size != sizeof(*table))
		return 0;
	table = mmap(NULL, sizeof(*table), PROT_READ, MAP_SHARED, fd, 0);
	if (table == MAP_FAILED)
		return -errno;
	for (size_t i = 0; i < s->n_links; i++) {
		uint32_t ifindex = s->links[i].ifindex;

		if (ifindex < MAX_IFINDEX && carries(s, &s->links[i], &table->device[ifindex]) &&
		    s->n_found < s->n_links)
			s->found[s->n_found++] = ifindex;
	}
	munmap((void *)table, sizeof(*table));
	return 0;
}

int carriers_find(const char *pin_path, uint32_t **ret, size_t *ret_n)
{
	_cleanup_rights_ struct rights lesser = path_rights(pin_path);
	struct search s = { .pin_path = pin_path };
	int r = netlink_new(&s.netlink);

	if (!r)
		r = links_read(s.netlink, &s.links, &s.n_links);
	if (!r)
		r = own_programs_read(pin_path, NULL, &s.own);
	if (!r) {
		s.found = calloc(s.n_links + 1, sizeof(*s.found));
		r = s.found ? 0 : -ENOMEM;
	}
	if (!r && bpffs_is(pin_path))
		r = directory_visit(pin_path, visit_layout, &s);
	own_programs_free(&s.own);
	free(s.links);
	netlink_free(s.netlink);
	if (r) {
		free(s.found);
		return r;
	}
	*ret = s.found;
	*ret_n = s.n_found;
	return 0;
}
