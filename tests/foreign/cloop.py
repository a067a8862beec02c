#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""cloop.py RAW OUT KEY=VALUE...: writes a raw disk as a cloop of a kind that cloop-utils do not
write. Keys:
version= 1, 2 (default) or 4; block= bytes of a block (65536); text= the script in the header
codec=   zlib (default), none, xz, xz-sha256, xz-x86, lz4, lzo, or mixed: for version 4; last=1: the header is last
zero=1   blocks of zeros are stored in no bytes; short=1: the last block ends with the data
index=   a Python expression that changes the list of offsets"""

import lzma
import random
import struct
import sys
import zlib

CODECS = ["zlib", "none", "xz", "lz4", "lzo"]


def compress(codec, data):
    """The stored bytes of a block."""
    if codec == "zlib":
        return zlib.compress(data)
    if codec == "none":
        return data
    if codec in ("xz", "xz-sha256", "xz-x86"):
        x86 = [{"id": lzma.FILTER_X86}] if codec == "xz-x86" else []
        return lzma.compress(data, filters=x86 + [{"id": lzma.FILTER_LZMA2}],
                             check=lzma.CHECK_SHA256 if codec == "xz-sha256" else lzma.CHECK_CRC32)
    if codec == "lz4":
        import lz4.block  # pylint: disable=import-outside-toplevel
        return lz4.block.compress(data, store_size=False)
    import lzo  # pylint: disable=import-outside-toplevel
    return lzo.compress(data, 1, False)


def write(raw, **options):
    """The bytes of a cloop of the raw disk."""
    rnd = random.Random(options.get("seed", "1"))
    version, size = int(options.get("version", "2")), int(options.get("block", "65536"))
    last, codec = bool(options.get("last")), options.get("codec", "zlib")
    blocks = [raw[i:i + size] for i in range(0, len(raw), size)]
    entry = ">I" if version == 1 else ">Q"
    place = 0 if last else 136 + struct.calcsize(entry) * (len(blocks) + 1)
    # The offset 0 is none for cloop's driver.
    data, index = bytearray(b"data" if last else b""), []
    for block in blocks:
        used = rnd.choice(CODECS) if codec == "mixed" else codec
        kind = CODECS.index(used.split("-")[0])
        index.append(place + len(data) | kind << 60)
        if options.get("zero") and not any(block):
            continue
        if not options.get("short") or block is not blocks[-1]:
            block += bytes(size - len(block))
        data += compress(used, block)
    index.append(place + len(data))
    if "index" in options:
        index = eval(options["index"], {"index": index})  # pylint: disable=eval-used
    text = options.get("text", f"#!/bin/sh\n#V{version}.0 Format\nmodprobe cloop file=$0 && "
                       "mount -r -t iso9660 /dev/cloop $1\nexit $?\n")
    head = text.encode().ljust(128, b"\0") + struct.pack(">II", size, len(blocks))
    table = b"".join(struct.pack(entry, i) for i in index)
    return bytes(data) + table + head if last else head + table + bytes(data)


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as source:
        content = source.read()
    with open(sys.argv[2], "wb") as target:
        target.write(write(content, **dict(a.split("=", 1) for a in sys.argv[3:])))
