/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records of another layout, read by their type information (BTF): what has the same name is the same thing, wherever
 * it stands in the record. So whoever changes what a field means gives it another name.
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
 * Pins the types as the map `types`, for an agent of another layout: the kernel gives out those of a map to
 * CAP_SYS_ADMIN alone. 0 or -errno.
 */
int layout_save(const char *pin_dir, const struct btf *btf);

/* The types saved, or else those that the map was loaded with; freed by the caller. NULL with errno. */
struct btf *layout_read(const char *pin_dir, int map);

/* Finds a member of a struct, also within its anonymous structs and unions; 0 or -ENOENT. */
int layout_find(const struct btf *btf, const char *type, const char *name, struct layout_member *ret);

/* Whether both know a struct of that name, of the same members in the same places. */
bool layout_same(const struct btf *a, const struct btf *b, const char *type);

/*
 * Copies what both know of a struct, member by member; what the source lacks stays as it is. Numbers of another size
 * and arrays of another length are cut or extended with zeroes. 0, or -ENOENT where one of them has no such struct.
 */
int layout_copy(const struct btf *from, const struct btf *to, const char *type, const void *source, void *target);

#endif
