#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""dmg.py RAW OUT KEY=VALUE...: writes a raw disk as a dmg, for nothing on Debian does. Keys:
codec=  zlib, bzip2, lzfse, fse, lzvn, plain, xz, xz64, adc, raw, or mixed (default)
chunk=  sectors of a chunk (512); zero=1: chunks of zeros are not stored
tables= number of block tables (1); order=1: from the last to the first, with gaps in the file
fork=1  a resource fork in place of a property list; tail= bytes behind the trailer; front=1: it is at the start
crc=0   no checksums; segments= of the trailer; seed= of all choices; edit=OLD:NEW in the property list
runs= a Python expression that changes the list of runs [type, sector, sectors, offset, length]"""

import base64
import bz2
import lzma
import random
import struct
import sys
import zlib

import lzfse

TYPES = {"adc": 0x80000004, "zlib": 0x80000005, "bzip2": 0x80000006, "lzfse": 0x80000007,
         "fse": 0x80000007, "lzvn": 0x80000007, "plain": 0x80000007,
         "xz": 0x80000008, "xz64": 0x80000008, "raw": 1}


def compress(rnd, codec, data):
    """The stored bytes of a chunk."""
    if codec == "mixed":
        # 7-Zip does not find the end of blocks that are not compressed.
        codec = rnd.choice(sorted(set(TYPES) - {"plain"}))
    if codec == "zlib":
        out = zlib.compress(data, 6)
    elif codec == "bzip2":
        out = bz2.compress(data)
    elif codec == "lzfse":
        out = lzfse.lzfse(rnd, data)
    elif codec in ("fse", "lzvn", "plain"):
        out = lzfse.lzfse(rnd, data, codec)
    elif codec in ("xz", "xz64"):
        out = lzma.compress(data, check=lzma.CHECK_CRC32 if codec == "xz" else lzma.CHECK_CRC64)
    elif codec == "adc":
        out = lzfse.adc(rnd, data)
    else:
        out = data
    return TYPES[codec], out


def checksum(options, crc):
    """The checksum of a trailer or table."""
    return struct.pack(">III", *(2, 32, crc) if options.get("crc") != "0" else (0, 0, 0)) \
        + bytes(124)


class Image:
    """An image that is being written."""

    def __init__(self, raw, options):
        self.raw, self.options = raw, options
        self.rnd = random.Random(options.get("seed", "1"))
        self.data, self.crcs = bytearray(b"start"), []

    def store(self, at, sectors):
        """A run of the sectors from that one on."""
        data = self.raw[at * 512:(at + sectors) * 512]
        if self.options.get("zero") and not any(data):
            return [self.rnd.choice([0, 2]), at, sectors, 0, 0]
        kind, out = compress(self.rnd, self.options.get("codec", "mixed"), data)
        self.data += bytes(self.rnd.randrange(3))
        self.data += out
        return [kind, at, sectors, len(self.data) - len(out), len(out)]

    def table(self, first, sectors):
        """A block table of these sectors, and its runs."""
        chunk = int(self.options.get("chunk", "512"))
        runs = [self.store(at, min(chunk, first + sectors - at))
                for at in range(first, first + sectors, chunk)]
        crc = 0
        for run in runs:
            if run[0] != 2:
                crc = zlib.crc32(self.raw[run[1] * 512:(run[1] + run[2]) * 512], crc)
        self.crcs.append(crc)
        if "runs" in self.options:
            runs = eval(self.options["runs"], {"runs": runs})  # pylint: disable=eval-used
        runs += [[0x7ffffffe, first + sectors, 0, 0, 0], [0xffffffff, first + sectors, 0, 0, 0]]
        head = struct.pack(">4sIQQQII24x", b"mish", 1, first, sectors, 5, 2056, 0)
        head += checksum(self.options, crc) + struct.pack(">I", len(runs))
        return head + b"".join(struct.pack(">IIQQQQ", k, 0, at - first, n, max(o - 5, 0), length)
                               for k, at, n, o, length in runs)

    def tables(self):
        """All block tables."""
        sectors, count = len(self.raw) // 512, int(self.options.get("tables", "1"))
        ends = sorted(self.rnd.sample(range(1, sectors), count - 1)) + [sectors]
        parts = list(zip([0] + ends[:-1], ends))
        if self.options.get("order"):
            parts.reverse()
        return [self.table(a, b - a) for a, b in parts]

    def plist(self, tables):
        """The property list."""
        rows = "".join("<dict><key>Attributes</key><string>0x0050</string><key>Data</key><data>\n"
                       + base64.encodebytes(t).decode() + "</data><key>ID</key><string>0</string>"
                       "<key>Name</key><string>disk &amp; image</string></dict>" for t in tables)
        text = ('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE plist PUBLIC '
                '"-//Apple//DTD PLIST 1.0//EN" "none">\n<plist version="1.0">\n'
                "<dict><key>Data</key><data>AAAA</data><key>resource-fork</key><dict>"
                "<key>cSum</key><array><dict><key>Data</key><data>AAAA</data></dict></array>"
                f"<key>blkx</key><array>{rows}</array></dict></dict></plist>\n")
        if "edit" in self.options:
            old, new = self.options["edit"].split(":")
            assert old in text
            text = text.replace(old, new)
        return text.encode()

    def fork(self, tables):
        """The resource fork: data, and a map of it with two types."""
        body, places = b"", []
        for resource in [b"other", *tables]:
            places.append(struct.pack(">hHII", -1, 0xffff, len(body), 0))
            body += struct.pack(">I", len(resource)) + resource
        names = struct.pack(">H4sHH4sHH", 1, b"plst", 0, 18, b"blkx", len(tables) - 1, 30)
        head = struct.pack(">IIII", 256, 256 + len(body), len(body), 46 + 12 * len(places))
        return head + bytes(240) + body + head \
            + struct.pack(">IHHHH", 0, 0, 0, 28, 46 + 12 * len(places)) + names + b"".join(places)

    def write(self):
        """The bytes of the file."""
        tables, opt = self.tables(), self.options
        old = bool(opt.get("fork"))
        index = self.fork(tables) if old else self.plist(tables)
        start = 512 if opt.get("front") else 0
        places = (start + len(self.data), len(index))
        crc = zlib.crc32(b"".join(struct.pack(">I", c) for c in self.crcs))
        trailer = struct.pack(">4sIII5QII16x", b"koly", 4, 512, 1, 0, start, len(self.data),
                              *(places if old else (0, 0)), 1, int(opt.get("segments", "1")))
        trailer += checksum(opt, zlib.crc32(self.data)) \
            + struct.pack(">QQ120x", *((0, 0) if old else places)) + checksum(opt, crc) \
            + struct.pack(">IQ12x", 1, len(self.raw) // 512)
        assert len(trailer) == 512
        if start:
            return trailer + bytes(self.data) + index
        return bytes(self.data) + index + trailer + bytes(int(opt.get("tail", "0")))


def write(raw, **options):
    """The bytes of a dmg of the raw disk."""
    return Image(raw, options).write()


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as source:
        content = source.read()
    with open(sys.argv[2], "wb") as target:
        target.write(write(content, **dict(a.split("=", 1) for a in sys.argv[3:])))
