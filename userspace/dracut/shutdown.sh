#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Hook of dracut: the end of a shutdown, in the initramfs again. It does not fail, since dracut
# would call it up to 40 times then.
/usr/lib/systemd/system-shutdown/qcow-shutdown --in-initramfs || :
