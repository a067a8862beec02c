#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""craft.py IMAGE STATEMENT...: reads and changes the metadata of a qcow2 image.

STATEMENT is Python. It may use

l1(i) l2(i) reftable() refblock(i) snapshots() snapshot_l1(i) bitmaps()
                    where the cluster or table is in the file; i of l2 is one of
                    L1, of snapshot_l1 a snapshot
l1e[i] l2e[i]       entries, to be read and set; i of l2e is a guest cluster
refcount[i]         of a host cluster, 16 bits wide
header(off, n)      n bytes of the header as a number
set_header(off, n, value)
feature(bit, name)  names an incompatible feature, in place of another
extension(type, data)   adds a header extension in front of the others
COPIED COMPRESSED ZERO CLUSTER   the bits of entries, bytes of a cluster
"""

import struct
import sys

COPIED = 1 << 63
COMPRESSED = 1 << 62
ZERO = 1
OFFSET = 0x00fffffffffffe00


class Table:
    """Numbers of the file that look like an array."""

    def __init__(self, img, where, size=8):
        self.img, self.where, self.size = img, where, size

    def __getitem__(self, i):
        return self.img.get(self.where(i), self.size)

    def __setitem__(self, i, value):
        self.img.set(self.where(i), self.size, value)


class Image:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = bytearray(f.read())
        self.bits = self.get(20, 4)
        self.cluster = 1 << self.bits

    def get(self, off, size):
        return int.from_bytes(self.data[off:off + size].ljust(size, b"\0"), "big")

    def set(self, off, size, value):
        if off + size > len(self.data):
            self.data.extend(bytes(off + size - len(self.data)))
        self.data[off:off + size] = value.to_bytes(size, "big")

    def l1(self):
        return self.get(40, 8)

    def l2(self, i):
        return self.get(self.l1() + i * 8, 8) & OFFSET

    def l2_entry(self, cluster):
        nr = self.cluster // 8
        return self.l2(cluster // nr) + cluster % nr * 8

    def reftable(self):
        return self.get(48, 8)

    def refblock(self, i):
        return self.get(self.reftable() + i * 8, 8) & OFFSET

    def refcount(self, cluster):
        nr = self.cluster // 2
        return self.refblock(cluster // nr) + cluster % nr * 2

    def snapshots(self):
        return self.get(64, 8)

    def snapshot_l1(self, wanted):
        at = self.snapshots()
        for _ in range(wanted):
            at += 40 + self.get(at + 36, 4) + self.get(at + 12, 2) + self.get(at + 14, 2)
            at = (at + 7) & ~7
        return self.get(at, 8)

    def extensions(self):
        return self.get(100, 4)

    def find(self, kind):
        """The data of a header extension"""
        at = self.extensions()
        while self.get(at, 4) != kind:
            at += 8 + (self.get(at + 4, 4) + 7 & ~7)
        return at + 8

    def bitmaps(self):
        """The directory of persistent bitmaps"""
        return self.get(self.find(0x23852875) + 16, 8)

    def feature(self, bit, name):
        at = self.find(0x6803f857)
        self.data[at:at + 48] = bytes([0, bit]) + name.ljust(46, b"\0")

    def extension(self, kind, data):
        at = self.extensions()
        raw = struct.pack(">II", kind, len(data)) + data + bytes(-len(data) % 8)
        end = self.get(8, 8) or self.cluster
        self.data[at:end] = (bytes(raw) + self.data[at:end])[:end - at]


def main():
    img = Image(sys.argv[1])
    scope = {
        "COPIED": COPIED, "COMPRESSED": COMPRESSED, "ZERO": ZERO,
        "CLUSTER": img.cluster,
        "l1": img.l1, "l2": img.l2, "reftable": img.reftable,
        "refblock": img.refblock, "snapshots": img.snapshots,
        "snapshot_l1": img.snapshot_l1, "bitmaps": img.bitmaps,
        "l1e": Table(img, lambda i: img.l1() + i * 8),
        "l2e": Table(img, img.l2_entry),
        "refcount": Table(img, img.refcount, 2),
        "header": img.get, "set_header": img.set,
        "feature": img.feature, "extension": img.extension,
    }
    was = bytes(img.data)
    for statement in sys.argv[2:]:
        exec(statement, scope)  # pylint: disable=exec-used
    if img.data != was:
        with open(sys.argv[1], "wb") as f:
            f.write(img.data)


if __name__ == "__main__":
    main()
