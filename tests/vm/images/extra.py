# SPDX-License-Identifier: GPL-2.0
"""Images that the cases written in shell use, in folder "extra"."""

import os
import random
import struct

import crafted
from common import qemu_img, qemu_io, reference, run
from qcow2 import Image, content

# Many files for a filesystem within an image
FILES = 40


def write_files(folder, rng):
    os.makedirs(folder)
    for i in range(FILES):
        with open(os.path.join(folder, "file%d" % i), "wb") as f:
            f.write(content(rng, rng.randrange(1, 120000)))
    sums = run("sh", "-c", "sha256sum file*", cwd=folder)
    with open(os.path.join(folder, "sums"), "w", encoding="ascii") as f:
        f.write(sums)


def filesystem(path, folder, size, offset=0):
    run("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "offset=%d" % offset, "-d",
        folder, path, "%dk" % (size >> 10))


def partitioned(name, label, rng):
    """Two partitions, one with files and one with bytes."""
    table = "label: %s\nstart=2048, size=28672\nstart=32768, size=6144\n" % label
    with open("disk.raw", "wb") as f:
        f.truncate(20 << 20)
        f.seek(32768 * 512)
        second = content(rng, 6144 * 512)
        f.write(second)
    with open("table", "w", encoding="ascii") as f:
        f.write(table)
    run("sh", "-c", "sfdisk -q disk.raw < table")
    filesystem("disk.raw", "files", 28672 * 512, 2048 * 512)
    with open(name + ".second", "wb") as f:
        f.write(second)
    qemu_img("convert", "-q", "-c", "-O", "qcow2", "disk.raw", name + ".qcow2")
    os.unlink("disk.raw")


def parallel(rng):
    """One disk as images of several kinds, and a chain over it."""
    with open("par.raw", "wb") as f:
        for _ in range(256):
            f.write(content(rng, 65536))
    for kind in ("zlib", "zstd"):
        qemu_img("convert", "-q", "-c", "-O", "qcow2", "-o",
                 "compression_type=" + kind, "par.raw", "par-%s.qcow2" % kind)
    qemu_img("convert", "-q", "-O", "qcow2", "-o", "cluster_size=4k", "par.raw",
             "par-plain.qcow2")
    below, fmt = "par.raw", "raw"
    for i, bits in enumerate((12, 16, 9)):
        name = "par-chain%d.qcow2" % i
        qemu_img("create", "-q", "-f", "qcow2", "-b", below, "-F", fmt, "-o",
                 "cluster_size=%d" % (1 << bits), name)
        ops = []
        for _ in range(60):
            at = rng.randrange((16 << 20) - 70000) // 512 * 512
            ops.append("write -q -P %d %d %d" % (rng.randrange(256), at,
                                                 rng.randrange(1, 128) * 512))
        qemu_io(name, ops)
        below, fmt = name, "qcow2"
    reference(below, "par-chain.raw")


def whole_disk(rng):
    """A filesystem on the whole disk, and such an image within an image."""
    del rng
    with open("disk.raw", "wb") as f:
        f.truncate(16 << 20)
    filesystem("disk.raw", "files", 16 << 20)
    qemu_img("convert", "-q", "-O", "qcow2", "disk.raw", "fs.qcow2")
    os.makedirs("nest")
    qemu_img("convert", "-q", "-c", "-O", "qcow2", "disk.raw", "nest/inner.qcow2")
    os.rename("disk.raw", "inner.raw")
    with open("disk.raw", "wb") as f:
        f.truncate(24 << 20)
    filesystem("disk.raw", "nest", 24 << 20)
    qemu_img("convert", "-q", "-c", "-O", "qcow2", "disk.raw", "outer.qcow2")
    os.unlink("disk.raw")


def mutants(rng):
    """Small, with everything that can be damaged."""
    variants = [
        {"cluster_bits": 9}, {"cluster_bits": 12}, {"cluster_bits": 16},
        {"cluster_bits": 9, "version": 2}, {"cluster_bits": 12, "version": 2},
        {"cluster_bits": 14, "extl2": True},
        {"cluster_bits": 12, "compression": "zstd"},
        {"cluster_bits": 14, "extl2": True, "compression": "zstd"},
        {"cluster_bits": 12, "data_file": "mutant.data"},
        {"cluster_bits": 12, "backing": "par.raw", "backing_format": "raw"},
    ]
    for number, options in enumerate(variants):
        img = Image("mutant%d" % number, rng, 40 << options["cluster_bits"],
                    scatter=False, l1_extra=1, **options)
        crafted.fill(img, rng)
        img.finish()


def simple(rng):
    """For cases that need any content; and a larger one over it."""
    del rng
    qemu_img("create", "-q", "-f", "qcow2", "plain.qcow2", "8M")
    qemu_io("plain.qcow2", ["write -q -P %d %dk 64k" % (i + 1, i * 200)
                            for i in range(40)])
    reference("plain.qcow2", "plain.raw")
    qemu_img("create", "-q", "-f", "qcow2", "-b", "plain.qcow2", "-F", "qcow2",
             "over.qcow2", "9M")
    qemu_io("over.qcow2", ["write -q -P 99 1M 1M"])
    reference("over.qcow2", "over.raw")


def snapshot(name, *options):
    """Three snapshots, two of them of a smaller disk where QEMU can do that. NAME.1
    to NAME.3 have their content, NAME.now that of the disk."""
    qemu_img("create", "-q", "-f", "qcow2", *options, name, "3M")
    for i in (1, 2, 3):
        qemu_io(name, ["write -q -P %d %dk 700k" % (i, i * 300),
                       "write -q -z 64k 128k", "discard %dk 64k" % (i * 512)])
        qemu_img("snapshot", "-c", "state %d" % i, name)
        qemu_img("convert", "-q", "-l", "state %d" % i, "-O", "raw", name,
                 "%s.%d" % (name, i))
        if i == 2 and "compat=0.10" not in " ".join(options):
            qemu_img("resize", "-q", name, "5M")
    qemu_io(name, ["write -q -P 9 0 3M"])
    reference(name, name + ".now")


def snapshots():
    snapshot("snap-plain")
    snapshot("snap-old", "-o", "compat=0.10,cluster_size=512")
    snapshot("snap-sub", "-o", "extended_l2=on,refcount_bits=64")
    snapshot("snap-large", "-o", "cluster_size=2M")
    qemu_img("create", "-q", "-f", "raw", "snap-base", "3M")
    qemu_io("snap-base", ["write -q -P 7 0 3M"], fmt="raw")
    snapshot("snap-over", "-b", "snap-base", "-F", "raw")
    # an L1 table for less than the disk
    run("cp", "snap-plain", "snap-short")
    with open("snap-short", "r+b") as f:
        f.seek(60)
        table = struct.unpack(">IQ", f.read(12))[1]
        f.seek(table + 8)
        f.write(struct.pack(">I", 0))


def make(top):
    rng = random.Random("extra")
    os.makedirs(os.path.join(top, "extra"))
    os.chdir(os.path.join(top, "extra"))
    write_files("files", rng)
    partitioned("gpt", "gpt", rng)
    partitioned("mbr", "dos", rng)
    parallel(rng)
    whole_disk(rng)
    mutants(rng)
    simple(rng)
    snapshots()


def is_small(top, name):
    folder = os.path.join(top, name)
    return sum(os.stat(os.path.join(folder, f)).st_blocks
               for f in os.listdir(folder)) < 8192


def subset(top, lines, wanted, flat):
    """Some of the small cases, without arguments; flat: only images of one
    file, so that it may lie on a device."""
    found = []
    for line in lines:
        name, image, ref = line.split("\t")[:3]
        files = os.listdir(os.path.join(top, name)) if "huge" not in name else []
        if not files or not is_small(top, name) or (flat and len(files) != 2):
            continue
        found.append("\t".join((name, image, ref, "-", "-")))
        if len(found) == wanted:
            break
    return found
