#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""sparse.py PROGRAM FORMAT IMAGE RAW: compares the disk of an image, by the table that the program
of foreign.c makes, with that in a raw file, without writing it. Both may be huge and sparse."""

import os
import sys

import damage
import foreign


def main(program, kind, image, raw):
    """Compare."""
    lines = foreign.lines(program, kind, image)
    fault = damage.Comparison(lines, raw, b"", foreign.decompress).fault(os.getcwd())
    if fault:
        sys.exit(f"{image}: {fault}")


if __name__ == "__main__":
    main(*sys.argv[1:5])
