#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""repeat.py IMAGE HOST_OFFSET BYTES COUNT min|max: gives all entries of a table, of so many bytes
each, the bytes of the one that sorts first or last."""

import sys


def main(name, host_offset, length, count, which):
    """Change them."""
    host_offset, length, count = int(host_offset, 0), int(length), int(count)
    with open(name, "r+b") as f:
        f.seek(host_offset)
        table = f.read(length * count)
        entries = [table[i:i + length] for i in range(0, len(table), length)]
        f.seek(host_offset)
        f.write((min if which == "min" else max)(entries) * count)


if __name__ == "__main__":
    main(*sys.argv[1:])
