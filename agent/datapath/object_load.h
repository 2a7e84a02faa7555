/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_OBJECT_LOAD_H
#define DETNAT_OBJECT_LOAD_H

#include <bpf/libbpf.h>

#include "base/error.h"

/* Loads an object; on failure, writes everything that libbpf said to stderr. 0 or -errno with `err` set. */
int object_load(struct bpf_object *o, struct error *err);

#endif
