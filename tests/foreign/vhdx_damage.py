# SPDX-License-Identifier: GPL-2.0
"""For damage.py --module: VHDX."""

import vhdx


def fix(data, _path):
    """Mend the checksums that are wrong."""
    for place, length, magic in vhdx.structures(data):
        part = bytes(data[place:place + length])
        if part[:4] == magic and length >= 64 and vhdx.with_crc(part) != part:
            data[place:place + length] = vhdx.with_crc(part)


def known(_path, lines):
    """Why qemu-img is wrong about an image."""
    if ["tell", "type", "differencing"] in lines:
        return "differencing, which qemu-img does not know"
    if ["sector", "4096"] in lines:
        return "sectors of 4096 bytes, which qemu-img does not know"
    return None
