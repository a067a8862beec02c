#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
readme.py [-c] FOLDER [README]: prints the tables of README.md from the figures that run.sh
left in FOLDER ($QCOW_CACHE/bench/KERNEL/read,write,allocate,encrypted), or puts them
between the markers of README. With -c it prints the cells of README whose figures are others,
by more than a change of the driver does that need not be noted at once.
"""
import os
import re
import sys

TARGETS = [
    ("file", "the bare file, direct I/O"),
    ("loop_direct", "loop, direct I/O (raw file)"),
    ("dm_crypt", "dm-crypt on loop, direct I/O (raw file)"),
    ("qcow", "**qcow (qcow2 file)**"),
    ("nbd", "qemu-nbd (qcow2 file)"),
]

# Title, targets, columns: heading, and the figures in a cell
TABLES = [
    ("reads: instructions per I/O", "file loop_direct qcow nbd", [
        ("4 KiB at random", "random-4k-depth-16"),
        ("1 MiB sequential", "sequential-1m"),
        ("4 KiB in a chain of four", "chain-of-4-random-4k"),
        ("128 KiB of zlib", "zlib-sequential-128k"),
    ]),
    ("writes in place, discards: instructions per I/O", "file loop_direct qcow nbd", [
        ("4 KiB", "write-4k-depth-16"),
        ("4 KiB, fsync after each", "write-4k-fsync"),
        ("64 KiB discarded", "discard-64k"),
    ]),
    ("writes to new clusters, image on ext4 with room: instructions per I/O",
     "file loop_direct qcow nbd", [
         ("4 KiB at random", "allocate-4k-depth-16"),
         ("the same, depth 1, fsync after each", "allocate-4k-fsync"),
         ("64 KiB at random", "allocate-64k"),
         ("1 MiB sequential", "allocate-sequential-1m"),
         ("4 KiB over a backing file", "copy-on-write-4k"),
     ]),
    ("4 KiB to new clusters: instructions per I/O, bytes that the disk below is given per "
     "byte", "file loop_direct qcow nbd", [
         ("ext4 with room", "allocate-4k-depth-16 allocate-4k-depth-16.bytes"),
         ("XFS with room", "allocate-4k-xfs allocate-4k-xfs.bytes"),
         ("the disk itself, no filesystem", "allocate-4k-disk allocate-4k-disk.bytes"),
         ("crowded ext4", "allocate-4k-crowded allocate-4k-crowded.bytes"),
         ("disk of 4 MiB/s, ext4: I/Os in a second", "throttled-4k.rate"),
     ]),
    ("LUKS, aes-xts-plain64: instructions per I/O", "dm_crypt qcow nbd", [
        ("4 KiB read at random", "encrypted-random-4k"),
        ("1 MiB read", "encrypted-sequential-1m"),
        ("4 KiB written in place", "encrypted-write-4k"),
        ("1 MiB written in place", "encrypted-write-1m"),
    ]),
]

# For these the other targets read a plain raw file, which is another thing.
QCOW2_ONLY = {"chain-of-4-random-4k", "zlib-sequential-128k"}


# Figures move by some percent with changes of the driver, of the kernel, and of QEMU.
TOLERANCE = 0.15


def figures(folder, target):
    with open(os.path.join(folder, target), encoding="ascii") as lines:
        return {name: int(value) for name, value in map(str.split, lines)}


def cell(target, names, values):
    if names in QCOW2_ONLY and target in ("file", "loop_direct"):
        return "–"
    parts = []
    for name in names.split():
        if name not in values:
            return "–"
        bytes_below = name.endswith(".bytes")
        parts.append(f"{values[name] / 1000:.2f}" if bytes_below else f"{values[name]:,}")
    text = ", ".join(parts)
    return f"**{text}**" if target == "qcow" else text


def tables(folder):
    kernel = os.path.basename(os.path.dirname(os.path.abspath(folder)))
    measured = {target: figures(folder, target) for target, _ in TARGETS}
    for number, (title, targets, columns) in enumerate(TABLES):
        title += f", Linux {kernel}" if number == 0 else ""
        yield "| " + " | ".join([title] + [heading for heading, _ in columns]) + " |"
        yield "|---" * (len(columns) + 1) + "|"
        for target, name in TARGETS:
            if target in targets.split():
                cells = [cell(target, names, measured[target]) for _, names in columns]
                yield "| " + " | ".join([name] + cells) + " |"
        yield ""


def numbers(row):
    """The figures of each cell but the first, which is the row's name"""
    figure = re.compile(r"\d[\d,]*(?:\.\d+)?")
    return [[float(text.replace(",", "")) for text in figure.findall(one)]
            for one in row.strip("| ").split(" | ")[1:]]


def differ(old, new):
    return len(old) != len(new) or \
        any(abs(a - b) > TOLERANCE * max(a, b) for a, b in zip(old, new))


def compare(old, new):
    """Prints the cells of the old rows that differ from those of the new ones."""
    old, new = ([row for row in text.split("\n") if row.startswith("|")] for text in (old, new))
    if len(old) != len(new):
        print(f"{len(old)} rows, and not {len(new)}")
    for was, row in zip(old, new):
        if was.split(" | ")[0] != row.split(" | ")[0]:
            print(f"the row {was}, and not {row}")
        elif re.search(r"\d", row) is None or row.count(" | ") != was.count(" | "):
            continue
        for column, (a, b) in enumerate(zip(numbers(was), numbers(row)), 2):
            if differ(a, b):
                print(f"{row.split(' | ')[0]}, column {column}: {a}, and measured {b}")


def main():
    check = sys.argv[1] == "-c"
    arguments = sys.argv[2:] if check else sys.argv[1:]
    text = "\n".join(tables(arguments[0]))
    if len(arguments) < 2:
        print(text)
        return
    with open(arguments[1], encoding="utf-8") as readme:
        old = readme.read()
    if check:
        compare(re.search(r"<!-- bench: begin.*<!-- bench: end", old, re.S)[0], text)
        return
    new = re.sub(r"(<!-- bench: begin[^\n]*-->\n\n).*(<!-- bench: end -->)",
                 lambda found: found[1] + text + "\n" + found[2], old, flags=re.DOTALL)
    with open(arguments[1], "w", encoding="utf-8") as readme:
        readme.write(new)


main()
