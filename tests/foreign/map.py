#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""map.py PROGRAM FORMAT IMAGE MAP: compares the table of an image without a parent and without
compression with what qemu-img map --output=json said."""

import json
import sys

import foreign


def join(pieces):
    """Join neighbours; a piece is start, end, and the host offset of data or None."""
    out = []
    for start, end, host in pieces:
        if out and out[-1][1] == start and (
                host is None and out[-1][2] is None or
                None not in (host, out[-1][2]) and host - out[-1][2] == start - out[-1][0]):
            out[-1] = (out[-1][0], end, out[-1][2])
        else:
            out.append((start, end, host))
    return out


def main(program, kind, image, map_name):
    """Compare."""
    out = foreign.lines(program, kind, image)
    entries = [[int(x) for x in l[1:]] for l in out if l[0] == "entry"]
    size = next(int(l[1]) for l in out if l[0] == "size")
    ends = [e[0] for e in entries[1:]] + [size]
    ours = join((e[0], end, e[2] if e[1] == foreign.DATA else None)
                for e, end in zip(entries, ends))
    with open(map_name, encoding="utf-8") as f:
        theirs = join((p["start"], p["start"] + p["length"], None if p["zero"] else p["offset"])
                      for p in json.load(f))
    # QEMU looks for zeros in the file as well.
    for start, end, host in theirs:
        if host is None:
            continue
        assert any(a <= start and end <= b and h is not None and h - a == host - start
                   for a, b, h in ours), (start, end, host)
    assert ours[-1][1] == theirs[-1][1], (ours[-1], theirs[-1])
    holes = [(a, b) for a, b, h in ours if h is None]
    assert all(not (s < b and a < e) for s, e, h in theirs if h is not None for a, b in holes)


if __name__ == "__main__":
    main(*sys.argv[1:5])
