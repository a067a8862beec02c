#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""vmdk.py make KIND FOLDER: writes an image that no program at hand writes, disk.vmdk, and
its disk, disk.raw, into a folder. vmdk.py beside PROGRAM IMAGE [FORMAT]: compares what
PROGRAM (foreign.c) reads with what libvmdk reads, around the ends of all entries. vmdk.py put
FILE OFFSET BYTES NUMBER: changes a number of a file. The images follow VMware's specification
1.1, and those of seSparse QEMU's reader."""

import os
import random
import struct
import sys
import zlib

import foreign

SECTOR = 512
GRAIN = 16
MARKER_GT, MARKER_GD, MARKER_FOOTER = 1, 2, 3
FLAG_NEWLINES, FLAG_SECOND_GD, FLAG_ZEROS = 1, 2, 4
FLAG_COMPRESSED, FLAG_MARKERS = 1 << 16, 1 << 17
AT_END = (1 << 64) - 1


def text(kind, lines, cid=0x1234abcd, parent="", parent_cid=0xffffffff):
    """A descriptor."""
    out = ["# Disk DescriptorFile", "version=1", f"CID={cid:x}", f"parentCID={parent_cid:x}",
           f'createType="{kind}"']
    if parent:
        out.append(f'parentFileNameHint="{parent}"')
    out += ["", "# Extent description", *lines, "", "# The Disk Data Base", "#DDB", "",
            'ddb.adapterType = "lsilogic"', ""]
    return "\n".join(out).encode()


def pad(data, size=SECTOR):
    """Data up to a multiple of a size."""
    return data + bytes(-len(data) % size)


class Disk:
    """Random grains of a disk: bytes, None for a hole, or zeros."""

    def __init__(self, sectors, grain, few=0):
        rand = random.Random(sectors)
        self.sectors, self.grain = sectors, grain
        count = -(-sectors // grain)
        self.grains = [None] * count
        for i in few or range(count):
            self.grains[i] = rand.choice([None, 0, 1, 1, 1])
            if self.grains[i]:
                self.grains[i] = rand.randbytes(100) + bytes([i % 251]) * (grain * SECTOR - 100)
        self.order = [i for i, g in enumerate(self.grains) if g]
        rand.shuffle(self.order)

    def raw(self):
        """All of it, with zeros for holes."""
        zeros = bytes(self.grain * SECTOR)
        return b"".join(g or zeros for g in self.grains)[:self.sectors * SECTOR]


def kdmv(sectors, gd, overhead, flags, version=1, second_gd=0, words=b"", unclean=0,
         grain=GRAIN, compression=0, gt_entries=512):
    """A header, of one sector, and the descriptor behind it."""
    head = struct.pack("<4sIIQQQQIQQQB4sH", b"KDMV", version, flags | FLAG_NEWLINES, sectors,
                       grain, 1 if words else 0, -(-len(words) // SECTOR), gt_entries,
                       second_gd, gd, overhead, unclean, b"\n \r\n", compression)
    return pad(head) + pad(words)


def tables(disk, places, first_sector, entries=512):
    """A directory and its tables for grains at places, in sectors, from a sector on."""
    table = struct.pack(f"<{len(places)}I", *places)
    table = pad(table, entries * 4)
    count = len(table) // (entries * 4)
    # A table without grains is left out.
    empty = bytes(entries * 4)
    parts = [table[i * entries * 4:(i + 1) * entries * 4] for i in range(count)]
    sector = first_sector + -(-count * 4 // SECTOR)
    directory = b""
    for part in parts:
        directory += struct.pack("<I", 0 if part == empty else sector)
        if part != empty:
            sector += entries * 4 // SECTOR
    return pad(directory) + b"".join(p for p in parts if p != empty)


def sparse(name, disk, kind="monolithicSparse", unclean=0, words=True, **more):
    """A monolithic sparse image, its grains in any order, with a second directory."""
    words = text(kind, [f'RW {disk.sectors} SPARSE "{name}"'], **more) if words else b""
    flags = FLAG_SECOND_GD | FLAG_ZEROS
    first = 1 + -(-len(words) // SECTOR)
    places = [1 if g == 0 else 0 for g in disk.grains]
    for i in disk.order:
        places[i] = 2
    size = len(tables(disk, places, 0)) // SECTOR
    data = first + 2 * size
    for n, i in enumerate(disk.order):
        places[i] = data + n * disk.grain
    out = kdmv(disk.sectors, first + size, data, flags, second_gd=first, words=words,
               unclean=unclean, grain=disk.grain)
    out += tables(disk, places, first) + tables(disk, places, first + size)
    return out + b"".join(disk.grains[i] for i in disk.order)


def marker(kind, sectors):
    """The marker of something that is no grain."""
    return pad(struct.pack("<QII", sectors, 0, kind))


def stream(name, disk, where):
    """A stream, its grain directory told by the header or the footer, or without one. With
    "whole", the last grain goes on behind the end of the disk."""
    words = text("streamOptimized", [f'RDONLY {disk.sectors} SPARSE "{name}"'])
    words = pad(words, 10 * SECTOR)
    start = 1 + len(words) // SECTOR
    places = [0] * len(disk.grains)
    body = b""
    for i, grain in enumerate(disk.grains):
        if not grain:
            continue
        places[i] = start + len(body) // SECTOR
        # Of the last grain only what belongs to the disk is there.
        left = (disk.sectors - i * disk.grain) * SECTOR if where != "whole" else None
        packed = zlib.compress(grain[:left])
        body += pad(struct.pack("<QI", i * disk.grain, len(packed)) + packed)
    flags = FLAG_COMPRESSED | FLAG_MARKERS
    gd = start + len(body) // SECTOR + 1
    if where != "markers":
        directory = tables(disk, places, gd)
        body += marker(MARKER_GD, len(directory) // SECTOR) + directory
    if where == "footer":
        body += marker(MARKER_FOOTER, 1)
        body += kdmv(disk.sectors, gd, start, flags, version=3, compression=1, grain=disk.grain)
    head = kdmv(disk.sectors, gd if where in ("header", "whole", "part") else AT_END, start, flags, version=3,
                words=words, compression=1, grain=disk.grain)
    return head + body + marker(0, 0)


def cowd(disk):
    """An extent of the type VMFSSPARSE."""
    places = [0] * len(disk.grains)
    for i in disk.order:
        places[i] = 1
    count = len(tables(disk, places, 0, 4096)) // SECTOR
    for n, i in enumerate(disk.order):
        places[i] = 4 + count + n * disk.grain
    entries = -(-len(places) // 4096)
    head = struct.pack("<4s8I", b"COWD", 1, 3, disk.sectors, disk.grain, 4, entries,
                       4 + count + len(disk.order) * disk.grain, 1)
    return (pad(head, 2048) + tables(disk, places, 4, 4096)
            + b"".join(disk.grains[i] for i in disk.order))


def sesparse(disk, dirty=0):
    """An extent of the type SESPARSE."""
    count = -(-len(disk.grains) // 4096)
    gd, gts = 16, 16 + -(-count * 8 // SECTOR)
    grains = gts + count * 64
    entries = []
    for i, grain in enumerate(disk.grains):
        n = disk.order.index(i) if grain else 0
        entry = 0x3 << 60 | (n & 0xfff) << 48 | n >> 12
        entries.append(entry if grain else (0x1 if i % 2 else 0x2) << 60 if grain == 0 else 0)
    head = struct.pack("<26Q", 0xcafebabe, 0x200000001, disk.sectors, 8, 64, 0, 0, 0, 0, 0,
                       1, 1, 2, 1, 3, 1, gd, -(-count * 8 // SECTOR), gts, count * 64,
                       0, 0, 0, 0, grains, len(disk.order) * 8)
    second = struct.pack("<QQQB", 0xcafecafe, 0, 0, dirty)
    directory = struct.pack(f"<{count}Q", *(0x1 << 60 | i for i in range(count)))
    return (pad(pad(head) + pad(second), gd * SECTOR) + pad(directory)
            + pad(struct.pack(f"<{len(entries)}Q", *entries), 64 * SECTOR)
            + b"".join(disk.grains[i] for i in disk.order))


def several():
    """Extents of all types and accesses, with ranges of files, in their places."""
    one, two = Disk(GRAIN * 70 + 8, GRAIN), Disk(3000, 1)
    flat = random.Random(4).randbytes(5000 * SECTOR)
    files = {"one.vmdk": sparse("", one, words=False), "two.vmdk": cowd(two),
             "a flat.vmdk": flat}
    lines = [f'RW {one.sectors} SPARSE "one.vmdk"', 'RW 300 ZERO',
             'RDONLY 1000 FLAT "a flat.vmdk" 500', 'NOACCESS 63 FLAT "missing.vmdk" 0',
             'rw 0 ZERO', f'RW {two.sectors} VMFSSPARSE "two.vmdk"',
             'RW 2000 VMFS "a flat.vmdk"', 'RDONLY 7 ZERO']
    raw = (one.raw() + bytes(300 * SECTOR) + flat[500 * SECTOR:1500 * SECTOR]
           + bytes(63 * SECTOR) + two.raw() + flat[:2000 * SECTOR] + bytes(7 * SECTOR))
    return {**files, "disk.vmdk": text("custom", lines).replace(b"\n", b"\r\n")}, raw


def rdonly():
    """Extents that libvmdk reads as well, one of which is not to be written."""
    parts = [random.Random(n).randbytes(n * 100 * SECTOR) for n in (1, 2, 3)]
    lines = [f'{access} {len(part) // SECTOR} FLAT "{n}" 0' for n, (part, access) in
             enumerate(zip(parts, ("RW", "RDONLY", "RW")))]
    files = {str(n): part for n, part in enumerate(parts)}
    return {**files, "disk.vmdk": text("monolithicFlat", lines)}, b"".join(parts)


def delta(kind):
    """A link of a chain: a descriptor that names a file of grains, and a parent."""
    name = "disk-delta.vmdk"
    # Two tables for VMFSSPARSE, and for seSparse if it is large.
    disk = Disk(40000 if kind == "large" else 5000, 1 if kind == "VMFSSPARSE" else 8)
    kind = "SESPARSE" if kind == "large" else kind
    words = text("vmfsSparse" if kind == "VMFSSPARSE" else "seSparse",
                 [f'RW {disk.sectors} {kind} "{name}"'], parent="base.vmdk",
                 parent_cid=0x89abcdef)
    base = random.Random(5).randbytes(disk.sectors * SECTOR)
    size = disk.grain * SECTOR
    holes = [base[i * size:(i + 1) * size] if g is None else g or bytes(size)
             for i, g in enumerate(disk.grains)]
    # A grain of zeros of COWD is a hole: it has none.
    if kind == "VMFSSPARSE":
        holes = [g or base[i * size:(i + 1) * size] for i, g in enumerate(disk.grains)]
    lines = [f'RW {disk.sectors} FLAT "base-flat.vmdk" 0']
    files = {"disk.vmdk": words, "base.vmdk": text("monolithicFlat", lines, 0x89abcdef),
             "base-flat.vmdk": base, name: cowd(disk) if kind == "VMFSSPARSE" else sesparse(disk)}
    return files, b"".join(holes)


def container():
    """A header without a disk, which holds the descriptor of others."""
    flat = random.Random(6).randbytes(100 * SECTOR)
    words = text("monolithicFlat", ['RW 100 FLAT "flat" 0'])
    return {"disk.vmdk": kdmv(0, 0, 0, 0, words=words), "flat": flat}, flat


def far():
    """A stream of grains of a sector, one of them for a sector above 2^32."""
    sectors, packed = 1 << 33, zlib.compress(b"x" * SECTOR)
    words = pad(text("streamOptimized", [f'RDONLY {sectors} SPARSE "disk.vmdk"']), 10 * SECTOR)
    start = 1 + len(words) // SECTOR
    head = kdmv(sectors, AT_END, start, FLAG_COMPRESSED | FLAG_MARKERS, version=3, words=words,
                compression=1, grain=1)
    body = pad(struct.pack("<QI", (1 << 32) + 5, len(packed)) + packed)
    return {"disk.vmdk": head + body + marker(0, 0)}, b""


def loop(folder):
    """A directory of 4 Mi entries for the same table, in disk.vmdk."""
    count, words = 1 << 22, text("monolithicSparse", ['RW 1 SPARSE "disk.vmdk"'])
    with open(os.path.join(folder, "disk.vmdk"), "wb") as out:
        out.write(kdmv(count * 512, 32, 32, 0, words=words, grain=1))
        out.seek(32 * SECTOR)
        out.write(struct.pack("<I", 32 + count * 4 // SECTOR) * count + bytes(4 * SECTOR))


def image(kind):
    """The files and the disk of a kind."""
    disk = Disk(GRAIN * 1200 + (6 if kind in ("whole", "part") else 5), GRAIN)
    if kind in ("header", "whole", "part", "footer", "markers"):
        return {"disk.vmdk": stream("disk.vmdk", disk, kind)}, disk.raw()
    if kind in ("VMFSSPARSE", "SESPARSE", "large"):
        return delta(kind)
    if kind == "several":
        return several()
    if kind == "rdonly":
        return rdonly()
    if kind == "container":
        return container()
    if kind == "far":
        return far()
    return {"disk.vmdk": sparse("another.vmdk", disk, unclean=1)}, disk.raw()


def make(kind, folder):
    """Writes them."""
    files, raw = image(kind)
    os.makedirs(folder, exist_ok=True)
    for name, content in {**files, "disk.raw": raw}.items():
        with open(os.path.join(folder, name), "wb") as out:
            out.write(content)


def put(name, host_offset, length, number):
    """Changes a number."""
    with open(name, "r+b") as out:
        out.seek(int(host_offset, 0))
        out.write((int(number, 0) % (1 << 8 * int(length))).to_bytes(int(length), "little"))


def read_table(table, start, length):
    """A part of the disk by the entries of the table: those that begin before its end."""
    entries, files = table
    out = b""
    while len(out) < length:
        n = max(i for i, e in enumerate(entries[:-1]) if e[0] <= start + len(out))
        first, what, host, stored, plain, skip, number, codec = entries[n]
        skip += start + len(out) - first
        part = min(length - len(out), entries[n + 1][0] - start - len(out))
        if what == foreign.DATA:
            piece = foreign.read_at(files, number, host + skip, part)
        elif what == foreign.COMPRESSED:
            piece = foreign.decompress(codec, foreign.read_at(files, number, host, stored), plain)
            piece = piece[skip:skip + part]
        else:
            piece = bytes(part)
        assert len(piece) == part, f"entry {n} is too short"
        out += piece
    return out


def beside(program, name, kind="vmdk"):
    """Compares with libvmdk. At most 200 entries, for its speed."""
    import pyvmdk  # pylint: disable=import-outside-toplevel

    out = foreign.lines(program, kind, name)
    files = {int(l[1]): l[2] for l in out if l[0] == "file"}
    size = next(int(l[1]) for l in out if l[0] == "size")
    entries = [[int(x) for x in l[1:]] for l in out if l[0] == "entry"] + [[size]]
    handle = pyvmdk.handle()
    handle.open(name)
    handle.open_extent_data_files()
    assert handle.media_size == size, f"{handle.media_size} bytes, not {size}"
    ends = {e[0] for e in entries}
    if len(ends) > 200:
        ends = set(random.Random(1).sample(sorted(ends), 200))
    for end in sorted(ends):
        start, stop = max(end - 1536, 0), min(end + 1536, size)
        handle.seek_offset(start, 0)
        if handle.read_buffer(stop - start) != read_table((entries, files), start, stop - start):
            sys.exit(f"{name}: other data at {start}")


if __name__ == "__main__":
    {"make": make, "loop": loop, "beside": beside, "put": put}[sys.argv[1]](*sys.argv[2:])
