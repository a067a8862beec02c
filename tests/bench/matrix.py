#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
matrix.py [--write PAGE] COMMIT VERSION=FOLDER...: prints the tables of places, from the figures
that run.sh left in the folders, one for each kernel; or puts them between the markers of PAGE,
which is performance.rst. Targets that were not measured have no column.
"""
import os
import re
import sys

TARGETS = [("file", "file"), ("loop_direct", "loop, direct"), ("nbd", "qemu-nbd"),
           ("daemon", "storage daemon"), ("qcow", "qcow")]
PLACES = [("ext4", "ext4 with room"), ("xfs", "XFS with room"), ("aged", "aged ext4"),
          ("disk", "the disk, no filesystem")]
WORKLOADS = [
    ("read-4k-depth-1", "4 KiB read, depth 1"),
    ("read-4k-depth-16", "4 KiB read, depth 16"),
    ("read-1m", "1 MiB read"),
    ("write-4k-depth-1", "4 KiB in place, depth 1"),
    ("write-4k-depth-16", "4 KiB in place, depth 16"),
    ("write-4k-fsync", "4 KiB in place, fsync"),
    ("write-1m", "1 MiB in place"),
    ("new-4k-depth-1", "4 KiB new, depth 1"),
    ("new-4k-depth-16", "4 KiB new, depth 16"),
    ("new-4k-fsync", "4 KiB new, fsync"),
    ("new-64k", "64 KiB new, depth 1"),
    ("new-1m", "1 MiB new"),
]
DISKS = [("latency", "80 µs"), ("throttled", "50 MB/s")]
RATES = [(f"{way}-4k-depth-{depth}", f"{name}, depth {depth}")
         for way, name in (("read", "read"), ("write", "in place"), ("new", "new"))
         for depth in (1, 8, 32)]


def figures(folder, target):
    """The figures of a target, none if it was not measured"""
    try:
        with open(os.path.join(folder, target), encoding="ascii") as lines:
            return {name: int(value) for name, value in map(str.split, lines)}
    except FileNotFoundError:
        return {}


def thousandth(value):
    return f"{value / 1000:.2f}".removesuffix("0").removesuffix(".0")


def cost(values, name):
    """Instructions, and context switches"""
    if name not in values:
        return "–"
    return f"{values[name]:,}; {thousandth(values[name + '.switches'])}"


def below(values, name):
    """Bytes, requests and flushes on the disk below, and pieces of the file"""
    kinds = [name + kind for kind in (".bytes", ".requests", ".flushes")]
    if kinds[0] not in values:
        return "–"
    cells = [thousandth(values[kind]) for kind in kinds]
    extents = values.get(name + ".extents")
    return "; ".join(cells + ([str(extents)] if extents is not None else []))


def rate(values, name):
    return f"{values[name + '.rate']:,}" if name + ".rate" in values else "–"


def simple_table(lines):
    """A simple table of reStructuredText; the first line has the headings."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    border = " ".join("=" * width for width in widths)

    def text(line):
        return " ".join(word.ljust(width) for word, width in zip(line, widths)).rstrip()
    return "\n".join([border, text(lines[0]), border] + [text(line) for line in lines[1:]] +
                     [border, ""])


def table(title, rows, values, cell):
    """A row for each (name, heading) that was measured; nothing without any"""
    targets = [(target, heading) for target, heading in TARGETS if values[target]]
    lines = [[title] + [heading for _, heading in targets]]
    for name, heading in rows:
        cells = [cell(values[target], name) for target, _ in targets]
        if set(cells) != {"–"}:
            lines.append([heading] + cells)
    return simple_table(lines) if lines[1:] else ""


def span(kernels, name, other):
    """The least and the greatest ratio of qcow's figure to another's, on all places"""
    ratios = []
    for _, values in kernels:
        for place, _ in PLACES:
            ours, theirs = (values[target].get(f"{place}-{name}") for target in ("qcow", other))
            if ours and theirs:
                ratios.append(ours / theirs)
    if not ratios:
        return "–"
    least, most = (f"{ratio:.2f}" for ratio in (min(ratios), max(ratios)))
    return least if least == most else f"{least}–{most}"


def ranges(kernels):
    """Of all places and kernels, the least and the greatest ratio"""
    others = [(target, heading) for target, heading in TARGETS if target != "qcow" and
              any(values[target] for _, values in kernels)]
    lines = [["instructions of qcow by those of"] + [heading for _, heading in others]]
    lines += [[heading] + [span(kernels, name, target) for target, _ in others]
              for name, heading in WORKLOADS]
    return simple_table(lines)


def page(commit, kernels):
    """All tables, for performance.rst; those without a figure are left out."""
    parts = [f"The driver is that of commit {commit}. The least and the greatest ratio of all places "
             "and kernels:\n", ranges(kernels)]

    def add(title, text):
        if text:
            parts.extend([title + "\n", text])
    for version, values in kernels:
        for place, heading in PLACES:
            rows = [(f"{place}-{name}", text) for name, text in WORKLOADS]
            add(f"Linux {version}, {heading}: instructions, and context switches, for an I/O",
                table("workload", rows, values, cost))
            add(f"Linux {version}, {heading}: bytes on the disk below for a byte, requests and "
                "flushes for an I/O" + ("" if place == "disk" else "; pieces of the file"),
                table("workload", rows, values, below))
        rows = [(f"{disk}-{place}-{name}", f"{text}, {place}: {row}")
                for disk, text in DISKS for place in ("ext4", "disk") for name, row in RATES]
        add(f"Linux {version}, I/Os of 4 KiB in a second, on disks that take time",
            table("disk, place: I/O", rows, values, rate))
    return "\n".join(parts)


def put(path, text, begin, end):
    with open(path, encoding="utf-8") as old:
        before, rest = old.read().split(begin)
    after = rest.split(end)[1]
    with open(path, "w", encoding="utf-8") as new:
        new.write(f"{before}{begin}\n\n{text}\n{end}{after}")


def main(words):
    path = words[1] if words[0] == "--write" else None
    commit, *named = words[2:] if path else words
    kernels = []
    for word in named:
        version, folder = word.split("=", 1)
        kernels.append((re.sub("-amd64$", "", version),
                        {target: figures(folder, target) for target, _ in TARGETS}))
    if path:
        put(path, page(commit, kernels), ".. matrix: begin", ".. matrix: end")
    else:
        print(page(commit, kernels))


main(sys.argv[1:])
