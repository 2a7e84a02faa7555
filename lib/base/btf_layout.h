/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads records of another layout by their type information (BTF): fields with the same name are the same thing,
 * wherever they are in the record. So a field whose meaning changes must get another name.
 */
#ifndef DETNAT_BTF_LAYOUT_H
#define DETNAT_BTF_LAYOUT_H

#include <bpf/btf.h>
#include <stdbool.h>
#include <stdint.h>

struct layout_member {
	uint32_t offset; /* octets */
	uint32_t size;
};

/*
 * Pins the types as the map `types`, for an agent of another layout: the kernel shows a map's own BTF only to
 * CAP_SYS_ADMIN. 0 or -errno.
 */
int layout_save(const char *pin_dir, const struct btf *btf);

/* The saved types, or those that the map was loaded with; the caller frees them. NULL with errno. */
struct btf *layout_read(const char *pin_dir, int map);

/* Finds a member of a struct, also within its anonymous structs and unions; 0 or -ENOENT. */
int layout_find(const struct btf *btf, const char *type, const char *name, struct layout_member *ret);

/*
 * Whether records of one layout can be used as those of another: both have a struct of that name and size with the same
 * members at the same places. Where the first has padding (`pad`, `unused…`), the other may have members: they are 0.
 */
bool layout_fits(const struct btf *from, const struct btf *to, const char *type);

/*
 * Copies the members that both have of a struct; members that the source lacks are left unchanged. Numbers of another
 * size and arrays of another length are truncated or extended with zeros. 0, or -ENOENT if one of them has no such
 * struct.
 */
int layout_copy(const struct btf *from, const struct btf *to, const char *type, const void *source, void *target);

#endif
