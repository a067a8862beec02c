# SPDX-License-Identifier: GPL-2.0
"""Images that attach must refuse, and the messages.

A line of the manifest: name, image, the file to be named ("-": the image),
extended regular expression, arguments. See ../guest/refuse.c."""

import os
import random
import shutil

from common import qemu_img, qemu_io, run
from qcow2 import Image, content, poke

# Changes of the header of an ordinary image of version 3, 64 KiB clusters:
# name, [(offset, value, bytes)], message
HEADERS = [
    ("magic", [(0, 0x51464900, 4)], "not a qcow2 image"),
    ("version-0", [(4, 0, 4)], "."),
    ("version-1", [(4, 1, 4)], "cluster size|qcow version 1"),
    ("version-4", [(4, 4, 4)], "version 4"),
    ("version-max", [(4, 0xffffffff, 4)], "version"),
    ("cluster-bits-0", [(20, 0, 4)], "cluster size"),
    ("cluster-bits-8", [(20, 8, 4)], "cluster size"),
    ("cluster-bits-22", [(20, 22, 4)], "cluster size"),
    ("cluster-bits-32", [(20, 32, 4)], "cluster size"),
    ("cluster-bits-64", [(20, 64, 4)], "cluster size"),
    ("cluster-bits-max", [(20, 0xffffffff, 4)], "cluster size"),
    ("size-too-large", [(24, 1 << 63, 8)], "."),
    ("size-max", [(24, (1 << 64) - 1, 8)], "."),
    ("size-beyond-l1", [(24, 1 << 50, 8)], "L1 table"),
    ("l1-size-0", [(36, 0, 4)], "L1 table"),
    ("l1-size-too-large", [(36, (32 << 20) // 8 + 1, 4)], "L1 table is too large"),
    ("l1-size-max", [(36, 0xffffffff, 4)], "L1 table is too large"),
    ("l1-unaligned", [(40, 0x30200, 8)], "L1 table"),
    ("l1-overflow", [(40, 0x7fffffffffff0000, 8), (36, 1 << 16, 4)], "L1 table"),
    ("l1-overflow-64", [(40, 0xffffffffffff0000, 8)], "L1 table"),
    ("l1-past-end", [(40, 1 << 40, 8)], "L1 table"),
    ("reftable-unaligned", [(48, 0x10200, 8)], "refcount table"),
    ("reftable-overflow", [(48, 0x7fffffffffff0000, 8), (56, 2, 4)],
     "refcount table"),
    ("reftable-past-end", [(48, 1 << 41, 8)], "refcount table"),
    ("reftable-none", [(56, 0, 4)], "refcount table"),
    ("reftable-too-large", [(56, 129, 4)], "refcount table is too large"),
    ("reftable-max", [(56, 0xffffffff, 4)], "refcount table is too large"),
    ("snapshots-too-many", [(60, 65537, 4)], "snapshots"),
    ("snapshots-max", [(60, 0xffffffff, 4)], "snapshots"),
    ("snapshots-unaligned", [(60, 1, 4), (64, 0x1234, 8)], "snapshot table"),
    ("snapshots-unaligned-none", [(64, 0x1234, 8)], "snapshot table"),
    ("snapshots-overflow", [(60, 65535, 4), (64, 0x7fffffffffff0000, 8)],
     "snapshot table"),
    ("incompat-5", [(72, 1 << 5, 8)], "bit 5"),
    ("incompat-63", [(72, 1 << 63, 8)], "bit 63"),
    ("incompat-all", [(72, (1 << 64) - 1, 8)], "unsupported incompatible"),
    ("incompat-named", [(72, 1 << 42, 8), (0x70, 0x6803f857, 4), (0x74, 48, 4),
                        (0x78, 0, 1), (0x79, 42, 1),
                        (0x7a, 0x74656c65706f72746174696f6e, 13), (0x87, 0, 8)],
     "teleportation"),
    ("refcount-order-7", [(96, 7, 4)], "refcount order"),
    ("refcount-order-max", [(96, 0xffffffff, 4)], "refcount order"),
    ("header-length-0", [(100, 0, 4)], "length"),
    ("header-length-103", [(100, 103, 4)], "length"),
    ("header-length-cluster", [(100, 65537, 4)], "length"),
    ("header-length-max", [(100, 0xffffffff, 4)], "length"),
    ("compression-without-bit", [(104, 1, 1)], "compression type"),
    ("compression-bit-alone", [(72, 8, 8)], "compression type"),
    ("compression-128", [(72, 8, 8), (104, 128, 1)], "compression type 128"),
    ("compression-255", [(72, 8, 8), (104, 255, 1)], "compression type 255"),
    ("crypt-aes", [(32, 1, 4)], "is encrypted"),
    ("crypt-3", [(32, 3, 4)], "encryption method 3"),
    ("backing-outside", [(8, 0x10001, 8), (16, 5, 4)], "backing file"),
    ("backing-far", [(8, 1 << 63, 8), (16, 5, 4)], "backing file"),
    ("backing-into-next", [(8, 0xfff0, 8), (16, 32, 4)], "backing file"),
    ("backing-too-long", [(8, 0x1000, 8), (16, 1024, 4)], "backing file"),
    ("backing-length-max", [(8, 0x1000, 8), (16, 0xffffffff, 4)], "backing file"),
    ("extension-too-long", [(0x70, 0x12345678, 4), (0x74, 0xffffffff, 4)],
     "extension"),
    ("extension-beyond", [(0x70, 0x12345678, 4), (0x74, 0xff90, 4)], "extension"),
    ("data-file-unnamed", [(72, 4, 8)], "data file"),
    ("data-file-with-snapshots", [(72, 4, 8), (60, 1, 4), (64, 0x30000, 8)], "."),
]

# An image of 4 KiB clusters
SMALL_HEADERS = [
    ("extl2-small-clusters", [(72, 16, 8)], "xtended L2"),
    ("l1-too-small", [(36, 1, 4)], "L1 table"),
]

# Names of backing files: name, format, the file that is named, message
BACKINGS = [
    ("json:{\"driver\":\"null-co\"}", "raw", "-", "json"),
    ("nbd://localhost/x", "raw", "-", "URL"),
    ("http://localhost/base.qcow2", "qcow2", "-", "URL"),
    ("missing.qcow2", "qcow2", "missing.qcow2", "No such file"),
    (".", "raw", ".", "is a directory"),
    ("/dev/null", "raw", "/dev/null", "character device"),
    ("base.qcow2", "vmdk", "base.qcow2", "no signature of VMDK"),
    ("base.qcow2", "teleport", "-", "teleport"),
    ("text", "qcow2", "text", "not a qcow2 image"),
    ("self", "qcow2", "self", "itself"),
    ("h-l1-size-max", "qcow2", "h-l1-size-max", "L1 table"),
    ("luks.qcow2", "qcow2", "luks.qcow2", "is encrypted"),
]

LENGTHS = [0, 1, 3, 4, 7, 8, 20, 24, 71, 72, 73, 100, 103, 104, 105, 111, 112,
           113, 200, 511, 512, 513, 1023, 4096, 65535, 65536, 65537, 131071,
           131072, 131073, 196607, 196608, 196609, 262143, 262144, 262145,
           300000, 327679]

TRUNCATED = "truncated|too short|is empty"


def base(path, bits=16, size=16 << 20):
    qemu_img("create", "-q", "-f", "qcow2", "-o", "cluster_size=%d" % (1 << bits),
             path, str(size))
    qemu_io(path, ["write -q -P 1 0 300k", "write -q -P 2 8M 100k"])


def headers(lines):
    base("base.qcow2")
    base("small.qcow2", 12)
    for source, cases in (("base.qcow2", HEADERS), ("small.qcow2", SMALL_HEADERS)):
        for name, changes, said in cases:
            path = "h-" + name
            shutil.copyfile(source, path)
            if name.startswith(("extension", "incompat-named")):
                # No other extension before it
                with open(path, "r+b") as f:
                    f.seek(0x70)
                    f.write(bytes(0x200))
            for offset, value, size in changes:
                poke(path, offset, value, size)
            lines.append(("header-" + name, path, "-", said, "-"))


def truncated(lines):
    base("whole.qcow2")
    size = os.stat("whole.qcow2").st_size
    lengths = LENGTHS + list(range(393216, size - 65536, 100000))
    for length in lengths:
        path = "truncated-%d" % length
        shutil.copyfile("whole.qcow2", path)
        os.truncate(path, length)
        lines.append((path, path, "-", TRUNCATED + "|not a qcow2|damaged header", "-"))
    rng = random.Random("truncated")
    for kind in ("zstd", None):
        img = Image("compressed.qcow2", rng, 64 << 16, 16, compression=kind,
                    scatter=False)
        for i in range(40):
            img.compressed(i, content(rng, img.cluster))
        img.finish()
        size = os.stat("compressed.qcow2").st_size
        for part in (3, 5, 8):
            path = "truncated-%s-%d" % (kind or "zlib", part)
            shutil.copyfile("compressed.qcow2", path)
            os.truncate(path, size * part // 10)
            lines.append((path, path, "-", TRUNCATED, "-"))


def not_images(lines):
    with open("text", "w", encoding="ascii") as f:
        f.write("not an image, but a line of text that is long enough for one\n")
    os.mkdir("folder")
    for path, said in (("text", "not a qcow2 image.*-f raw"),
                       ("folder", "is a directory"), ("nothing", "No such file"),
                       ("/dev/null", "character device"),
                       ("/proc/self/mem", "."), ("text/x", "Not a directory")):
        lines.append(("not-image-" + path.strip("/").replace("/", "-"), path, "-",
                      said, "-"))
    lines.append(("folder-as-raw", "folder", "-", "is a directory", "-f raw"))
    lines.append(("text-as-qcow2", "text", "-", "not a qcow2 image", "-f qcow2"))
    for fmt in ("vmdk", "vdi", "vpc", "qed"):
        qemu_img("create", "-q", "-f", fmt, "x." + fmt, "1M")
        lines.append(("format-" + fmt, "x." + fmt, "-",
                      "not a qcow2 image", "-f qcow2"))
    qemu_img("create", "-q", "-f", "qcow", "x.qcow", "1M")
    lines.append(("format-qcow-as-qcow2", "x.qcow", "-", "qcow version 1", "-f qcow2"))


def encrypted(lines):
    # It measures the processor, and fails if it was given no tick.
    for _ in range(100):
        out = qemu_img("create", "-q", "-f", "qcow2", "--object",
                       "secret,id=s,data=x", "-o", "encrypt.format=luks,"
                       "encrypt.key-secret=s,encrypt.iter-time=1",
                       "luks.qcow2", "1M", check=False)
        if not out:
            break
    qemu_img("create", "-q", "-f", "qcow2", "--object", "secret,id=s,data=x", "-o",
             "encrypt.format=aes,encrypt.key-secret=s", "aes.qcow2", "1M")
    lines.append(("encrypted-luks", "luks.qcow2", "-", "is encrypted.*--key-file", "-"))
    lines.append(("encrypted-aes", "aes.qcow2", "-", "is encrypted.*--key-file", "-"))


def with_backing(path, name, fmt):
    img = Image(path, random.Random(path), 1 << 20, backing=name,
                backing_format=fmt)
    img.finish()


def backings(lines):
    for number, (name, fmt, file, said) in enumerate(BACKINGS):
        path = "self" if name == "self" else "backing-%d" % number
        with_backing(path, name, fmt)
        lines.append(("backing-%d" % number, path, file, said, "-"))
    with_backing("cycle1", "cycle2", "qcow2")
    with_backing("cycle2", "cycle3", "qcow2")
    with_backing("cycle3", "cycle1", "qcow2")
    lines.append(("backing-cycle", "cycle1", "cycle1", "itself", "-"))
    # The fault is three images down.
    for i in range(3):
        with_backing("deep%d" % i, "deep%d" % (i - 1) if i else "missing", "qcow2")
    lines.append(("backing-missing-deep", "deep2", "missing", "No such file", "-"))
    img = Image("long0", random.Random("long"), 1 << 20, 9)
    img.finish()
    for i in range(1, 258):
        img = Image("long%d" % i, random.Random("long"), 1 << 20, 9,
                    backing="long%d" % (i - 1), backing_format="qcow2")
        img.finish()
    lines.append(("backing-too-deep", "long256", "long256", "256", "-"))


def data_files(lines):
    for name, data in (("missing", "missing.data"), ("nbd", "nbd://localhost/x"),
                       ("itself", "data-itself"), ("folder", "folder")):
        path = "data-" + name
        img = Image(path, random.Random(path), 1 << 20, data_file="some.data")
        img.data_file = data
        img.finish()
    lines += [("data-missing", "data-missing", "missing.data", "No such file", "-"),
              ("data-nbd", "data-nbd", "-", "URL", "-"),
              ("data-itself", "data-itself", "data-itself", "itself", "-"),
              ("data-folder", "data-folder", "folder", "is a directory", "-")]


def options(lines):
    good = "base.qcow2"
    for number, (args, file, said) in enumerate([
            ("--offset 17M", "-", "offset"),
            ("--offset 1000", "--offset", "512"),
            ("--size-limit 1000", "--size-limit", "512"),
            ("--offset -512", "--offset", "."),
            ("--offset 99999999999999999999", "--offset", "."),
            ("--cache-size 1K", "--cache-size", "64K"),
            ("--cache-size lots", "--cache-size", "."),
            ("--direct-io maybe", "--direct-io", "on, off or auto"),
            ("-f vmdk", "-", "no signature of VMDK"),
            ("-f vmx", "--format", "."),
            ("--no-such-option", "attach", "."),
            ("--backing none --backing /nowhere", "--backing", "."),
            ("-f qcow", "-", "version 1")]):
        lines.append(("option-%d" % number, good, file, said, args))
    shutil.copyfile(good, "a.qcow2")
    with_backing("over.qcow2", "a.qcow2", "qcow2")
    lines.append(("untrusted-backing", "over.qcow2", "-", "untrusted", "--untrusted"))
    lines.append(("backing-none", "over.qcow2", "-", "--backing none",
                  "--backing none"))


def make(top):
    os.makedirs(os.path.join(top, "refuse"))
    os.chdir(os.path.join(top, "refuse"))
    lines = []
    not_images(lines)
    encrypted(lines)
    headers(lines)
    truncated(lines)
    backings(lines)
    data_files(lines)
    options(lines)
    for image in os.listdir("."):
        if os.path.isfile(image):
            run("fallocate", "--dig-holes", image)
    return ["\t".join(("refuse-" + line[0],) + line[1:]) for line in lines]
