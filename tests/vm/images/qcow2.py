# SPDX-License-Identifier: GPL-2.0
"""Writes qcow2 images that QEMU itself would not: tables anywhere in the
file, entries of every kind, compressed clusters that share sectors, and all
of it wrong where a test wants it wrong."""

import os
import struct
import zlib

import zstandard

COPIED = 1 << 63
COMPRESSED = 1 << 62
ZERO = 1

INCOMPAT_DIRTY = 1
INCOMPAT_CORRUPT = 2
INCOMPAT_DATA_FILE = 4
INCOMPAT_COMPRESSION = 8
INCOMPAT_EXTL2 = 16
AUTOCLEAR_DATA_RAW = 2

EXT_BACKING_FORMAT = 0xe2792aca
EXT_FEATURE_NAMES = 0x6803f857
EXT_DATA_FILE = 0x44415441


def content(rng, size):
    """Bytes to store: hard to compress, easy, or in between."""
    kind = rng.random()
    if kind < 0.4:
        return rng.randbytes(size)
    word = rng.randbytes(rng.choice([1, 7, 61, 509]))
    data = bytearray((word * (size // len(word) + 1))[:size])
    if kind < 0.8:
        for _ in range(rng.randint(1, 20)):
            at = rng.randrange(size)
            data[at:at + 1] = rng.randbytes(1)
    return bytes(data[:size])


def deflate(data, level=6, finish=True):
    """finish: otherwise the stream has no end, only all of its data."""
    comp = zlib.compressobj(level, zlib.DEFLATED, -12)
    return comp.compress(data) + comp.flush(
        zlib.Z_FINISH if finish else zlib.Z_SYNC_FLUSH)


def zstd(data, level=3, frames=1, **options):
    comp = zstandard.ZstdCompressor(level=level, **options)
    step = -(-len(data) // frames) or 1
    return b"".join(comp.compress(data[i:i + step])
                    for i in range(0, len(data) or 1, step))


class Image:
    """One image file. Guest clusters are set one by one; finish() writes
    tables, refcounts and header."""

    def __init__(self, path, rng, size, cluster_bits=16, version=3,
                 extl2=False, refcount_order=4, compression=None,
                 data_file=None, data_raw=False, backing=None,
                 backing_format=None, scatter=True, l1_extra=0):
        self.path = path
        self.rng = rng
        self.size = size
        self.bits = cluster_bits
        self.cluster = 1 << cluster_bits
        self.version = version
        self.extl2 = extl2
        self.order = refcount_order
        self.compression = compression
        self.data_file = data_file
        self.data_raw = data_raw
        self.backing = backing
        self.backing_format = backing_format
        self.scatter = scatter
        self.entry_size = 16 if extl2 else 8
        self.l2_entries = self.cluster // self.entry_size
        self.guest_clusters = -(-size // self.cluster)
        self.l1_size = -(-self.guest_clusters // self.l2_entries) + l1_extra
        self.refs = {0: 1}
        self.entries = {}
        self.pending = None
        self.end = 1
        self.l2_at = {}
        self.header = {}
        self.length = None
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        self.data_fd = None
        if data_file:
            self.data_fd = os.open(
                os.path.join(os.path.dirname(path), data_file),
                os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
            os.ftruncate(self.data_fd, size)

    # Host clusters

    def alloc(self, count=1):
        """A run of unused clusters, as its offset in the file."""
        start = self.end
        if self.scatter:
            span = self.end + 4 * count + 8
            for _ in range(8):
                at = self.rng.randrange(1, span)
                if not any(at + i in self.refs for i in range(count)):
                    start = at
                    break
        for i in range(start, start + count):
            self.refs[i] = 1
        self.end = max(self.end, start + count)
        return start << self.bits

    def put(self, offset, data):
        os.pwrite(self.fd, data, offset)

    # Guest clusters

    def set(self, index, entry, bitmap=0):
        self.entries[index] = (entry, bitmap)

    def data(self, index, payload, bitmap=None):
        """An ordinary cluster; bitmap: of its subclusters."""
        if self.data_file:
            offset = index << self.bits
            os.pwrite(self.data_fd, payload, offset)
        else:
            offset = self.alloc()
            self.put(offset, payload)
        if bitmap is None:
            bitmap = 0xffffffff
        self.set(index, offset | COPIED, bitmap)
        return offset

    def zero(self, index, allocated=False):
        """A cluster of zeros; allocated: it keeps a host cluster, in which
        something else is written."""
        entry = 0
        if allocated:
            junk = b"\xee" * self.cluster
            entry = self.data(index, junk) | COPIED
        if self.extl2:
            self.set(index, entry, 0xffffffff << 32)
        else:
            self.set(index, entry | ZERO)

    def compress(self, data):
        if self.compression == "zstd":
            return zstd(data, self.rng.choice([1, 3, 9]),
                        self.rng.choice([1, 1, 2, 3]),
                        write_checksum=self.rng.random() < 0.3,
                        write_content_size=self.rng.random() < 0.7)
        return deflate(data, self.rng.choice([1, 6, 9]))

    def compressed(self, index, payload, raw=None, extra=0, align=1):
        """A compressed cluster, right behind the last one as a rule.
        raw: the stored bytes; extra: sectors that its entry tells too much
        (or too few)."""
        if raw is None:
            raw = self.compress(payload)
        if self.pending is None or self.rng.random() < 0.2:
            self.pending = self.alloc()
            # where a run begins within its cluster
            self.pending += self.rng.randrange(self.cluster) // align * align
        start = self.pending
        first = start >> self.bits
        last = (start + len(raw) - 1) >> self.bits
        if any(i in self.refs for i in range(first + 1, last + 1)):
            room = last - first + 2
            start = self.alloc(room)
            first = start >> self.bits
            last = (start + len(raw) - 1) >> self.bits
            for i in range(last + 1, first + room):
                del self.refs[i]
            for i in range(first, last + 1):
                self.refs[i] = 0
        elif start & (self.cluster - 1) == 0 or self.refs.get(first) is None:
            self.refs.setdefault(first, 0)
        for i in range(first, last + 1):
            self.refs[i] = self.refs.get(i, 0) + 1
        self.end = max(self.end, last + 1)
        self.put(start, raw)
        sectors = ((start + len(raw) - 1) >> 9) - (start >> 9) + extra
        shift = 70 - self.bits
        self.set(index, COMPRESSED | sectors << shift | start)
        self.pending = start + len(raw)
        if self.pending & (self.cluster - 1) == 0:
            self.pending = None
        return start, len(raw)

    # Tables

    def entry_bytes(self, index):
        entry, bitmap = self.entries.get(index, (0, 0))
        if self.extl2:
            return struct.pack(">QQ", entry, bitmap)
        return struct.pack(">Q", entry)

    def write_l2(self, l1_index):
        first = l1_index * self.l2_entries
        self.l2_at[l1_index] = at = self.alloc()
        self.put(at, b"".join(self.entry_bytes(i) for i in
                              range(first, first + self.l2_entries)))

    def write_l1(self):
        count = -(-max(self.l1_size, 1) * 8 // self.cluster)
        self.l1_offset = self.alloc(count)
        table = [0] * self.l1_size
        for i in sorted({i // self.l2_entries for i in self.entries}):
            self.write_l2(i)
            table[i] = self.l2_at[i] | COPIED
        self.put(self.l1_offset, struct.pack(">%dQ" % len(table), *table))

    def refcount_block(self, first):
        bits = 1 << self.order
        count = self.cluster * 8 // bits
        top = (1 << bits) - 1
        if bits >= 8:
            return b"".join(
                min(self.refs.get(first + i, 0), top).to_bytes(bits // 8, "big")
                for i in range(count))
        per = 8 // bits
        block = bytearray(self.cluster)
        for i in range(count):
            block[i // per] |= (min(self.refs.get(first + i, 0), top)
                                << i % per * bits)
        return bytes(block)

    def write_refcounts(self):
        per_block = self.cluster * 8 >> self.order
        # Room for itself, and then some
        blocks = (self.end * 2 + 64) // per_block + 1
        clusters = -(-blocks * 8 // self.cluster)
        table = self.alloc(clusters)
        places = {}
        todo = {i // per_block for i in self.refs}
        while todo - set(places):
            for i in sorted(todo - set(places)):
                places[i] = self.alloc()
            todo = {i // per_block for i in self.refs}
        raw = bytearray(clusters << self.bits)
        for i, at in places.items():
            raw[i * 8:i * 8 + 8] = struct.pack(">Q", at)
            self.put(at, self.refcount_block(i * per_block))
        self.put(table, bytes(raw))
        self.blocks = places
        self.reftable = table
        self.reftable_clusters = clusters

    def extensions(self):
        found = []
        if self.backing_format:
            found.append((EXT_BACKING_FORMAT, self.backing_format.encode()))
        if self.data_file:
            found.append((EXT_DATA_FILE, self.data_file.encode()))
        found += self.header.get("extensions", [])
        return b"".join(struct.pack(">II", kind, len(data)) +
                        data.ljust(-(-len(data) // 8) * 8, b"\0")
                        for kind, data in found) + bytes(8)

    def write_header(self):
        incompat = self.header.get("incompatible", 0)
        if self.data_file:
            incompat |= INCOMPAT_DATA_FILE
        if self.compression == "zstd":
            incompat |= INCOMPAT_COMPRESSION
        if self.extl2:
            incompat |= INCOMPAT_EXTL2
        fixed = 72 if self.version == 2 else 112
        ext = self.extensions()
        name = (self.backing or "").encode()
        name_at = fixed + len(ext) if name else 0
        raw = b"QFI\xfb" + struct.pack(
            ">IQIIQIIQQIIQ", self.version, name_at, len(name), self.bits,
            self.size, 0, self.l1_size, self.l1_offset, self.reftable,
            self.reftable_clusters, 0, 0)
        if self.version == 3:
            raw += struct.pack(
                ">QQQIIB7x", incompat, 0,
                AUTOCLEAR_DATA_RAW if self.data_raw else 0, self.order,
                fixed, 1 if self.compression == "zstd" else 0)
        assert len(raw) == fixed and fixed + len(ext) + len(name) <= self.cluster
        self.put(0, raw + ext + name)

    def finish(self, whole=True):
        """whole: up to the end of the last cluster."""
        self.write_l1()
        self.write_refcounts()
        self.write_header()
        if whole:
            os.ftruncate(self.fd, self.end << self.bits)
        self.close()

    def close(self):
        os.close(self.fd)
        if self.data_fd is not None:
            os.close(self.data_fd)

    # Afterwards

    def poke(self, offset, value, size=8):
        poke(self.path, offset, value, size)

    def l2_entry_at(self, index):
        return (self.l2_at[index // self.l2_entries] +
                index % self.l2_entries * self.entry_size)

    def poke_l2(self, index, entry, bitmap=None):
        self.poke(self.l2_entry_at(index), entry)
        if bitmap is not None:
            self.poke(self.l2_entry_at(index) + 8, bitmap)

    def poke_l1(self, index, entry):
        self.poke(self.l1_offset + 8 * index, entry)


def poke(path, offset, value, size=8):
    with open(path, "r+b") as f:
        f.seek(offset)
        f.write((value & (1 << 8 * size) - 1).to_bytes(size, "big"))


def peek(path, offset, size=8):
    with open(path, "rb") as f:
        f.seek(offset)
        return int.from_bytes(f.read(size), "big")
