/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_SCHEMA_H
#define DETNAT_SCHEMA_H

/* The JSON schema (draft 2020-12) of configuration files, as text that the caller frees. NULL: out of memory. */
char *config_schema(void);

#endif
