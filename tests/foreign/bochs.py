#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Images for tests of the format of Bochs.

bochs.py disk OUT BYTES SEED     a raw disk with random data in some places
bochs.py boot OUT BYTES SECTOR...
                                 a raw disk that boots, writes its first sector to these sectors,
                                 and ends Bochs
bochs.py empty OUT IMAGE         a sparse image with the pages of another one, all of them absent
bochs.py type OUT IMAGE TYPE [FIRST]
                                 crafted: a redo log of another type; of version 1 if FIRST is given
bochs.py sparse1 OUT IMAGE       crafted: a sparse image of version 1
bochs.py field OUT IMAGE OFFSET BYTES VALUE
                                 crafted: another number in the header"""

import random
import struct
import sys

SECTOR = 512
# Loads its list's sectors one by one into the packet for the BIOS, and writes the word for
# port 0x8900 that ends Bochs after that.
BEGIN = "31c0 8ed8 8ed0 bc007c bd{list} 8b4600 83f8ff 7412 a3{sector} be{packet} " \
        "b80043 b280 cd13 83c502 ebe6 ba0089"


def boot_sector(sectors):
    """The code, with its packet and its list behind it."""
    words = {}
    for _ in range(2):
        text = BEGIN
        for word in ("list", "sector", "packet"):
            text = text.replace("{" + word + "}", struct.pack("<H", words.get(word, 0)).hex())
        code = bytes.fromhex(text) + b"".join(bytes([0xb0, c, 0xee]) for c in b"Shutdown")
        code += bytes([0xf4, 0xeb, 0xfd])
        packet = 0x7c00 + len(code)
        words = {"packet": packet, "sector": packet + 8, "list": packet + 16}
    code += struct.pack("<BBHHHQ", 16, 0, 1, 0x7c00, 0, 0)
    code += struct.pack(f"<{len(sectors) + 1}H", *sectors, 0xffff)
    return code.ljust(510, b"\0") + b"\x55\xaa"


def draw_disk(size, seed):
    """Zeros with pieces of random data."""
    draw = random.Random(int(seed))
    data = bytearray(size)
    for _ in range(40):
        at = draw.randrange(size // SECTOR) * SECTOR
        length = min(draw.choice((1, 2, 3, 70)) * SECTOR, size - at)
        data[at:at + length] = draw.randbytes(length)
    return bytes(data)


def empty(image):
    """The header of a sparse image, and no page."""
    page, pages = struct.unpack_from("<II", image, 8)
    size = 256 + 4 * pages
    return image[:256] + b"\xff" * (4 * pages) + bytes(-size % page)


def other_type(image, word, first):
    """A redo log of another type."""
    data = bytearray(image)
    data[48:64] = word.encode().ljust(16, b"\0")
    if first:
        data[84:92] = data[88:96]
        data[92:96] = bytes(4)
        data[64:68] = struct.pack("<I", 0x10000)
    return data


def main():
    """Make one image."""
    what, out, *words = sys.argv[1:]
    if what in ("disk", "boot"):
        size = int(words[0])
        data = draw_disk(size, words[1]) if what == "disk" else \
            boot_sector([int(w) for w in words[1:]]).ljust(size, b"\0")
    else:
        with open(words[0], "rb") as f:
            image = f.read()
        if what == "empty":
            data = empty(image)
        elif what == "type":
            data = other_type(image, words[1], len(words) > 2)
        elif what == "sparse1":
            data = image[:4] + struct.pack("<I", 1) + image[8:16] + bytes(8) + image[24:]
        else:
            at, width, value = (int(w, 0) for w in words[1:])
            data = image[:at] + value.to_bytes(width, "little") + image[at + width:]
    with open(out, "wb") as f:
        f.write(data)


main()
