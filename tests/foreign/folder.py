#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""folder.py FOLDER SEED FILES [BIG]: draws a folder with FILES files of all kinds of names that FAT
can have, in a tree that is deep in places, with sizes around those of sectors and clusters. BIG
makes one more file, big, with so many bytes, of which only the last ones are no hole."""

import os
import random
import sys
import time

ALPHABETS = ("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", "aB3_-~!#$%&'()@^{}",
             "a b c+,;=[]", "äöüßéàçñø", "αβγδεζηθ", "жзийклмн", "日本語漢字仮名", "a.b.c")
LENGTHS = (1, 2, 7, 8, 9, 12, 13, 14, 26, 27, 60)
UNITS = (512, 2048, 4096, 8192, 16384, 32768)
DEPTH = 16
NAME_BYTES = 255
FOLDERS_PART = 8
# Summer time neither begins nor ends in these months.
MONTHS = (1, 2, 6, 7)


def draw_name(draw, deep):
    """A name; FAT has none that ends in a point or a space."""
    kind = draw.randrange(10)
    if kind == 0:
        return f"the same beginning {draw.randrange(1000)}.txt"
    if kind == 1:
        return f"LONGFI~{draw.randrange(10)}.TXT"
    length = draw.choice(LENGTHS)
    if not deep and not draw.randrange(30):
        length = draw.choice((200, 254, 255))
    alphabet = draw.choice(ALPHABETS)
    name = "".join(draw.choice(alphabet) for _ in range(length))
    if kind < 5:
        name = name[:-4] + draw.choice((".t", ".txt", ".TXT", ".Text"))[:length]
    while len(name.encode()) > NAME_BYTES:
        name = name[1:]
    return name.strip(" ").rstrip(".")


def same_for_fat(name):
    """A key that is the same for names which FAT does not tell from each other."""
    return name.upper().casefold()


def new_path(draw, folder, depth, used):
    """A path in a folder that no other file has."""
    while True:
        name = draw_name(draw, depth > 2)
        if name and name not in (".", "..") and (folder, same_for_fat(name)) not in used:
            used.add((folder, same_for_fat(name)))
            return os.path.join(folder, name)


def draw_size(draw):
    """A size that is next to a multiple of a unit, or small."""
    if draw.randrange(3):
        return draw.choice((0, 1, draw.randrange(600)))
    return max(draw.choice(UNITS) * draw.randrange(1, 3) + draw.randrange(-1, 2), 0)


def draw_time(draw):
    """Seconds since 1970."""
    return time.mktime((draw.randrange(1981, 2037), draw.choice(MONTHS), draw.randrange(1, 29),
                        draw.randrange(24), draw.randrange(60), draw.randrange(60), 0, 0, -1))


def main():
    """Draw the tree."""
    root, seed, files = sys.argv[1], sys.argv[2], int(sys.argv[3])
    draw = random.Random(seed)
    folders, used = [(root, 0)], {(root, "big")}
    os.mkdir(root)
    for _ in range(files // FOLDERS_PART):
        # Half of the folders go below the one before them.
        folder, depth = folders[-1] if draw.randrange(2) else draw.choice(folders)
        if depth < DEPTH:
            path = new_path(draw, folder, depth, used)
            os.mkdir(path)
            folders.append((path, depth + 1))
    for _ in range(files):
        path = new_path(draw, *draw.choice(folders), used)
        with open(path, "wb") as f:
            f.write(draw.randbytes(draw_size(draw)))
        when = draw_time(draw)
        os.utime(path, (when, when))
    if len(sys.argv) > 4:
        with open(os.path.join(root, "big"), "wb") as f:
            f.truncate(int(sys.argv[4]) - 3)
            f.seek(0, os.SEEK_END)
            f.write(b"end")


if __name__ == "__main__":
    main()
