/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TOOL_MOCK_H
#define _TOOL_MOCK_H

#include <dlfcn.h>
#include <stddef.h>

/* The function that a mock stands for. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Not to be found by the program, which may have functions of these names. */
#pragma GCC visibility push(hidden)

int fail(int err);
const char *env(const char *name, const char *otherwise);
void fd_path(char *path, size_t size, int fd);
int is_disk(int fd, const char *kind);
const char *mapped(const char *path, char *buf);
int configfs_fails(const char *path);

#pragma GCC visibility pop

#endif /* _TOOL_MOCK_H */
