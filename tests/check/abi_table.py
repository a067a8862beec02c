#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""abi_table.py ABI.RST: prints a C program that does not compile unless the tables of bytes
in the section "Maps" are those of linux/qcow_map.h."""
import re
import sys

TABLES = ("qcow_map_header", "qcow_map_entry")
ROW = re.compile(r"^``(\w+)``\s+(\d+)(?:-(\d+))?\s", re.M)


def main(name):
    """Prints the program."""
    with open(name, encoding="utf-8") as f:
        section = f.read().split("\nMaps\n----\n")[1].split("\nQCOW_IOC_DETACH\n")[0]
    print("#include <stddef.h>\n#include <linux/qcow_map.h>")
    tables = [ROW.findall(part) for part in re.split(r"^member ", section, flags=re.M)[1:]]
    for struct, rows in zip(TABLES, tables, strict=True):
        for member, first, last in rows:
            size = int(last or first) + 1 - int(first)
            print(f"_Static_assert(offsetof(struct {struct}, {member}) == {first} && "
                  f"sizeof(((struct {struct} *)0)->{member}) == {size}, \"{member}\");")
        end = max(int(last or first) for _, first, last in rows) + 1
        print(f"_Static_assert(sizeof(struct {struct}) == {end}, \"{struct}\");")


main(sys.argv[1])
