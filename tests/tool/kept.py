#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""kept.py QCOWCTL SEED COUNT: in the current folder, damage COUNT images, repair a copy of
each with qcowctl check --repair=all, and another copy with qemu-img check -r all. See that each
cluster of the disk and of its snapshots that was readable before the repair by qcowctl is
readable afterwards, with the same content, even if all clusters that the repaired image
counts as free are written to.

Prints a line "ok" or "FAILED: REASON" for each image, and at the end the number of images
whose data each of the two lost. With --keep, images that failed stay in the folder "kept".
"""

import os
import random
import shutil
import struct
import subprocess
import sys
import zlib

import check
import flip
from qcow2 import peek

# Damage that leads to more clusters of the disk than these is looked at no further.
MAX_CLUSTERS = 4096
# A repair makes a file larger by less. Some by QEMU make gigabytes of a file of kilobytes.
MAX_BYTES = 64 << 20
OFFSET = 0x00fffffffffffe00
EXTENDED_L2 = 16
DATA_FILE = 4
# Damaged copies of each image
COPIES = 8


class Broken(Exception):
    """No disk can be read."""


class View:
    """A reader of an image as it is in memory, which believes no refcount."""

    def __init__(self, data):
        self.data = data
        if data[:4] != b"QFI\xfb":
            raise Broken
        self.version = self.number(4, 4)
        self.bits = self.number(20, 4)
        if self.version not in (2, 3) or not 9 <= self.bits <= 21:
            raise Broken
        self.cluster = 1 << self.bits
        features = self.number(72) if self.version > 2 else 0
        self.extended = bool(features & EXTENDED_L2)
        self.own_data = not features & DATA_FILE
        self.order = self.number(96, 4) if self.version > 2 else 4
        if self.order > 6:
            raise Broken
        self.metadata = {0}

    def number(self, host_offset, size=8):
        """Zero past the end of the file"""
        return int.from_bytes(self.data[host_offset:host_offset + size].ljust(size, b"\0"), "big")

    def refcount(self, cluster):
        per_block = (8 << self.bits) >> self.order
        if cluster // per_block * 8 >= self.number(56, 4) << self.bits:
            return 0
        block = self.number(self.number(48) + cluster // per_block * 8) & ~0x1ff
        bit = block * 8 + (cluster % per_block << self.order)
        if not block or block & (self.cluster - 1):
            return 0
        value = self.number(bit // 8, max(1, 1 << self.order >> 3))
        return value >> bit % 8 & ((1 << (1 << self.order)) - 1) if self.order < 3 else value

    def free(self):
        """The clusters of the file that the next write may take"""
        return {i for i in range(1, -(-len(self.data) // self.cluster)) if not self.refcount(i)}

    def compressed(self, raw):
        shift = 62 - (self.bits - 8)
        host_offset = raw & ((1 << shift) - 1)
        sectors = (raw >> shift & ((1 << (self.bits - 8)) - 1)) + 1
        end = (host_offset & ~511) + 512 * sectors
        try:
            return "bytes", zlib.decompressobj(-12).decompress(self.data[host_offset:end], 64)
        except zlib.error:
            return "stream", zlib.crc32(self.data[host_offset:end])

    def entry(self, raw, bitmap):
        """The content of a cluster; None: it cannot be read."""
        host_offset = raw & OFFSET
        if raw >> 62 & 1:
            return self.compressed(raw)
        if bitmap >> 32 & bitmap:
            return None
        if self.extended and not bitmap & 0xffffffff:
            return "zeros", bitmap >> 32
        if not self.extended and raw & 1:
            return "zeros", 0
        if not host_offset and self.own_data:
            return None if bitmap else ("nothing", 0)
        if host_offset & (self.cluster - 1):
            return None
        if not self.own_data:
            return "elsewhere", host_offset
        # The disk shows one of its own tables, which a repair may change.
        if host_offset >> self.bits in self.metadata:
            return None
        if host_offset >= len(self.data):
            return "past the end", 0
        part = self.data[host_offset:host_offset + self.cluster].ljust(self.cluster, b"\0")
        return "bytes", bitmap, zlib.crc32(part)

    def table(self, host_offset, nr, found, name):
        """Add the readable clusters of an L1 table."""
        words = 2 if self.extended else 1
        per_table = self.cluster // (8 * words)
        if host_offset & (self.cluster - 1):
            return
        for i in range(nr):
            l2 = self.number(host_offset + 8 * i) & OFFSET
            if not l2 or l2 & (self.cluster - 1) or l2 >= len(self.data):
                continue
            raw = struct.unpack(">%dQ" % (per_table * words),
                                self.data[l2:l2 + self.cluster].ljust(self.cluster, b"\0"))
            for k in range(per_table):
                if not (raw[k * words] or raw[(k + 1) * words - 1]):
                    continue
                content = self.entry(raw[k * words], raw[2 * k + 1] if self.extended else 0)
                if content:
                    found[name, i * per_table + k] = content
                if len(found) > MAX_CLUSTERS:
                    raise Broken

    def l1_tables(self):
        """Place, number of entries and name of the L1 tables of the disk and of all snapshots"""
        yield self.number(40), min(self.number(36, 4), MAX_CLUSTERS), "disk"
        entry = self.number(64)
        for i in range(min(self.number(60, 4), 8)):
            extra = self.number(entry + 36, 4)
            if extra > 1024:
                break
            yield (self.number(entry), min(self.number(entry + 8, 4), MAX_CLUSTERS),
                   "snapshot %d" % i)
            self.metadata.add(entry >> self.bits)
            entry += 40 + extra + self.number(entry + 12, 2) + self.number(entry + 14, 2)
            entry = (entry + 7) & ~7

    def note_metadata(self, l1_tables):
        """Clusters that are tables, which are more after each walk of the snapshots"""
        for host_offset, nr, _ in l1_tables:
            for i in range(host_offset, host_offset + 8 * nr, 8):
                self.metadata |= {i >> self.bits, (self.number(i) & OFFSET) >> self.bits}
        table = self.number(48)
        for i in range(table, min(table + (self.number(56, 4) << self.bits), len(self.data)), 8):
            self.metadata |= {i >> self.bits, self.number(i) >> self.bits}

    def clusters(self):
        """The readable ones of the disk and of all snapshots"""
        found = {}
        l1_tables = list(self.l1_tables())
        self.note_metadata(l1_tables)
        for host_offset, nr, name in l1_tables:
            self.table(host_offset, nr, found, name)
        return found


def read(path):
    with open(path, "rb") as f:
        return f.read(MAX_BYTES)


def readable(data):
    try:
        return View(data).clusters()
    except Broken:
        return {}


def written(before, after, done):
    """A repaired image after writes to its free clusters. Those that were free before an
    incomplete repair are not its fault."""
    try:
        view = View(after)
        free = view.free()
        if not done:
            free -= View(before).free()
    except Broken:
        return after
    image = bytearray(after)
    for i in free:
        part = image[i << view.bits:(i + 1) << view.bits]
        image[i << view.bits:(i + 1) << view.bits] = b"\xa5" * len(part)
    return bytes(image)


def lost(before, after, done):
    """The clusters that were readable, and are not the same any more."""
    if before == after:
        return []
    had, has = readable(before), readable(written(before, after, done))
    return [where for where in had if has.get(where) != had[where]]


def put_back(whole, before, after):
    """A repaired image whose damage was put right by hand, where the repair left it"""
    image = bytearray(after)
    for i in range(min(len(whole), len(before), len(after))):
        if whole[i] != before[i] == after[i]:
            image[i] = whole[i]
    return bytes(image)


def lost_for_good(whole, before, after, done):
    """The clusters of the image before its damage that are lost even when it is put right"""
    if before == after or len(before) < len(whole):
        return []
    had = readable(whole)
    has = readable(put_back(whole, before, written(before, after, done)))
    return [where for where in had if has.get(where) != had[where]]


# --- Damage ---

def flip_header(rng, data, data_path):
    """One bit, or a few, of the header and its extensions"""
    end = min(len(data), 400)
    for _ in range(rng.choice([1, 1, 1, 2])):
        at = rng.randrange(8, end) if rng.random() < 0.4 else rng.randrange(20, 104)
        data[at] ^= 1 << rng.randrange(8)
    with open(data_path, "wb") as f:
        f.write(data)


def damage(rng, image, copy):
    shutil.copy(image, copy)
    kind = rng.random()
    if kind < 0.35:
        flip_header(rng, bytearray(read(image)), copy)
    if kind > 0.25:
        try:
            check.mutate(rng, copy)
        except (OSError, ValueError, OverflowError, IndexError):
            pass


def base(rng, number, seed):
    """An image; a history of QEMU's tools, one that they do not make, or one of flip.py"""
    kinds = list(flip.KINDS)
    if number % 3 == 0:
        return flip.make(kinds[(number // 3 + seed) % len(kinds)])
    if number % 3 == 1:
        return check.one_crafted("kept %s %s" % (seed, rng.random()))[1]
    return check.one_made("kept %s %s" % (seed, rng.random()))[1]


# --- Comparison ---

class Tally:
    def __init__(self):
        self.images = self.damaged = self.changed = self.clusters = 0
        self.ours = self.theirs = self.only_ours = self.only_theirs = 0
        self.grown = 0
        self.good_ours = self.good_theirs = self.good_only_ours = 0
        self.codes = {}

    def for_good(self, whole, before, ours, theirs):
        gone = lost_for_good(whole, before, *ours)
        their_gone = lost_for_good(whole, before, *theirs)
        self.good_ours += bool(gone)
        self.good_theirs += bool(their_gone)
        self.good_only_ours += bool(gone) and not their_gone
        return gone

    def repair(self, name, path, whole):
        before = read(path)
        shutil.copy(path, "ours.qcow2")
        shutil.copy(path, "theirs.qcow2")
        code, out, err = check.output(*check.QCOWCTL, "check", "--repair=all", "ours.qcow2")
        theirs = check.output("qemu-img", "check", "-q", "-f", "qcow2", "-r", "all",
                              "theirs.qcow2")[0]
        after = read("ours.qcow2")
        self.images += 1
        self.changed += after != before
        self.codes[code] = self.codes.get(code, 0) + 1
        self.clusters += len(readable(before))
        theirs_after = read("theirs.qcow2")
        gone = lost(before, after, code == 0)
        their_gone = lost(before, theirs_after, theirs == 0)
        limit = MAX_BYTES + os.stat(path).st_size
        self.grown += os.stat("theirs.qcow2").st_size > limit
        if os.stat("ours.qcow2").st_size > limit:
            gone.append("is larger than %d bytes" % limit)
        if self.for_good(whole, before, (after, code == 0), (theirs_after, theirs == 0)) and \
                "--keep" in sys.argv:
            os.makedirs("good", exist_ok=True)
            shutil.copy(path, "good/%s.qcow2" % name)
        self.ours += bool(gone)
        self.theirs += bool(their_gone)
        self.only_ours += bool(gone) and not their_gone
        self.only_theirs += bool(their_gone) and not gone
        if not gone and code in (0, 1, 2, 3, 63):
            print("ok", flush=True)
            return
        print("FAILED: %s: exit code %d, lost %s, QEMU %d lost %s: %s" % (
            name, code, gone[:4], theirs, their_gone[:4],
            " | ".join((err + out).strip().split("\n")[-3:])), flush=True)
        if "--keep" in sys.argv:
            os.makedirs("kept", exist_ok=True)
            shutil.copy(path, "kept/%s.qcow2" % name)


def main():
    seed, count = int(sys.argv[2]), int(sys.argv[3])
    tally = Tally()
    with open("key", "w", encoding="ascii") as f:
        f.write("secret")
    with open("base.raw", "wb") as f:
        f.truncate(4 << 20)
    for number in range(-(-count // COPIES)):
        rng = random.Random("kept %d %d" % (seed, number))
        try:
            image = base(rng, number, seed)
        except (RuntimeError, subprocess.TimeoutExpired):
            continue
        whole = read(image)
        for i in range(COPIES):
            damage(rng, image, "damaged.qcow2")
            tally.repair("seed %d, image %d, copy %d" % (seed, number, i), "damaged.qcow2",
                         whole)
    print("kept: seed %d: %d images, %d clusters readable before; %d images changed by qcowctl; "
          "data lost in %d by qcowctl and %d by qemu-img, %d by qcowctl alone and %d by qemu-img "
          "alone; after the damage was put right, data lost for good in %d by qcowctl, %d by "
          "qemu-img, %d by qcowctl alone; %d made larger by %d MiB by qemu-img; exit codes %s" % (
              seed, tally.images, tally.clusters, tally.changed, tally.ours, tally.theirs,
              tally.only_ours, tally.only_theirs, tally.good_ours, tally.good_theirs,
              tally.good_only_ours, tally.grown, MAX_BYTES >> 20, sorted(tally.codes.items())))


if __name__ == "__main__":
    main()
