#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""vhd.py COMMAND ARGS: makes VHD images that no program on Debian makes.

child PARENT CHILD RAW [KEY=VALUE...]: a differencing disk over PARENT, a VHD whose disk is the
file RAW; RAW becomes the child's disk. Keys: seed, block (bytes), align (sectors of runs in
bitmaps), and names of the parent: relative, absolute, url, name.
footer511 IMAGE: takes the last byte off.
field IMAGE HOST_OFFSET BYTES...: changes hexadecimal bytes and mends the checksums of the
footers and of the header; host offsets below 0 count from the end.
"""

import random
import struct
import sys

HEADER = 512


def with_sum(data, place):
    """The bytes with their checksum at a place."""
    data = bytearray(data)
    data[place:place + 4] = bytes(4)
    data[place:place + 4] = struct.pack(">I", ~sum(data) & 0xffffffff)
    return bytes(data)


def footer_of(image):
    """The bytes of the footer."""
    with open(image, "rb") as f:
        f.seek(-512, 2)
        return f.read(512)


def child_footer(parent, seed):
    """The parent's footer, for a differencing disk."""
    f = bytearray(footer_of(parent))
    f[16:24] = struct.pack(">Q", 512)
    f[60:64] = struct.pack(">I", 4)
    f[68:84] = random.Random(seed).randbytes(16)
    return with_sum(f, 64)


def locators(names, start):
    """Entries of the header, and the texts, which begin at an offset of the file."""
    entries, texts = b"", b""
    for code, key, encoding in ((b"W2ku", "absolute", "utf-16le"),
                                (b"W2ru", "relative", "utf-16le"), (b"MacX", "url", "utf-8")):
        if key not in names:
            continue
        text = names[key].encode(encoding)
        entries += code + struct.pack(">IIIQ", 512, len(text), 0, start + len(texts))
        texts += text.ljust(512, b"\0")
    return entries.ljust(8 * 24, b"\0"), texts


def draw_bits(rnd, sectors, align):
    """Whether each sector of a block is in the child: runs of all lengths."""
    bits = []
    while len(bits) < sectors:
        run = rnd.choice((1, 1, 2, 7, 8, 9, 64, 500, 4096))
        bits += [rnd.random() < 0.5] * (-(-run // align) * align)
    return bits[:sectors]


def draw_block(rnd, raw, start, block, bitmap_bytes, align):
    """A block of the file; its sectors are changed in the disk, too."""
    bits = draw_bits(rnd, block // 512, align)
    data = bytearray(rnd.randbytes(512) * (block // 512))
    bitmap = bytearray(bitmap_bytes)
    for i, bit in enumerate(bits):
        struct.pack_into(">I", data, i * 512, i)
        if bit:
            bitmap[i // 8] |= 0x80 >> i % 8
            end = min(start + (i + 1) * 512, len(raw))
            raw[start + i * 512:end] = data[i * 512:i * 512 + max(0, end - start - i * 512)]
    return bytes(bitmap + data)


def draw_blocks(rnd, raw, block, first, align):
    """The table and the blocks, of which the first is at an offset of the file."""
    bitmap_bytes = max(512, -(-block // 512 // 8 // 512) * 512)
    count = -(-len(raw) // block)
    table, blocks = [0xffffffff] * count, []
    for n in rnd.sample(range(count), -(-count * 2 // 3)):
        table[n] = (first + len(blocks) * (bitmap_bytes + block)) // 512
        blocks.append(draw_block(rnd, raw, n * block, block, bitmap_bytes, align))
    return table, b"".join(blocks)


def child(parent, image, raw_name, **options):
    """Write a differencing disk and its content."""
    block = int(options.get("block", 2 << 20))
    seed = int(options.get("seed", 1))
    align = int(options.get("align", 1))
    with open(raw_name, "rb") as f:
        raw = bytearray(f.read())
    entries, texts = locators(options, HEADER + 1024)
    at_table = HEADER + 1024 + len(texts)
    count = -(-len(raw) // block)
    first = at_table + -(-count * 4 // 512) * 512
    table, blocks = draw_blocks(random.Random(seed), raw, block, first, align)
    name = options.get("name", "").encode("utf-16be").ljust(512, b"\0")
    header = b"cxsparse" + struct.pack(">QQIIII", 2 ** 64 - 1, at_table, 0x10000, count, block, 0)
    header += footer_of(parent)[68:84] + bytes(8) + name + entries
    header = with_sum(header.ljust(1024, b"\0"), 36)
    footer = child_footer(parent, seed)
    table = b"".join(struct.pack(">I", n) for n in table).ljust(first - at_table, b"\xff")
    with open(image, "wb") as f:
        f.write(footer + header + texts + table + blocks + footer)
    with open(raw_name, "wb") as f:
        f.write(raw)


def footer511(image):
    """Take the last byte off."""
    with open(image, "r+b") as f:
        f.truncate(f.seek(0, 2) - 1)


def mend(f, place, length, magic, checksum):
    """Mend the checksum of a structure, if it is there."""
    f.seek(place)
    data = f.read(length)
    if data.startswith(magic):
        f.seek(place)
        f.write(with_sum(data, checksum))


def field(image, host_offset, *values):
    """Change bytes."""
    with open(image, "r+b") as f:
        size = f.seek(0, 2)
        f.seek(int(host_offset, 0) % size)
        f.write(bytes.fromhex("".join(values)))
        mend(f, 0, 512, b"conectix", 64)
        mend(f, size - 512, 512, b"conectix", 64)
        mend(f, HEADER, 1024, b"cxsparse", 36)


if __name__ == "__main__":
    words = [a for a in sys.argv[2:] if "=" not in a]
    keys = dict(a.split("=", 1) for a in sys.argv[2:] if "=" in a)
    {"child": child, "footer511": footer511, "field": field}[sys.argv[1]](*words, **keys)
