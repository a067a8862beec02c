#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""abi_table.py ABI.RST CODECS.H: prints a C program that does not compile unless the tables of
bytes in the section "Maps" are those of linux/qcow_map.h, and the codecs those of CODECS.H."""
import re
import sys

TABLES = ("qcow_map_header", "qcow_map_entry")
CODEC = re.compile(r"^QCOW_MAP_CODEC\((\w+), (\w+),", re.M)
ROW = re.compile(r"^``(\w+)``\s+(\d+)(?:-(\d+))?\s", re.M)


def print_codecs(section, name):
    """The documented numbers and names are those of the list."""
    with open(name, encoding="utf-8") as f:
        listed = dict((word, number) for number, word in CODEC.findall(f.read()))
    text = re.search(r"^``codec``\s+31\s+compressed: (.*)$", section, re.M)[1]
    documented = dict(codec.split()[::-1] for codec in text.split(", "))
    if set(listed) != set(documented):
        print(f'#error "codecs: {sorted(set(listed) ^ set(documented))}"')
    for word in set(listed) & set(documented):
        print(f"_Static_assert(QCOW_MAP_{listed[word]} == {documented[word]}, \"{word}\");")


def main(name, codecs):
    """Prints the program."""
    with open(name, encoding="utf-8") as f:
        section = f.read().split("\nMaps\n----\n")[1].split("\nQCOW_IOC_DETACH\n")[0]
    print("#include <stddef.h>\n#include <linux/qcow_map.h>")
    print_codecs(section, codecs)
    tables = [ROW.findall(part) for part in re.split(r"^member ", section, flags=re.M)[1:]]
    for struct, rows in zip(TABLES, tables, strict=True):
        for member, first, last in rows:
            size = int(last or first) + 1 - int(first)
            print(f"_Static_assert(offsetof(struct {struct}, {member}) == {first} && "
                  f"sizeof(((struct {struct} *)0)->{member}) == {size}, \"{member}\");")
        end = max(int(last or first) for _, first, last in rows) + 1
        print(f"_Static_assert(sizeof(struct {struct}) == {end}, \"{struct}\");")


main(sys.argv[1], sys.argv[2])
