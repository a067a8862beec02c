#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""put.py FILE [HOST_OFFSET BYTES NUMBER]... [--copy FROM HOST_OFFSET HOST_OFFSET BYTES]: changes
numbers of a file, little-endian ones, then copies bytes from the first offset in FROM to the
second one."""

import sys


def main(name, *words):
    """Change them in turn."""
    words = list(words)
    with open(name, "r+b") as out:
        while words:
            if words[0] == "--copy":
                source, start, to, length = words[1], *(int(w, 0) for w in words[2:5])
                del words[:5]
                with open(source, "rb") as f:
                    f.seek(start)
                    data = f.read(length)
            else:
                to, length, number = (int(w, 0) for w in words[:3])
                del words[:3]
                data = (number % (1 << 8 * length)).to_bytes(length, "little")
            out.seek(to)
            out.write(data)


if __name__ == "__main__":
    main(*sys.argv[1:])
