/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CRYPTSETUP_H
#define _QCOWCTL_CRYPTSETUP_H

#include <libcryptsetup.h>

/* The functions of libcryptsetup that are called, by their names. */
struct cryptsetup {
	__typeof__(crypt_init) *init;
	__typeof__(crypt_load) *load;
	__typeof__(crypt_free) *free;
	__typeof__(crypt_format) *format;
	__typeof__(crypt_get_cipher) *get_cipher;
	__typeof__(crypt_get_cipher_mode) *get_cipher_mode;
	__typeof__(crypt_get_volume_key_size) *get_volume_key_size;
	__typeof__(crypt_keyslot_add_by_volume_key) *keyslot_add_by_volume_key;
	__typeof__(crypt_set_iteration_time) *set_iteration_time;
	__typeof__(crypt_set_log_callback) *set_log_callback;
	__typeof__(crypt_volume_key_get) *volume_key_get;
};

const struct cryptsetup *cryptsetup_load(void);

#endif /* _QCOWCTL_CRYPTSETUP_H */
