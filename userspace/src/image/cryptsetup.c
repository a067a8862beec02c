// SPDX-License-Identifier: GPL-2.0
/*
 * libcryptsetup, loaded when a LUKS header is to be unlocked: with all that it
 * needs itself, loading it would be most of the time that qcowctl takes to start.
 */
#include <dlfcn.h>
#include <stddef.h>

#include "image/cryptsetup.h"
#include "lib/report.h"

/* The interface that the header describes. */
#define CRYPTSETUP_FILE	"libcryptsetup.so.12"

#define FUNCTION(name)	{ "crypt_" #name, offsetof(struct cryptsetup, name) }

static const struct {
	const char *name;
	size_t in_calls;
} functions[] = {
	FUNCTION(init),
	FUNCTION(load),
	FUNCTION(free),
	FUNCTION(format),
	FUNCTION(get_cipher),
	FUNCTION(get_cipher_mode),
	FUNCTION(get_volume_key_size),
	FUNCTION(keyslot_add_by_volume_key),
	FUNCTION(set_iteration_time),
	FUNCTION(set_log_callback),
	FUNCTION(volume_key_get),
};

/**
 * cryptsetup_load() - get the library
 *
 * Return: its functions, which stay until the end; or NULL after printing the error.
 */
const struct cryptsetup *cryptsetup_load(void)
{
	static struct cryptsetup c;
	size_t i;
	void *lib, *f;

	if (c.init)
		return &c;
	lib = dlopen(CRYPTSETUP_FILE, RTLD_NOW | RTLD_LOCAL);
	for (i = 0; lib && i < sizeof(functions) / sizeof(functions[0]); i++) {
		f = dlsym(lib, functions[i].name);
		if (!f)
			break;
		*(void **)((char *)&c + functions[i].in_calls) = f;
	}
	if (lib && i == sizeof(functions) / sizeof(functions[0]))
		return &c;
	report(CRYPTSETUP_FILE, "cannot be loaded: %s; install libcryptsetup",
	       dlerror());
	c.init = NULL;
	return NULL;
}
