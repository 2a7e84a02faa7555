/* SPDX-License-Identifier: BSD-2-Clause */
/* Compares pins and programs with the open and loaded ones. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "base/findings.h"
#include "datapath/datapath_private.h"
#include "datapath/pinned.h"

struct audited_pin {
	const char *name;
	int fd;
	bool program;
};

static bool is_right(const struct datapath *d, const struct audited_pin *p)
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = bpf_obj_get(pin_path_of(d, p->name, path));

	return fd >= 0 && (p->program ? program_id(fd) == program_id(p->fd) : map_id(fd) == map_id(p->fd));
}

/* Pins the open object in place of whatever is pinned there. */
static bool pin_again(const struct datapath *d, const struct audited_pin *p)
{
	char path[PATH_MAX];

	unlink(pin_path_of(d, p->name, path));
	return !bpf_obj_pin(p->fd, path);
}

/* The programs to which the attached programs jump through a map. */
static void audit_entries(const char *name, int map, const int *main, bool repair, struct findings *findings)
{
	for (uint32_t i = 0; i < N_ENTRIES; i++) {
		uint32_t id = 0;
		char text[32];

		if (main[i] < 0 || (!bpf_map_lookup_elem(map, &i, &id) && id == program_id(main[i])))
			continue;
		snprintf(text, sizeof(text), "%s %u", name, i);
		findings_add(findings, FINDING_ENTRY, repair && !bpf_map_update_elem(map, &i, &main[i], BPF_ANY), text,
			     "the interfaces jump to a program other than the one loaded, or to none");
	}
}

/* The second stage, without which frames that wait for it are dropped. Returns the number of programs compared. */
static unsigned audit_stage2(const struct datapath *d, bool repair, struct findings *findings)
{
	uint32_t zero = 0, id = 0;

	if (!d->build || d->build->stage2 < 0)
		return 0;
	if (bpf_map_lookup_elem(d->stage2_entries, &zero, &id) || id != program_id(d->build->stage2))
		findings_add(findings, FINDING_ENTRY,
			     repair && !bpf_map_update_elem(d->stage2_entries, &zero, &d->build->stage2, BPF_ANY),
			     "stage2_entries 0", "the second stage is a program other than the one loaded, or none");
	return 1;
}

/* The tail-call programs of a hook. */
static unsigned audit_tail_calls(const struct datapath *d, enum prog_array array, bool repair,
				 struct findings *findings)
{
	const struct prog_fds *wanted = &d->build->progs[array];
	unsigned n = 0;

	for (uint32_t i = 0; i < N_PROGS; i++) {
		uint32_t id = 0;
		char text[64];

		if (wanted->fd[i] < 0)
			continue;
		n++;
		if (!bpf_map_lookup_elem(d->build->arrays[array], &i, &id) && id == program_id(wanted->fd[i]))
			continue;
		snprintf(text, sizeof(text), "%s %s", prog_array_name(array), prog_name(i));
		findings_add(findings, FINDING_TAIL_CALL,
			     repair && !bpf_map_update_elem(d->build->arrays[array], &i, &wanted->fd[i], BPF_ANY), text,
			     "the programs jump to a tail-call program other than the one loaded, or to none; packets "
			     "that need it are dropped");
	}
	return n;
}

/* The kernel empties a PROG_ARRAY when its last descriptor or pin goes: without a pin, when the agent ends. */
static void audit_tail_calls_pin(const struct datapath *d, enum prog_array array, bool repair,
				 struct findings *findings)
{
	char name[64];
	const struct audited_pin pin = { name, d->build->arrays[array], false };

	snprintf(name, sizeof(name), "%s_%u", prog_array_name(array), d->build->generation);
	if (!is_right(d, &pin))
		findings_add(findings, FINDING_PIN, repair && pin_again(d, &pin), name,
			     "its pin in %.120s is missing, or is another object's", d->pin_dir);
}

unsigned datapath_audit(const struct datapath *d, bool repair, struct findings *findings)
{
	const struct audited_pin pins[] = {
#define X(member, name) { name, d->member, !strncmp(name, "prog_", 5) },
		PINS(X) PASSING_PINS(X)
#undef X
	};

	for (size_t i = 0; i < ARRAY_SIZE(pins); i++)
		if (!is_right(d, &pins[i]))
			findings_add(findings, FINDING_PIN, repair && pin_again(d, &pins[i]), pins[i].name,
				     "its pin in %.120s is missing, or is another object's", d->pin_dir);
	if (d->build) {
		audit_entries("entries", d->entries, d->build->main, repair, findings);
		audit_entries("tc_entries", d->tc_entries, d->build->ingress, repair, findings);
		audit_entries("redirect_entries", d->redirect_entries, d->build->redirect, repair, findings);
	}

	size_t n = ARRAY_SIZE(pins) + 3UL * N_ENTRIES + audit_stage2(d, repair, findings);

	for (unsigned i = 0; d->build && i < N_PROG_ARRAYS; i++) {
		if (d->build->arrays[i] < 0)
			continue;
		n += 1 + audit_tail_calls(d, i, repair, findings);
		audit_tail_calls_pin(d, i, repair, findings);
	}
	return n;
}
