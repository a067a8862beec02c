/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_FORMATS_H
#define _QCOWCTL_FORMATS_H

#include "foreign/foreign.h"

extern const struct foreign_format foreign_cloop;
extern const struct foreign_format foreign_dmg;
extern const struct foreign_format foreign_bochs;
extern const struct foreign_format foreign_cow;
extern const struct foreign_format foreign_parallels;
extern const struct foreign_format foreign_qed;
extern const struct foreign_format foreign_vdi;
extern const struct foreign_format foreign_ova;
extern const struct foreign_format foreign_vmdk;
extern const struct foreign_format foreign_vvfat;
extern const struct foreign_format foreign_vhdx;
extern const struct foreign_format foreign_vpc;

#endif /* _QCOWCTL_FORMATS_H */
