# SPDX-License-Identifier: GPL-2.0
"""Images that QEMU reads but would not write: everything in any order and
anywhere in the file."""

import os
import random
import shutil

from common import case, qemu_img, reference
from cross import attach_args, window
from qcow2 import COMPRESSED, COPIED, ZERO, Image, content

MAX_CLUSTERS = 160
MAX_SIZE = 5 << 20


def draw_image(rng):
    version = rng.choice([2, 3, 3, 3])
    extl2 = version == 3 and rng.random() < 0.35
    bits = rng.randint(14 if extl2 else 9, 21)
    clusters = rng.randint(1, max(6, min(MAX_CLUSTERS, MAX_SIZE >> bits)))
    size = clusters << bits
    if rng.random() < 0.4:
        size = max(512, (size - rng.randrange(1 << bits)) // 512 * 512)
    data_file = version == 3 and rng.random() < 0.2
    backing = rng.random() < 0.35
    if backing:
        with open("back.raw", "wb") as f:
            f.write(content(rng, max(1, int(size * rng.choice([0.3, 0.8, 1, 1.2])))))
    return Image("top.qcow2", rng, size, bits, version, extl2,
                 rng.randint(0, 6) if version == 3 else 4,
                 rng.choice(["zlib", "zstd"]) if version == 3 else None,
                 "top.data" if data_file else None, False,
                 "back.raw" if backing else None, "raw" if backing else None,
                 rng.random() < 0.8, rng.choice([0, 0, 1, 7]))


def subclusters(img, rng, index):
    """A cluster with a bitmap of its own."""
    alloc = zero = 0
    for i in range(32):
        kind = rng.random()
        if kind < 0.4:
            alloc |= 1 << i
        elif kind < 0.6:
            zero |= 1 << i
    if rng.random() < 0.2:
        alloc = 0
    if alloc or rng.random() < 0.5:
        img.data(index, content(rng, img.cluster), zero << 32 | alloc)
    else:
        img.set(index, 0, zero << 32)


def share(img, rng, index):
    """The host cluster of another one, as after a snapshot."""
    whole = [e for e in img.entries.values()
             if not e[0] & (COMPRESSED | ZERO) and
             (e[0] & ~COPIED) >> img.bits in img.refs]
    if whole and not img.data_file:
        entry, bitmap = rng.choice(whole)
        img.set(index, entry & ~COPIED, bitmap)
        img.refs[(entry & ~COPIED) >> img.bits] += 1


def past_end(img, rng, index):
    """Data behind the end of the file is zeros."""
    if not img.data_file:
        at = (1 << 30) + (rng.randrange(1 << 20) << img.bits)
        img.set(index, at | COPIED, 0xffffffff)


def squeeze(img, rng, index):
    if img.data_file:
        return
    data = content(rng, img.cluster)
    # an entry may tell more sectors than there are
    extra = rng.choice([0, 0, 0, 1, 3])
    fits = (1 << img.bits - 8) - 2 - img.cluster // 512
    img.compressed(index, data, extra=min(extra, max(0, fits)))


def fill(img, rng):
    index = 0
    while index < img.guest_clusters:
        kind = rng.random()
        run = rng.choice([1, 1, 2, 5, 17])
        for i in range(index, min(index + run, img.guest_clusters)):
            if kind < 0.30:
                img.data(i, content(rng, img.cluster))
            elif kind < 0.50:
                squeeze(img, rng, i)
            elif kind < 0.65 and img.version == 3:
                img.zero(i, rng.random() < 0.5)
            elif kind < 0.80 and img.extl2:
                subclusters(img, rng, i)
            elif kind < 0.85:
                share(img, rng, i)
            elif kind < 0.90:
                past_end(img, rng, i)
        index += run


def reserve(img, rng):
    """Bits that readers ignore."""
    for index, (entry, bitmap) in img.entries.items():
        if rng.random() < 0.2 and not entry & COMPRESSED:
            entry |= rng.randrange(1, 128) << 1
            if img.extl2:
                entry |= ZERO & rng.randrange(2)
        if rng.random() < 0.2 and not img.data_file:
            entry &= ~COPIED
        if entry & COMPRESSED and rng.random() < 0.3:
            bitmap = rng.getrandbits(64) if img.extl2 else 0
        img.entries[index] = (entry, bitmap)


def cut_end(img, rng):
    """The last cluster may be incomplete if the file was never longer."""
    last = img.end - 1
    is_data = any(not e & COMPRESSED and
                  (e & ~COPIED & ~0x1ff) >> img.bits == last
                  for e, _ in img.entries.values())
    if is_data and not img.data_file:
        os.truncate(img.path, (last << img.bits) + rng.randrange(1, img.cluster))


def draw(rng):
    """An image in the current folder, and QEMU's view of its disk."""
    img = draw_image(rng)
    fill(img, rng)
    if rng.random() < 0.5:
        reserve(img, rng)
    img.finish()
    if rng.random() < 0.5:
        cut_end(img, rng)
    reference(img.path, "ref")


def make(job):
    top, seed, number = job
    name = "crafted-%s-%04d" % (seed, number)
    # Incompressible data may not fit into an entry of the smallest clusters.
    # An image that QEMU cannot read is no reference: damage.py has those.
    for attempt in range(10):
        rng = random.Random("crafted %s %s %s" % (seed, number, attempt))
        shutil.rmtree(os.path.join(top, name), ignore_errors=True)
        os.makedirs(os.path.join(top, name))
        os.chdir(os.path.join(top, name))
        try:
            draw(rng)
            break
        except RuntimeError:
            if attempt == 9:
                raise
    args, checks = window(rng, os.stat("ref").st_size)
    args += attach_args(rng)
    return case(name, name + "/top.qcow2", name + "/ref",
                " ".join(args) or "-", checks)


# A disk far too large to be read whole: (name, size, cluster bits)
HUGE = [("1t", 1 << 40, 16), ("16e", 1 << 60, 21), ("64t", (1 << 46) - 512, 16),
        ("4g", (1 << 32) + 512, 9)]


def make_huge(top):
    lines = []
    for what, size, bits in HUGE:
        name = "crafted-huge-" + what
        os.makedirs(os.path.join(top, name))
        os.chdir(os.path.join(top, name))
        rng = random.Random(name)
        img = Image("top.qcow2", rng, size, bits)
        # tables and data far behind: half a gigabyte to two terabytes
        img.end = 1 << 20
        last = img.guest_clusters - 1
        for i in (0, 1, last // 2, last - 1, last):
            img.data(i, content(rng, img.cluster))
        img.finish()
        for where in (0, last // 2 << bits, last - 1 << bits):
            length = min(size - where, 2 << bits)
            ref = "ref-%x" % where
            qemu_img("convert", "-q", "-O", "raw", "--image-opts",
                     "driver=raw,offset=%d,size=%d,file.driver=qcow2,"
                     "file.file.filename=top.qcow2" % (where, length), ref)
            lines.append(case("%s-%x" % (name, where), name + "/top.qcow2",
                              "%s/%s" % (name, ref), "--offset %d --size-limit %d"
                              % (where, length)))
    return lines
