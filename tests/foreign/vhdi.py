#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""vhdi.py OUT IMAGE [PARENT...]: writes the disk of a VHD or VHDX as libvhdi reads it, over its
parent, the parent of that, and so on."""

import sys

import pyvhdi

files = []
for name in sys.argv[2:]:
    files.append(pyvhdi.file())
    files[-1].open(name)
for image, parent in zip(files, files[1:]):
    image.set_parent(parent)
with open(sys.argv[1], "wb") as out:
    left = files[0].media_size
    while left:
        data = files[0].read(min(left, 1 << 20))
        left -= len(data)
        out.write(data)
