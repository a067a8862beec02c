#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# map.py PROGRAM QCOWCTL FORMAT IMAGE: compares the table that a parser makes in the program of
# foreign.c with what qcowctl map shows of it, after the parser has run in its child.
import json
import os
import subprocess
import sys

from foreign import COMPRESSED, DATA, HOLE, lines


def table(program, kind, image):
    """[start, length, kind, host offset, file] of each entry"""
    out = lines(program, kind, image)
    size = next(int(l[1]) for l in out if l[0] == "size")
    files = {int(l[1]): l[2] for l in out if l[0] == "file"}
    entries = [[int(x) for x in l[1:]] for l in out if l[0] == "entry"]
    ends = [e[0] for e in entries[1:]] + [size + -size % 512]
    return [[e[0], end - e[0], e[1], e[2] if e[1] == DATA else None,
             os.path.basename(files[e[6]]) if e[1] in (DATA, COMPRESSED) else None]
            for e, end in zip(entries, ends)]


def shown(qcowctl, kind, image):
    """The same by qcowctl"""
    out = subprocess.run([qcowctl, "map", "--json", "-f", kind, image], check=True,
                         stdout=subprocess.PIPE).stdout
    return [[e["start"], e["length"], DATA if "offset" in e else COMPRESSED if e["data"] else 1,
             e.get("offset"), os.path.basename(e["filename"]) if "filename" in e else None]
            for e in json.loads(out)]


def joined(entries):
    """Neighbours that a map shows as one; names of files without names are left out"""
    result = []
    for start, length, kind, host, name in entries:
        if name and (name.startswith("scratch.") or "deleted" in name):
            name = "scratch"
        last = result[-1] if result else None
        if last and last[2] == kind and last[4] == name and (
                kind != DATA or last[3] + last[1] == host):
            last[1] += length
        else:
            result.append([start, length, kind, host, name])
    return result


if __name__ == "__main__":
    program, qcowctl, kind, image = sys.argv[1:]
    ours = table(program, kind, image)
    if any(e[2] == HOLE for e in ours):
        sys.exit(0)
    a, b = joined(ours), joined(shown(qcowctl, kind, image))
    for x, y in zip(a, b):
        if x != y:
            sys.exit(f"{image}: the parser has {x}, qcowctl map {y}")
    if len(a) != len(b):
        sys.exit(f"{image}: the parser has {len(a)} entries, qcowctl map {len(b)}")
