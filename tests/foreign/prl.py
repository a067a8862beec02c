#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""prl.py SECTORS [PART_END:GUID=TYPE:FILE,...]... -- [GUID:PARENT]...: writes a DiskDescriptor.xml
of Parallels. The first file of a part is that of the first GUID."""

import sys

PARAMETERS = """<?xml version='1.0' encoding='UTF-8'?>
<Parallels_disk_image Version="{version}">
  <Disk_Parameters>
    <Disk_size>{sectors}</Disk_size>
    <Cylinders>20</Cylinders>
    <Heads>16</Heads>
    <Sectors>32</Sectors>
    <Padding>{padding}</Padding>
    <Encryption>
      <Engine>{engine}</Engine>
      <Data></Data>
    </Encryption>
  </Disk_Parameters>
  <StorageData>
"""
NULL = "{00000000-0000-0000-0000-000000000000}"


def main(sectors, *words):
    """Print the file."""
    split = words.index("--")
    options = {"version": "1.0", "padding": "0", "engine": NULL}
    parts = []
    for word in words[:split]:
        key, equals, value = word.partition("=")
        if equals and ":" not in key:
            options[key] = value
        else:
            parts.append(word)
    print(PARAMETERS.format(sectors=sectors, **options), end="")
    start = "0"
    for part in parts:
        end, _, images = part.partition(":")
        print(f"    <Storage>\n      <Start>{start}</Start>\n      <End>{end}</End>")
        print("      <Blocksize>2048</Blocksize>")
        for image in images.split(","):
            guid, _, rest = image.partition("=")
            kind, _, name = rest.partition(":")
            print(f"      <Image>\n        <GUID>{guid}</GUID>\n        <Type>{kind}</Type>\n"
                  f"        <File>{name}</File>\n      </Image>")
        print("    </Storage>")
        start = end
    print("  </StorageData>\n  <Snapshots>")
    shots = list(words[split + 1:])
    if shots:
        print(f"    <TopGUID>{shots[0].partition(':')[0]}</TopGUID>")
    for shot in shots:
        guid, _, parent = shot.partition(":")
        print(f"    <Shot>\n      <GUID>{guid}</GUID>\n      <ParentGUID>{parent or NULL}"
              "</ParentGUID>\n    </Shot>")
    print("  </Snapshots>\n</Parallels_disk_image>")


if __name__ == "__main__":
    main(*sys.argv[1:])
