# SPDX-License-Identifier: GPL-2.0
"""files.py DESIGN.RST FOLDER: the first column of the table of files in DESIGN.RST has each file
of FOLDER, and no other. A name that begins with "_" stands for one that begins as the name before
it does."""
import pathlib
import re
import sys


def named(text):
    """The files of the table, without the ending .c, and with the ending .h."""
    column = re.search(r"^=+  =+\n``ondisk/``\n.*?^=+  =+\n", text, re.S | re.M)[0]
    last = ""
    for line in column.splitlines():
        for name in re.findall(r"``(\w+(?:\.h)?)``", line.split("  ")[0]):
            last = last.split("_")[0] + name if name.startswith("_") else name
            yield last


def files(folder):
    """The same of the folder: a header counts unless a .c file has its name."""
    for path in pathlib.Path(folder).glob("[!c]*/*.[ch]"):
        if path.suffix == ".c":
            yield path.stem
        elif not path.with_suffix(".c").exists():
            yield path.name


def main(design, folder):
    """Prints the differences."""
    table, there = set(named(pathlib.Path(design).read_text())), set(files(folder))
    for name in sorted(there - table):
        print(f"{design}: the table of files lacks {name}")
    for name in sorted(table - there):
        print(f"{design}: there is no file {name}")


main(*sys.argv[1:])
