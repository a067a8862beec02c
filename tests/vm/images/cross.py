# SPDX-License-Identifier: GPL-2.0
"""Images as QEMU's own tools make them: features, sizes, chains and a history
of writes, all drawn at random."""

import os
import random

from common import case, qemu_img, qemu_io, reference, run
from qcow2 import content, peek, poke

MIN_SIZE = 64 << 10
MAX_SIZE = 64 << 20


def sources(directory, seed):
    """Files whose bytes are written into images: their length is no multiple
    of anything, so that bytes in the wrong place differ."""
    rng = random.Random("sources %s" % seed)
    os.makedirs(directory, exist_ok=True)
    names = []
    for i in range(12):
        name = os.path.join(directory, "source%d" % i)
        with open(name, "wb") as f:
            f.write(content(rng, rng.choice([4099, 8209, 65537])))
        names.append(name)
    return names


def log_uniform(rng, low, high):
    return int(low * (high / low) ** rng.random())


def draw_size(rng, odd=0.3):
    size = log_uniform(rng, MIN_SIZE, MAX_SIZE if rng.random() < 0.08 else 3 << 20)
    if rng.random() < odd:
        return size // 512 * 512
    return -(-size // 65536) * 65536


class Layer:
    """One image of a chain."""

    def __init__(self, rng, number, size, below, srcs):
        self.rng = rng
        self.name = "l%d.qcow2" % number
        self.path = self.name
        self.size = size
        self.below = below
        self.srcs = srcs
        self.format = "qcow2"
        self.options = {}
        self.data_file = False
        self.snapshots = []

    def draw_options(self):
        rng, o = self.rng, self.options
        o["compat"] = "0.10" if rng.random() < 0.2 else "1.1"
        extl2 = o["compat"] == "1.1" and rng.random() < 0.25
        self.bits = rng.randint(14 if extl2 else 9, 21)
        o["cluster_size"] = 1 << self.bits
        if o["compat"] == "1.1":
            self.draw_v3_options(extl2)
        if not self.below and rng.random() < 0.3:
            o["preallocation"] = rng.choice(["metadata", "falloc", "full"])
        elif extl2 and rng.random() < 0.2:
            o["preallocation"] = "metadata"

    def draw_v3_options(self, extl2):
        rng, o = self.rng, self.options
        if extl2:
            o["extended_l2"] = "on"
        o["compression_type"] = rng.choice(["zlib", "zstd"])
        o["refcount_bits"] = rng.choice([1, 2, 4, 8, 16, 16, 32, 64])
        if rng.random() < 0.15:
            self.data_file = True
            o["data_file"] = self.name + ".data"
            if not self.below and rng.random() < 0.5:
                o["data_file_raw"] = "on"
        elif rng.random() < 0.15:
            o["lazy_refcounts"] = "on"

    def create(self):
        self.draw_options()
        args = ["create", "-q", "-f", "qcow2"]
        if self.below:
            args += ["-b", self.below.name, "-F", self.below.format]
        opts = ",".join("%s=%s" % item for item in self.options.items())
        qemu_img(*args, "-o", opts, self.path, str(self.size))

    def draw_range(self):
        rng = self.rng
        sectors = self.size // 512
        longest = min(sectors, max(4 << self.bits, 65536) // 512, 2048)
        length = log_uniform(rng, 1, longest + 1) or 1
        start = rng.randrange(sectors - length + 1)
        if rng.random() < 0.3:
            start = start * 512 >> self.bits << self.bits >> 9
        return start * 512, length * 512

    def draw_op(self):
        rng = self.rng
        at, length = self.draw_range()
        kind = rng.random()
        if kind < 0.40:
            return "write -q -s %s %d %d" % (rng.choice(self.srcs), at, length)
        if kind < 0.50:
            return "write -q -P %d %d %d" % (rng.randrange(256), at, length)
        if kind < 0.62:
            return "write -q -z %d %d" % (at, length)
        if kind < 0.70:
            return "write -q -z -u %d %d" % (at, length)
        if kind < 0.80:
            return "discard -q %d %d" % (at, length)
        if kind < 0.97 or self.data_file:
            at = at >> self.bits << self.bits
            length = min(1 << self.bits, self.size - at)
            return "write -q -c -s %s %d %d" % (rng.choice(self.srcs), at, length)
        return "write -q -b -P 77 %d 3000" % rng.randrange(100000)

    def write(self):
        ops = [self.draw_op() for _ in range(self.rng.randint(1, 40))]
        if self.rng.random() < 0.05:
            ops.append("aio_write -q -P 3 0 512")
        if "lazy_refcounts" in self.options and self.rng.random() < 0.5:
            ops += ["flush", "abort"]
        qemu_io(self.path, ops)

    def repair(self):
        """An aborted writer leaves an image that qemu-img must clean before
        it can be written again."""
        if self.options.get("lazy_refcounts"):
            qemu_img("check", "-q", "-r", "all", self.path, check=False)

    def snapshot(self):
        rng = self.rng
        self.repair()
        name = "s%d" % rng.randrange(100)
        kind = rng.random()
        if kind < 0.6 or not self.snapshots:
            qemu_img("snapshot", "-c", name, self.path, check=False)
            self.snapshots.append(name)
        else:
            qemu_img("snapshot", rng.choice(["-a", "-d"]),
                     rng.choice(self.snapshots), self.path, check=False)

    def resize(self):
        if self.data_file or self.snapshots:
            return
        self.repair()
        size = max(512, int(self.size * self.rng.choice([0.5, 0.9, 1.3, 2]))
                   // 512 * 512)
        if "fail" not in qemu_img("resize", "-q", "--shrink", "-f", "qcow2",
                                  self.path, str(size), check=False):
            self.size = size

    def bitmap(self):
        self.repair()
        qemu_img("bitmap", "--add", "-g", "64k", self.path,
                 "b%d" % self.rng.randrange(100), check=False)

    def live(self):
        """A history."""
        rng = self.rng
        self.write()
        for _ in range(rng.choice([0, 0, 1, 3])):
            step = rng.random()
            if step < 0.45 and not self.data_file:
                self.snapshot()
            elif step < 0.6:
                self.bitmap()
            elif step < 0.75:
                self.resize()
            self.write()

    def recompress(self):
        """The whole chain as one compressed image."""
        rng = self.rng
        self.repair()
        flat = self.path + ".flat"
        opts = "cluster_size=%d" % (1 << self.bits)
        if self.options["compat"] == "1.1":
            opts += ",compression_type=%s" % rng.choice(["zlib", "zstd"])
        qemu_img("convert", "-q", "-c", *(["-W"] if rng.random() < 0.5 else []),
                 "-f", "qcow2", "-O", "qcow2", "-o",
                 "compat=%s,%s" % (self.options["compat"], opts), self.path, flat)
        os.rename(flat, self.path)
        self.below = None

    def odd_size(self):
        """A size that is no multiple of a sector, as an editor may leave it."""
        size = peek(self.path, 24)
        covered = peek(self.path, 36, 4)
        l2 = (1 << self.bits) // (16 if "extended_l2" in self.options else 8)
        extra = self.rng.randint(1, 511)
        if size + extra <= covered * l2 << self.bits:
            poke(self.path, 24, size + extra)


class V1Layer(Layer):
    """An image of qcow version 1, which has two geometries: alone and over
    another. Its backing file has to be the end of the chain, for the image does
    not name that file's format."""

    def __init__(self, *args):
        super().__init__(*args)
        self.name = self.path = self.name.replace("qcow2", "qcow")
        self.format = "qcow"
        self.bits = 9 if self.below else 12

    def create(self):
        args = ["-b", self.below.name, "-F", self.below.format] if self.below else []
        qemu_img("create", "-q", "-f", "qcow", *args, self.path, str(self.size))

    def write(self):
        ops = [self.draw_op() for _ in range(self.rng.randint(1, 40))]
        qemu_io(self.path, ops, fmt="qcow")

    def live(self):
        for _ in range(self.rng.choice([0, 1, 1, 2])):
            self.write()

    def recompress(self):
        """It works, and exits with 1."""
        flat = self.path + ".flat"
        qemu_img("convert", "-q", "-c", "-f", "qcow", "-O", "qcow", self.path, flat,
                 check=False)
        qemu_img("compare", "-q", "-f", "qcow", "-F", "qcow", self.path, flat)
        os.rename(flat, self.path)
        self.below = None
        self.bits = 12

    def odd_size(self):
        size = peek(self.path, 24)
        extra = self.rng.randint(1, 511)
        covered = 1 << self.bits + peek(self.path, 33, 1)
        if size % covered and size % covered + extra <= covered:
            poke(self.path, 24, size + extra)


def may_be_v1(below):
    """Whether the image above @below may be of version 1."""
    return below is None or getattr(below, "below", None) is None


class RawLayer:
    """The end of a chain."""

    def __init__(self, rng, number, size, srcs):
        self.name = "l%d.raw" % number
        self.format = "raw"
        self.size = size
        with open(self.name, "wb") as f:
            for _ in range(rng.randint(1, 12)):
                with open(rng.choice(srcs), "rb") as src:
                    data = src.read()
                f.seek(rng.randrange(size))
                f.write(data)
            f.truncate(size)


DEPTHS = [1] * 9 + [2] * 4 + [3, 3, 4, 4, 5, 6, 7, 8, 11]


def next_size(rng, size):
    """Of the layer above one of this size."""
    kind = rng.random()
    if kind < 0.4:
        return -(-size // 512) * 512
    if kind < 0.7:
        return min(max(size, 8 << 20), int(size * (1 + rng.random()))) // 512 * 512
    return max(512, int(size * rng.random()) // 512 * 512)


def build_chain(rng, srcs):
    depth = rng.choice(DEPTHS)
    size = draw_size(rng)
    layer = None
    for number in range(depth):
        if number == 0 and depth > 1 and rng.random() < 0.35:
            layer = RawLayer(rng, number,
                             size + rng.choice([0, 0, 1, 511, 300]), srcs)
        else:
            kind = V1Layer if rng.random() < 0.15 and may_be_v1(layer) else Layer
            layer = kind(rng, number, size, layer, srcs)
            layer.create()
            layer.live()
        size = next_size(rng, size)
    return layer


def attach_args(rng):
    args = []
    if rng.random() < 0.4:
        args += ["--direct-io", rng.choice(["on", "off", "auto"])]
    if rng.random() < 0.4:
        args += ["--cache-size", rng.choice(["64K", "100K", "1M"])]
    return args


def window(rng, size):
    """Arguments and checks for a part of the disk."""
    if size < 1024 or rng.random() < 0.75:
        return [], "-"
    offset = rng.randrange(size // 512) * 512 if rng.random() < 0.8 else 0
    limit = rng.randrange(size // 512) * 512 if rng.random() < 0.8 else 0
    args = ["--offset", str(offset)] if offset else []
    if limit:
        args += ["--size-limit", str(limit)]
    return args, "offset=%d limit=%d" % (offset, limit)


def make(job):
    """job: folder of images, sources, seed, number. Return: a line of the
    manifest."""
    top, srcs, seed, number = job
    rng = random.Random("cross %s %s" % (seed, number))
    name = "cross-%s-%04d" % (seed, number)
    os.makedirs(os.path.join(top, name))
    # Where names in images are relative to, for QEMU's tools
    os.chdir(os.path.join(top, name))
    layer = build_chain(rng, srcs)
    if rng.random() < 0.15:
        layer.recompress()
    if rng.random() < 0.15:
        layer.odd_size()
    for image in os.listdir("."):
        run("fallocate", "--dig-holes", image)
    reference(layer.path, "ref", layer.format)
    args, checks = window(rng, os.stat("ref").st_size)
    args += attach_args(rng)
    return case(name, "%s/%s" % (name, layer.name), name + "/ref",
                " ".join(args) or "-", checks)
