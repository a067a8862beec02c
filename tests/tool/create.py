#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""create.py QCOWCTL SEED COUNT: whether qcowctl create makes the files that qemu-img makes

Options are drawn by SEED, and a list of known corners comes first. Both programs have to
make the same bytes, or both have to refuse. Prints a line for each difference, then the
number of images that were made and of options that were refused.
"""

import os
import random
import subprocess
import sys

CORNERS = [
    ("", "0"), ("", "1"), ("", "512"), ("", "64M"), ("", "1000"), ("", "1.5G"),
    ("", "1P"), ("", "7E"), ("cluster_size=512", "9G"), ("cluster_size=512", "129G"),
    ("cluster_size=512,refcount_bits=64", "4G"), ("cluster_size=512,refcount_bits=1", "40G"),
    ("preallocation=falloc", "0"), ("preallocation=metadata", "0"),
    ("cluster_size=512,preallocation=metadata", "9M"),
    ("cluster_size=512,preallocation=falloc", "9M"),
    ("cluster_size=512,preallocation=full,refcount_bits=64", "3000K"),
    ("cluster_size=512,preallocation=metadata,refcount_bits=64", "12345K"),
    ("cluster_size=512,preallocation=metadata,refcount_bits=32", "6M"),
    ("cluster_size=1K,preallocation=metadata,refcount_bits=64", "30M"),
    ("cluster_size=512,preallocation=falloc,refcount_bits=64", "12M"),
    ("preallocation=metadata", "3G"), ("cluster_size=2M,preallocation=metadata", "5G"),
    ("extended_l2=on,preallocation=metadata", "200M"),
    ("extended_l2=on,preallocation=metadata", "12345679"),
    ("extended_l2=on,preallocation=falloc", "12345679"),
    ("data_file=D,extended_l2=on,data_file_raw=on", "12345679"),
    ("data_file=D,preallocation=metadata", "5G"),
    ("data_file=D,data_file_raw=on", "77777K"),
    ("data_file=D,preallocation=full", "1234567"),
    ("data_file=D,cluster_size=512,preallocation=falloc", "3M"),
    ("cluster_size=100", "1M"), ("cluster_size=4M", "1M"), ("cluster_size=0", "1M"),
    ("refcount_bits=3", "1M"), ("refcount_bits=128", "1M"), ("refcount_bits=0", "1M"),
    ("refcount_bits=0x8", "1M"), ("refcount_bits=-1", "1M"), ("refcount_bits=", "1M"),
    ("compat=0.9", "1M"), ("compat=v2", "1M"), ("compat=v3", "1M"), ("foo=1", "1M"),
    ("preallocation=foo", "1M"), ("compression_type=lzo", "1M"), ("data_file_raw=on", "1M"),
    ("lazy_refcounts=yes", "1M"), ("lazy_refcounts=1", "1M"), ("size=1M", "1M"),
    ("size=3M", None), ("", None), ("cluster_size=16K,extended_l2=on", "1M"),
    ("cluster_size=8K,extended_l2=on", "1M"), ("encrypt.cipher-alg=aes-128", "1M"),
    ("data_file=", "1M"), ("backing_fmt=raw", "1M"), ("backing_file=raw.img", None),
    ("backing_file=raw.img,backing_fmt=raw", None), ("data_file=a,,D", "1M"),
    ("backing_file=nix,backing_fmt=raw", "1M"), ("backing_file=base,backing_fmt=raw", "1M"),
    ("backing_file=base,backing_fmt=qcow2,size=5M", None),
    ("backing_file=raw.img,backing_fmt=qcow2", None),
    ("backing_file=" + "x/" * 240 + "y,backing_fmt=qcow2,cluster_size=512,size=1M", "-u"),
    ("backing_file=" + "x/" * 160 + "y,backing_fmt=qcow2,cluster_size=512,size=1M", "-u"),
    ("backing_file=" + "x/" * 511 + "y,backing_fmt=qcow2,size=1M", "-u"),
    ("backing_file=" + "x/" * 512 + ",backing_fmt=qcow2,size=1M", "-u"),
    ("backing_file=nbd://host/x,backing_fmt=raw,size=1M", "-u"),
    ("backing_file=nix,backing_fmt=raw,size=1M", "-u"), ("backing_file=nix,size=1M", "-u"),
    ("backing_file=nix,backing_fmt=raw", "-u"), ("backing_fmt=raw,size=1M", "-u"),
]


def draw(rnd):
    """Options, and a size of at most as many clusters as are made quickly."""
    options = {}
    bits = rnd.choice([9, 9, 10, 11, 12, 13, 14, 15, 16, 16, 17, 18, 19, 20, 21])
    if bits != 16 or rnd.random() < 0.2:
        options["cluster_size"] = rnd.choice([str(1 << bits), f"{(1 << bits) / 1024:g}K"])
    for name, values, often in (
            ("compat", ["0.10", "1.1", "v2", "v3"], 0.3),
            ("refcount_bits", ["1", "2", "4", "8", "16", "32", "64", "64"], 0.6),
            ("lazy_refcounts", ["on", "off"], 0.2),
            ("extended_l2", ["on", "off"], 0.2),
            ("compression_type", ["zlib", "zstd"], 0.2),
            ("preallocation", ["off", "metadata", "metadata", "falloc", "full"], 0.6),
            ("data_file", ["D", "D", "other-name.data"], 0.15)):
        if rnd.random() < often:
            options[name] = rnd.choice(values)
    if "data_file" in options and rnd.random() < 0.4:
        options["data_file_raw"] = "on"
    if rnd.random() < 0.2:
        options["backing_file"], options["backing_fmt"] = rnd.choice(
            [("base", "qcow2"), ("raw.img", "raw"), ("v1", "qcow"), ("folder/../base", "qcow2")])
    clusters = rnd.choice([1, 60, 3000, 9000, 40000])
    if options.get("preallocation", "off") in ("falloc", "full"):
        clusters = min(clusters, (4 << 20) >> bits)
    elif options.get("preallocation", "off") == "off" and "data_file_raw" not in options:
        clusters *= rnd.choice([1, 10, 1000])
    size = rnd.randint(0, max(clusters, 1) << bits)
    if "backing_file" in options and rnd.random() < 0.3:
        size = None
    elif rnd.random() < 0.5:
        size = size >> 20 << 20
    names = list(options)
    rnd.shuffle(names)
    return ",".join(f"{n}={options[n]}" for n in names), size if size is None else str(size)


def make(folder, program, options, size):
    os.makedirs(folder)
    for name in ("base", "raw.img", "v1", "folder"):
        os.symlink("../" + name, f"{folder}/{name}")
    words = [*program, "create", "-f", "qcow2"]
    if options:
        words += ["-o", options]
    if size == "-u":
        words, size = words + ["-u"], None
    words += ["image"] + ([size] if size else [])
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60,
                          check=False)
    return done.returncode, done.stderr


def files(folder):
    """The files that were made, and whether they have blocks for all of their data."""
    return {n: f"{folder}/{n}" for n in os.listdir(folder) if not os.path.islink(f"{folder}/{n}")}


def same(a, b):
    if os.path.getsize(a) != os.path.getsize(b):
        return f"{os.path.getsize(a)} bytes, not {os.path.getsize(b)}"
    with open(a, "rb") as x, open(b, "rb") as y:
        at = 0
        while True:
            # Holes of both are alike.
            try:
                at = min(os.lseek(x.fileno(), at, os.SEEK_DATA),
                         os.lseek(y.fileno(), at, os.SEEK_DATA))
            except OSError:
                ends = []
                for f in (x, y):
                    try:
                        ends.append(os.lseek(f.fileno(), at, os.SEEK_DATA))
                    except OSError:
                        pass
                if not ends:
                    return ""
                at = ends[0]
            p, q = os.pread(x.fileno(), 1 << 20, at), os.pread(y.fileno(), 1 << 20, at)
            if p != q:
                i = next(i for i in range(len(p)) if p[i] != q[i])
                return f"byte {at + i:#x}: {p[i:i + 16].hex()}, not {q[i:i + 16].hex()}"
            at += len(p)


def compare(options, size, theirs, ours):
    if theirs[0] != ours[0]:
        return f"exit code {ours[0]}, not {theirs[0]}: {ours[1] or theirs[1]}"
    mine, other = files("ours"), files("theirs")
    if ours[0]:
        lines = ours[1].splitlines()
        if len(lines) != 1 or not lines[0].startswith("qcowctl: "):
            return f"not one line: {ours[1]}"
        return f"left {list(mine)}" if mine else ""
    if mine.keys() != other.keys():
        return f"files {sorted(mine)}, not {sorted(other)}"
    for name in mine:
        wrong = same(mine[name], other[name])
        if wrong:
            return f"{name}: {wrong}"
    if "falloc" in options or "=full" in options:
        for name in mine:
            blocks = [os.stat(f[name]).st_blocks for f in (mine, other)]
            if blocks[0] < blocks[1] - 64:
                return f"{name}: {blocks[0]} blocks, not {blocks[1]}"
    return ""


def main():
    qcowctl, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rnd = random.Random(seed)
    made = refused = 0
    for options, size in CORNERS + [draw(rnd) for _ in range(count)]:
        subprocess.run(["rm", "-rf", "ours", "theirs"], check=True)
        theirs = make("theirs", ["qemu-img"], options, size)
        ours = make("ours", [qcowctl], options, size)
        wrong = compare(options, size, theirs, ours)
        if wrong:
            print(f"-o {options or '-'} {size}: {wrong}")
        made += not theirs[0]
        refused += theirs[0] != 0
    print(f"made {made}, refused {refused}")


main()
