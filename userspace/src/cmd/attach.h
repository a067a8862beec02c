/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_ATTACH_H
#define _QCOWCTL_ATTACH_H

#include "cmd/options.h"
#include "device/attached.h"
#include "image/keys.h"
#include "qcow/ondisk/pure.h"

/**
 * struct attach - how to attach an image: the arguments of the command line
 * @chain: which images to open
 * @beneath: the folder in it, to free
 * @keys: where passphrases come from
 * @temporary: writes go to an overlay that is thrown away; excludes QCOW_ATTACH_RO in
 *	@ioc, unless a snapshot is shown
 * @overlay_folder: the folder for it; NULL: $TMPDIR or /var/tmp
 * @holder: NULL; or the device detaches itself at its last close, but not before this
 *	descriptor is closed, which is set then; -1: the driver is too old for that
 * @before: called before the driver is asked; NULL: nothing is called
 * @ioc: for the driver
 */
struct attach {
	struct chain_options chain;
	char *beneath;
	struct keys_options keys;
	bool temporary;
	const char *overlay_folder;
	int *holder;
	void (*before)(void);
	struct qcow_ioc_attach ioc;
};

/* Stored in a struct attach. */
extern const struct option_spec attach_options[];

int attach_open(struct device *d, struct attach *a, const char *name);
void attach_release(void *options);
int attach_to_change(struct device *d, int control, const char *name, u32 format,
		     const struct keys_options *keys);

#endif /* _QCOWCTL_ATTACH_H */
