/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_LINK_H
#define _QCOWCTL_LINK_H

#include "image/image.h"

/**
 * struct link - a file of a chain that is to be opened
 * @name: its path; NULL: the chain ends here
 * @fallback: another path, if the image that names it is a symbolic link
 * @format: from image_format(); 0: probe
 * @member: of an archive: the member that is the image, or NULL
 * @candidate: number of the next name that the parent may have
 */
struct link {
	char *name;
	char *fallback;
	u32 format;
	char *member;
	u32 candidate;
};

int link_resolve(struct link *l, const struct image *img, enum file_use use,
		 const char *written);
int link_refuse(const struct image *img, enum file_use use, const char *written,
		const char *wrong);
int link_refuse_field(const struct image *img, const char *field, const char *written,
		      const char *wrong);
void link_free(struct link *l);

#endif /* _QCOWCTL_LINK_H */
