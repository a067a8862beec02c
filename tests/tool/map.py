#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""map.py QCOWCTL: qcowctl map beside qemu-img map, for images made in the
current folder. A line for each: its name, a tab and the fault, or nothing."""

import itertools
import json
import os
import random
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../vm/images"))

# pylint: disable=wrong-import-position
import crafted
import cross
import damage
from common import qemu_img, qemu_io
from qcow2 import COPIED, ZERO, Image

KINDS = {
    "v2": {"version": 2},
    "v3": {},
    "extl2": {"extl2": True},
    "data": {"data_file": "data"},
    "extl2-data": {"extl2": True, "data_file": "data"},
}
BELOW = ["nothing", "raw", "shorter", "longer"]
# Beyond tables, and it is the tables that are looked at
PIECE = 40000


def some_bytes(rng, size):
    """A map is not about contents. A cluster with few of them is a hole."""
    return b"x" * rng.choice([1, 1, min(size, PIECE)])


class Sketch(Image):
    """Compressed clusters that nobody decompresses; tables of large clusters in
    a moment."""

    def compress(self, data):
        return b"z" * self.rng.randrange(1, min(self.cluster // 2, 3000))

    def write_l2(self, l1_index):
        first = l1_index * self.l2_entries
        self.l2_at[l1_index] = at = self.alloc()
        for i in self.entries:
            if first <= i < first + self.l2_entries:
                self.put(at + (i - first) * self.entry_size, self.entry_bytes(i))

    def refcount_block(self, first):
        bits = 1 << self.order
        block = bytearray(self.cluster)
        for i, count in self.refs.items():
            at = (i - first) * bits
            if 0 <= at < self.cluster * 8 and bits < 8:
                block[at // 8] |= min(count, (1 << bits) - 1) << at % 8
            elif 0 <= at < self.cluster * 8:
                block[at // 8:(at + bits) // 8] = count.to_bytes(bits // 8, "big")
        return bytes(block)


def sketch(rng, name, size, bits, kind, **options):
    """An image with entries of every kind."""
    options = {**KINDS[kind], **options}
    if "data_file" in options:
        options["data_file"] = name + ".data"
    order = rng.randint(0, 6) if kind != "v2" else 4
    img = Sketch(name, rng, size, bits, refcount_order=order,
                 scatter=rng.random() < 0.8, l1_extra=rng.choice([0, 0, 1, 7]),
                 **options)
    crafted.fill(img, rng)
    if rng.random() < 0.5:
        crafted.reserve(img, rng)
    img.finish()
    if rng.random() < 0.5:
        crafted.cut_end(img, rng)


def draw_size(rng, bits):
    size = rng.randint(1, max(5, min(160, (2 << 20) >> bits))) << bits
    if rng.random() < 0.5:
        size = max(512, size - rng.randrange(1 << bits))
    return size


def raw_file(rng, name, size):
    """Holes and data, a length that is a multiple of nothing."""
    with open(name, "wb") as f:
        f.truncate(size)
        for _ in range(rng.randint(0, 6)):
            f.seek(rng.randrange(size))
            f.write(b"r" * min(rng.randint(1, 20000), size - f.tell()))


def make_below(rng, name, kind, size):
    """A backing file: options of the image on top."""
    if kind == "nothing":
        return {}
    if kind == "raw":
        raw_file(rng, name, max(1, int(size * rng.choice([0.3, 1, 1.2]))))
        return {"backing": name, "backing_format": "raw"}
    size = int(size * (0.6 if kind == "shorter" else 1.5)) // 512 * 512 or 512
    bits = max(rng.choice([9, 12, 14, 16]), (size >> 8).bit_length())
    bits = min(bits, 21)
    lower = make_below(rng, name + "0", rng.choice(["nothing", "nothing", "raw"]),
                       size)
    sketch(rng, name, size, bits, rng.choice(["v2", "v3"] +
                                             (["extl2"] if bits > 13 else [])),
           **lower)
    return {"backing": name, "backing_format": "qcow2"}


def product():
    for bits, kind, below in itertools.product(range(9, 22), KINDS, BELOW):
        if "extl2" in kind and bits < 14:
            continue
        name = "%s-%d-%s" % (kind, bits, below)
        rng = random.Random(name)
        size = draw_size(rng, bits)
        sketch(rng, name, size, bits, kind,
               **make_below(rng, name + ".below", below, size))
        yield name, "qcow2"


def histories():
    """As QEMU itself leaves them."""
    srcs = cross.sources(os.path.abspath("sources"), 1)
    for number in range(12):
        rng = random.Random("map %d" % number)
        folder = "history-%d" % number
        os.makedirs(folder)
        os.chdir(folder)
        layer = cross.build_chain(rng, srcs)
        if rng.random() < 0.5:
            layer.odd_size()
        yield layer.name, layer.format
        os.chdir("..")


def preallocated():
    modes = ["metadata", "falloc", "full"]
    options = ["cluster_size=512", "cluster_size=64k,compat=0.10",
               "cluster_size=2M", "cluster_size=64k,extended_l2=on",
               "cluster_size=64k,data_file=%s.data",
               "cluster_size=64k,data_file=%s.data,data_file_raw=on"]
    for number, (mode, option) in enumerate(itertools.product(modes, options)):
        name = "preallocated-%d" % number
        if "%s" in option:
            option %= name
        qemu_img("create", "-q", "-f", "qcow2", "-o",
                 "preallocation=%s,%s" % (mode, option), name, "5000k")
        yield name, "qcow2"
        qemu_io(name, ["write 100k 200k", "write -z 1M 64k", "discard 2M 1M"])
        yield name, "qcow2"


def raws():
    for size in (0, 1, 511, 512, 1000, 4097, 100000, 3000001):
        name = "raw-%d" % size
        rng = random.Random(name)
        with open(name, "wb") as f:
            f.truncate(size)
        yield name, "raw"
        yield name, None
        if size:
            raw_file(rng, name, size)
            yield name, "raw"
            yield name, None


def odd():
    img = Sketch("empty", random.Random(0), 0)
    img.finish()
    yield "empty", "qcow2"
    yield "empty", "raw"
    # Further than most bytes: tables are skipped, not walked.
    for name, size, bits in (("huge-1t", 1 << 40, 16), ("huge-4g", (1 << 32) + 512, 9)):
        img = Sketch(name, random.Random(name), size, bits)
        img.end = 1 << 20
        for i in (0, img.guest_clusters // 2, img.guest_clusters - 1):
            img.data(i, b"x")
        img.finish()
        yield name, "qcow2"
    # With a data file, 0 is an offset: of data only.
    for kind in ("data", "extl2-data"):
        name = "zero-at-0-" + kind
        img = Sketch(name, random.Random(0), 1 << 20, 16,
                    **{**KINDS[kind], "data_file": name + ".data"})
        img.set(0, COPIED | (0 if img.extl2 else ZERO), 0xffffffff << 32)
        img.finish()
        yield name, "qcow2"


def damaged():
    skip = ("zlib", "zstd", "size")
    for what, change, options in damage.DAMAGE:
        if what.startswith(skip):
            continue
        name = "damage-" + what
        if "data_file" in options:
            options = {**options, "data_file": name + ".data"}
        change(damage.base(name, random.Random(name), **options))
        yield name, "qcow2"
        if "data_file" not in options:
            img = Sketch(name + "-over", random.Random(name), 1 << 20,
                        backing=name, backing_format="qcow2")
            img.finish()
            yield name + "-over", "qcow2"
            # Damage that nobody sees
            bits = options.get("cluster_bits", 16)
            img = Sketch(name + "-hidden", random.Random(name),
                         damage.PIECES << bits, bits,
                         backing=name, backing_format="qcow2")
            for i in range(2, damage.PIECES):
                img.zero(i)
            img.finish()
            yield name + "-hidden", "qcow2"


def output(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, errors="replace", check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr


def entries(text):
    """Later versions tell which extents are compressed, too."""
    return [{k: v for k, v in e.items() if k != "compressed"}
            for e in json.loads(text)]


def difference(qcowctl, name, fmt):
    args = ["-f", fmt] if fmt else []
    theirs = output(["qemu-img", "map", "--output=json", *args, name])
    ours = output([*qcowctl, "map", "--json", *args, name])
    if theirs[0]:
        said = ours[2].split("\n")
        fine = (ours[0] == 1 and len(said) == 2 and
                said[0].startswith("qcowctl: " + name.split("-over")[0].split("-hidden")[0] + ": damaged"))
        return "" if fine else "is refused by QEMU only: %s" % (ours,)
    if ours[0] or ours[2]:
        return "fails: %s" % ours[2]
    if entries(theirs[1]) != json.loads(ours[1]):
        return "is %s, not %s" % (ours[1], theirs[1])
    return ""


def compare(qcowctl, name, fmt):
    """Whether preallocated space is a hole depends on the page cache, which
    changes at any time."""
    for _ in range(3):
        wrong = difference(qcowctl, name, fmt)
        if not wrong:
            break
    return wrong


def main():
    qcowctl = os.environ.get("WRAP", "").split() + sys.argv[1:]
    os.environ["LC_ALL"] = "C"
    crafted.content = damage.content = some_bytes
    damage.Image = Sketch
    for name, fmt in itertools.chain(product(), histories(), preallocated(), raws(),
                                     odd(), damaged()):
        wrong = compare(qcowctl, name, fmt).replace("\n", " ")[:2000]
        print("%s, %s\t%s" % (name, fmt, wrong), flush=True)


if __name__ == "__main__":
    main()
