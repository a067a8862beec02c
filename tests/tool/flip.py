#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""flip.py LIBRARY [IMAGE...]: in the current folder, make images of several kinds,
flip each bit of their headers and header extensions, and of some images each bit of
the tables that name clusters, repair them, put the bit back, and see that no cluster in
use was freed or changed, and that qemu-io reads the data.

LIBRARY has the check command of qcowctl, which is called in this process: thousands of
repairs take seconds. One half of the bits is tried with --repair=leaks and the other half
with --repair=all; QCOW_SEED=0 and QCOW_SEED=1 exchange them, and one of these is drawn if it
is not given. QCOW_LONG=1 tries each bit with both.

Prints a line "ok" or "FAILED: REASON" for each image and way of repair.
"""

import ctypes
import hashlib
import mmap
import os
import random
import subprocess
import sys

SECRET = "secret,id=k,file=key"
LIBC = ctypes.CDLL(None)
# Fields that a repair may write: then there is no bit to put back. (offset, bytes)
REWRITTEN = ((48, 8), (56, 4), (64, 8))
FEATURE_NAMES = 0x6803f857
SEED = int(os.environ.get("QCOW_SEED") or random.randrange(2))
MODES = ("leaks", "all")
BITMAPS = 0x23852875
# Bytes of an entry of the snapshot table: all but dates and names.
SNAPSHOT = list(range(16)) + list(range(32, 56))

KINDS = {
    "plain": ["-o", "cluster_size=4096"],
    "wide": ["-o", "cluster_size=65536"],
    "extended": ["-o", "cluster_size=16384,extended_l2=on"],
    "small": ["-o", "cluster_size=512,refcount_bits=8"],
    "old": ["-o", "cluster_size=4096,compat=0.10"],
    "luks": ["--object", SECRET, "-o", "cluster_size=4096,encrypt.format=luks,"
             "encrypt.key-secret=k,encrypt.iter-time=10"],
    "bitmaps": ["-o", "cluster_size=4096"],
    "data": ["-o", "cluster_size=4096,data_file=data.raw"],
    "backing": ["-o", "cluster_size=4096", "-b", "base.raw", "-F", "raw"],
    "snapshots": ["-o", "cluster_size=4096"],
    "oldsnapshots": ["-o", "cluster_size=4096,compat=0.10"],
    "leaky": ["-o", "cluster_size=4096"],
}

# Tables of which each bit is flipped as well.
TABLES = {
    "plain": ("l1", "reftable"),
    "extended": ("l1",),
    "bitmaps": ("bitmaps",),
    "snapshots": ("l1", "snapshots"),
    "oldsnapshots": ("snapshots",),
}


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)


def must(*command):
    done = run(*command)
    if done.returncode:
        raise RuntimeError("%s: %s" % (command, done.stdout))


def options(kind, image):
    """As an argument of QEMU's tools."""
    if kind == "luks":
        return ["--object", SECRET, "--image-opts",
                "driver=qcow2,encrypt.key-secret=k,file.filename=" + image]
    return ["-f", "qcow2", image]


def qemu_io(kind, image, *commands):
    words = [w for c in commands for w in ("-c", c)]
    return run("qemu-io", *options(kind, image)[:-1], *words, options(kind, image)[-1])


def number(data, offset, size=8):
    return int.from_bytes(data[offset:offset + size], "big")


def make(kind):
    """A disk of 1 MiB with data in its first and last 64 KiB, and 1.5 tables."""
    image = kind + ".qcow2"
    for attempt in range(100):
        if not run("qemu-img", "create", "-q", "-f", "qcow2", *KINDS[kind], image,
                   "4M").returncode:
            break
        if attempt == 99 or kind != "luks":
            raise RuntimeError("qemu-img create: " + kind)
    writes = ["write -q -P 5 0 64k", "write -q -P 6 3M 20k"]
    for i in range(3 if "snapshots" in kind else 0):
        done = qemu_io(kind, image, "write -q -P %d 64k 64k" % (i + 10), *writes)
        must("qemu-img", "snapshot", "-c", "s%d" % i, image)
    done = qemu_io(kind, image, *writes)
    if done.returncode or "failed" in done.stdout:
        raise RuntimeError(done.stdout)
    if kind == "bitmaps":
        must("qemu-img", "bitmap", "--add", image, "b0")
        must("qemu-img", "bitmap", "--add", "-g", "512", image, "b1")
        qemu_io(kind, image, "write -q -P 5 0 64k", "write -q -P 6 3M 20k")
    if kind == "leaky":
        leak(image)
    return image


def leak(image):
    """One cluster with a refcount but without a reference."""
    with open(image, "r+b") as f:
        data = f.read()
        block = number(data, number(data, 48))
        f.seek(block + 2 * (len(data) >> number(data, 20, 4)))
        f.write(b"\0\1")
        f.truncate(len(data) + (1 << number(data, 20, 4)))


class Image:
    """An image before the bit is flipped."""

    def __init__(self, kind):
        self.kind = kind
        self.path = make(kind)
        with open(self.path, "rb") as f:
            self.data = f.read()
        self.bits = number(self.data, 20, 4)
        self.order = number(self.data, 96, 4) if number(self.data, 4, 4) > 2 else 4
        self.refs = self.refcounts(self.data)
        self.skip = set()
        self.words = set()
        self.note_metadata()
        leaked = {len(self.data) // (1 << self.bits) - 1} if kind == "leaky" else set()
        self.used = [i for i, n in enumerate(self.refs) if n and i not in leaked]

    def bytes_to_flip(self):
        """The header, its extensions without most names of features, and their end."""
        header = number(self.data, 100, 4) if number(self.data, 4, 4) > 2 else 72
        found, at = list(range(header)), header
        while number(self.data, at, 4):
            size = number(self.data, at + 4, 4)
            names = number(self.data, at, 4) == FEATURE_NAMES
            found += range(at, at + 8 + (16 if names else size))
            at += 8 + (size + 7 & ~7)
        return found + list(range(at, at + 8))

    def table_to_flip(self, table):
        """Of L1 and refcount tables the entries in use; of bitmaps all but the names;
        of the last snapshot, and in version 3 of the first one, the places and sizes."""
        if table == "bitmaps":
            return self.bitmaps()
        if table == "snapshots":
            first = 0 if self.kind == "snapshots" else number(self.data, 60, 4) - 1
            last = self.entry(number(self.data, 60, 4) - 1)
            return [at + a for at in {self.entry(first), last} for a in SNAPSHOT]
        l1, nr = number(self.data, 40), number(self.data, 36, 4)
        if table == "reftable":
            l1, nr = number(self.data, 48), 1
        return [a for i in range(l1, l1 + 8 * nr, 8) if number(self.data, i)
                for a in range(i, i + 8)]

    def bitmaps(self):
        """The directory without names, and the entries of the bitmaps' tables."""
        at = number(self.data, 100, 4)
        while number(self.data, at, 4) != BITMAPS:
            at += 8 + (number(self.data, at + 4, 4) + 7 & ~7)
        found, at, left = [], number(self.data, at + 24), number(self.data, at + 8, 4)
        for _ in range(left):
            table, nr = number(self.data, at), number(self.data, at + 8, 4)
            self.words |= set(range(table, table + 8 * nr))
            found += list(range(at, at + 24)) + list(range(table, table + 8 * nr))
            at += 24 + number(self.data, at + 20, 4) + number(self.data, at + 18, 2) + 7 & ~7
        return found

    def word_vanishes(self, at, mask):
        """Is that the only bit of its entry? An empty entry is as good as another."""
        return number(self.data, at & ~7) == mask << 8 * (7 - at % 8)

    def refcounts(self, data):
        """Of each cluster, as the header's table has them; None: it leads nowhere."""
        table, size = number(data, 48), number(data, 56, 4) << self.bits
        per_block = (8 << self.bits) >> self.order
        found = []
        for i in range((len(data) >> self.bits) + 1):
            entry = table + i // per_block * 8
            block = number(data, entry) if entry < table + size else 0
            bit = block * 8 + (i % per_block << self.order)
            byte = number(data, bit // 8, max(1, 1 << self.order >> 3)) if block else 0
            if self.order < 3:
                byte = byte >> bit % 8 & ((1 << (1 << self.order)) - 1)
            found.append(byte)
        return found

    def note_metadata(self):
        """Clusters that a repair may write: the header, refcounts, snapshots."""
        table = number(self.data, 48)
        self.skip |= {0, table >> self.bits, number(self.data, table) >> self.bits}
        l1 = number(self.data, 40)
        self.tables = {l1 >> self.bits}
        places = [(l1, number(self.data, 36, 4))]
        for i in range(number(self.data, 60, 4)):
            places.append(self.snapshot(i))
        for offset, nr in places:
            self.tables.add(offset >> self.bits)
            for i in range(nr):
                self.tables.add((number(self.data, offset + 8 * i) &
                                 0xfffffffffffe00) >> self.bits)

    def entry(self, number_of):
        """Where the entry of a snapshot is."""
        at = number(self.data, 64)
        for _ in range(number_of):
            at += 40 + number(self.data, at + 36, 4) + number(self.data, at + 12, 2) + \
                number(self.data, at + 14, 2)
            at = (at + 7) & ~7
        return at

    def snapshot(self, number_of):
        """Its L1 table."""
        at = self.entry(number_of)
        return number(self.data, at), number(self.data, at + 8, 4)

    def cluster(self, data, i):
        raw = data[i << self.bits:(i + 1) << self.bits]
        if i not in self.tables:
            return raw
        # COPIED flags may come and go.
        return bytes(b & 0x7f if not k % 8 else b for k, b in enumerate(raw))

    def same(self, data, i):
        """The last cluster of a file may end early."""
        size = 1 << self.bits
        return self.cluster(data, i).ljust(size, b"\0") == \
            self.cluster(self.data, i).ljust(size, b"\0")

    def wrong(self, data):
        """The fault of the repaired image, its bit put back, or nothing."""
        refs = self.refcounts(data)
        freed = [i for i in self.used if not refs[i] and i not in self.skip]
        table = number(data, 48)
        freed += [i for i in (0, table >> self.bits, number(data, table) >> self.bits)
                  if not refs[i]]
        if freed:
            return "%d clusters in use were freed, %s first" % (len(freed), freed[0])
        changed = [i for i in self.used if i not in self.skip and
                   not self.same(data, i)]
        if changed:
            return "%d clusters were changed, %d first" % (len(changed), changed[0])
        return None


def rewritten(data, flipped, at):
    """Was the field changed that the bit is in?"""
    return any(offset <= at < offset + size and
               data[offset:offset + size] != flipped[offset:offset + size]
               for offset, size in REWRITTEN)


class Work:
    """A copy of an image that is written anew only after it was changed."""

    def __init__(self, image):
        self.data = bytearray(image.data)
        self.fd = os.open("flipped.qcow2", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        self.renew()

    def renew(self):
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, self.data, 0)
        self.map = mmap.mmap(self.fd, len(self.data))

    def toggle(self, at, mask):
        self.data[at] ^= mask
        os.pwrite(self.fd, self.data[at:at + 1], at)

    def changed(self):
        """The file's bytes, if they are not those that were put there."""
        size = os.fstat(self.fd).st_size
        if size == len(self.data) and not LIBC.memcmp(
                (ctypes.c_char * size).from_buffer(self.map),
                (ctypes.c_char * size).from_buffer(self.data), ctypes.c_size_t(size)):
            return None
        return bytearray(os.pread(self.fd, size, 0))


class Repairer:
    """qcowctl check in this process."""

    def __init__(self, library):
        self.lib = ctypes.CDLL(library, mode=os.RTLD_LAZY)
        self.check = ctypes.byref(ctypes.c_char.in_dll(self.lib, "check_command"))
        self.optind = ctypes.c_int.in_dll(LIBC, "optind")

    def repair(self, mode, path):
        words = [b"check", b"--repair=" + mode.encode(), path.encode()]
        argv = (ctypes.c_char_p * 4)(*words, None)
        self.optind.value = 0
        return self.lib.command_run(self.check, 3, argv)


def readable(image, path):
    done = qemu_io(image.kind, path, "write -q -P 7 1M 4k", "read -q -P 5 0 64k",
                   "read -q -P 6 3M 20k", "read -q -P 7 1M 4k")
    if done.returncode or "failed" in done.stdout:
        return done.stdout.strip()
    return None


def bits_to_flip(places, mode):
    """Those of a mode: neighbours are tried in different ones."""
    for at in places:
        for bit in range(8):
            if os.environ.get("QCOW_LONG") or MODES[(at + bit + SEED) % 2] == mode:
                yield at, 1 << bit


def try_image(repairer, image, places, mode, say):
    work = Work(image)
    seen = set()
    codes = {}
    wrong = []
    for at, mask in bits_to_flip(places, mode):
        if at in image.words and image.word_vanishes(at, mask):
            continue
        work.toggle(at, mask)
        code = repairer.repair(mode, "flipped.qcow2")
        codes[code] = codes.get(code, 0) + 1
        data = work.changed()
        flipped = bytes(work.data)
        work.toggle(at, mask)
        if data is None:
            continue
        work.renew()
        if not rewritten(data, flipped, at):
            data[at] = data[at] & ~mask | image.data[at] & mask
        what = image.wrong(data)
        digest = hashlib.sha1(data).digest()
        if not what and digest not in seen:
            seen.add(digest)
            with open("put-back.qcow2", "wb") as f:
                f.write(data)
            what = readable(image, "put-back.qcow2")
        if what:
            wrong.append("byte %d, mask %#x, seed %d, exit code %d: %s" %
                         (at, mask, SEED, code, what))
    say(wrong, codes, len(seen))


def main():
    repairer = Repairer(os.path.abspath(sys.argv[1]))
    out = os.fdopen(os.dup(1), "w")
    with open("key", "w", encoding="ascii") as f:
        f.write("secret")
    with open("base.raw", "wb") as f:
        f.truncate(4 << 20)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    for kind in sys.argv[2:] or KINDS:
        image = Image(kind)
        places = {"header": image.bytes_to_flip()}
        places.update((t, image.table_to_flip(t)) for t in TABLES.get(kind, ()))
        for part, mode in ((p, m) for p in places for m in MODES):
            def say(wrong, codes, seen, name="%s, %s, --repair=%s" % (kind, part, mode)):
                print("%s: %s" % ("FAILED" if wrong else "ok", name), sorted(codes.items()),
                      seen, "\n    ".join(wrong[:20]), file=out, flush=True)
            try_image(repairer, image, places[part], mode, say)


if __name__ == "__main__":
    main()
