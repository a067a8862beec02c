#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""vhdx.py COMMAND ARGS: makes VHDX images that no program on Debian makes.

make IMAGE RAW [KEY=VALUE...]: an image of the disk in RAW, with blocks in all states.
child PARENT IMAGE RAW [KEY=VALUE...]: a differencing disk over PARENT, a VHDX whose disk is the
file RAW; RAW becomes the child's disk.
field IMAGE HOST_OFFSET BYTES...: changes hexadecimal bytes and mends all checksums.

Keys: seed, block and sector (bytes), empty (states of blocks of zeros), states (of those of a
child), align (sectors of runs in bitmaps); names of the parent: relative_path, volume_path,
absolute_win32_path, parent_linkage; for a log that is not replayed: log (entries), most (changes
in an entry), first (sector of the ring where they begin), flushed (entries that are in the file
already), tail=wrong, torn=1 (another entry that is not whole, and a whole one behind it), short=1
(the log makes the file longer).
"""

import random
import struct
import sys
import uuid

MIB = 1 << 20
SECTOR = 4096
LOG, METADATA, BAT, BLOCKS = MIB, 2 * MIB, 3 * MIB, 4 * MIB
LOG_SECTORS = MIB // SECTOR
HEADERS = (65536, 131072)
REGIONS = (196608, 262144)

CRC = []
for _i in range(256):
    for _ in range(8):
        _i = _i >> 1 ^ (0x82f63b78 if _i & 1 else 0)
    CRC.append(_i)


def crc32c(data):
    """The checksum of bytes."""
    crc = 0xffffffff
    for byte in data:
        crc = crc >> 8 ^ CRC[(crc ^ byte) & 255]
    return crc ^ 0xffffffff


def with_crc(data):
    """The bytes with their checksum at byte 4."""
    data = bytes(data[:4]) + bytes(4) + bytes(data[8:])
    return data[:4] + struct.pack("<I", crc32c(data)) + data[8:]


def guid(text):
    """A GUID as Windows has it."""
    return uuid.UUID(text).bytes_le


ITEMS = {
    "parameters": "caa16737-fa36-4d43-b3b6-33f0aa44e76b",
    "size": "2fa54224-cd1b-4876-b211-5dbed83bf4b8",
    "disk": "beca12ab-b2e6-4523-93ef-c309e000c746",
    "logical": "8141bf1d-a96f-4709-ba47-f233a8faab5f",
    "physical": "cda348c7-445d-4471-9cc9-e9885251c556",
    "parent": "a8d35f2d-b30b-454d-abf7-d3d84834ab0c",
}


def header(rnd, sequence, data_guid, log_guid):
    """A header."""
    return with_crc((b"head" + struct.pack("<IQ", 0, sequence) + rnd.randbytes(16) + data_guid +
                     log_guid + struct.pack("<HHIQ", 0, 1, MIB, LOG)).ljust(SECTOR, b"\0"))


def regions():
    """The table of regions."""
    out = b"regi" + struct.pack("<III", 0, 2, 0)
    for name, place in (("2dc27766-f623-4200-9d64-115e9bfd4a08", BAT),
                        ("8b7ca206-4790-4b9a-b8fe-575f050f886e", METADATA)):
        out += guid(name) + struct.pack("<QII", place, MIB, 1)
    return with_crc(out.ljust(65536, b"\0"))


def locator(names):
    """The item with the names of the parent."""
    pairs, texts, first = b"", b"", 20 + 12 * len(names)
    for key, value in names.items():
        key, value = key.encode("utf-16le"), value.encode("utf-16le")
        place = first + len(texts)
        pairs += struct.pack("<IIHH", place, place + len(key), len(key), len(value))
        texts += key + value
    return guid("b04aefb7-d19e-4a81-b789-25b8e9445913") + struct.pack("<HH", 0, len(names)) + \
        pairs + texts


def metadata(size, block, sector, disk_id, names):
    """The region of metadata."""
    items = {"parameters": struct.pack("<II", block, 2 if names else 0),
             "size": struct.pack("<Q", size), "disk": disk_id,
             "logical": struct.pack("<I", sector), "physical": struct.pack("<I", 4096)}
    if names:
        items["parent"] = locator(names)
    table = b"metadata" + struct.pack("<HH", 0, len(items)) + bytes(20)
    texts = b""
    for name, value in items.items():
        table += guid(ITEMS[name]) + struct.pack("<IIII", 65536 + len(texts), len(value), 4, 0)
        texts += value
    return (table.ljust(65536, b"\0") + texts).ljust(MIB, b"\0")


class Image:
    """An image in memory."""

    def __init__(self, raw, options):
        self.raw = raw
        self.options = options
        self.rnd = random.Random(int(options.get("seed", 1)))
        self.block = int(options.get("block", MIB))
        self.sector = int(options.get("sector", 512))
        self.ratio = (1 << 23) * self.sector // self.block
        self.count = -(-len(raw) // self.block)
        self.data_guid = self.rnd.randbytes(16)
        self.log_guid = bytes(16)
        self.names = {k: v for k, v in options.items() if k.endswith(("_path", "_linkage"))}
        self.table = {}
        self.blocks = []
        self.end = BLOCKS

    def add(self, data):
        """Put a block behind the others; returns its place."""
        place = self.end
        self.blocks.append(data)
        self.end += len(data)
        return place

    def set(self, index, state, place=0):
        """An entry of the table."""
        self.table[index] = struct.pack("<Q", place | state)

    def index(self, n):
        """The entry of a block."""
        return n + n // self.ratio

    def part(self, n):
        """The bytes of a block of the disk."""
        return bytes(self.raw[n * self.block:(n + 1) * self.block])

    def replace(self, n, data):
        """Give a block of the disk other bytes."""
        start = n * self.block
        self.raw[start:start + self.block] = data[:len(self.raw) - start]

    def fill(self):
        """Blocks of a disk without a parent, out of order."""
        for n in self.rnd.sample(range(self.count), self.count):
            part = self.part(n)
            if any(part):
                self.set(self.index(n), 6, self.add(part.ljust(self.block, b"\0")))
            else:
                self.set(self.index(n), int(self.rnd.choice(self.options.get("empty", "01235"))))

    def bits(self):
        """Whether each sector of a block is in the child."""
        align, bits = int(self.options.get("align", 1)), []
        while len(bits) < self.block // self.sector:
            run = self.rnd.choice((1, 1, 2, 7, 8, 9, 64, 500, 4096))
            bits += [self.rnd.random() < 0.5] * (-(-run // align) * align)
        return bits[:self.block // self.sector]

    def fill_child(self):
        """Blocks over those of the parent."""
        bitmaps = {}
        for n in self.rnd.sample(range(self.count), self.count):
            state = int(self.rnd.choice(self.options.get("states", "0236777")))
            data = self.rnd.randbytes(4096) * (self.block // 4096)
            place = self.add(data) if state >= 6 else 0
            self.set(self.index(n), state, place)
            if state == 7:
                part = bytearray(self.part(n).ljust(self.block, b"\0"))
                bitmap = bitmaps.setdefault(n // self.ratio, bytearray(MIB))
                first = n % self.ratio * (self.block // self.sector)
                for i, bit in enumerate(self.bits()):
                    if bit:
                        bitmap[(first + i) // 8] |= 1 << i % 8
                        part[i * self.sector:(i + 1) * self.sector] = \
                            data[i * self.sector:(i + 1) * self.sector]
                data = bytes(part)
            if state:
                self.replace(n, data if state >= 6 else bytes(self.block))
        for chunk, bitmap in bitmaps.items():
            self.set(chunk * (self.ratio + 1) + self.ratio, 6, self.add(bytes(bitmap)))

    def file(self):
        """The whole file."""
        out = bytearray(self.end)
        out[:8] = b"vhdxfile"
        out[8:28] = "qcow tests".encode("utf-16le")
        for place, sequence in zip(HEADERS, self.rnd.sample((7, 8), 2)):
            head = header(self.rnd, sequence, self.data_guid, self.log_guid)
            out[place:place + len(head)] = head
        for place in REGIONS:
            out[place:place + 65536] = regions()
        out[METADATA:METADATA + MIB] = metadata(len(self.raw), self.block, self.sector,
                                                self.rnd.randbytes(16), self.names)
        for index, entry in self.table.items():
            out[BAT + 8 * index:BAT + 8 * index + 8] = entry
        out[BLOCKS:] = b"".join(self.blocks)
        return out

    def places(self):
        """Host offset and number of the blocks that are in the file."""
        for n in range(self.count):
            entry = struct.unpack("<Q", self.table[self.index(n)])[0]
            if entry & 7 == 6:
                yield entry & ~(MIB - 1), n


class Log:
    """A log that is not replayed."""

    def __init__(self, image, out):
        self.image = image
        self.out = out
        self.rnd = image.rnd
        self.sector = int(image.options.get("first", 0))
        self.last_start = 0

    def draw(self):
        """Host offset, bytes and kind of a change."""
        kind, places = self.rnd.randrange(8), list(self.image.places())
        if kind < 2 or not places:
            return BAT, SECTOR, "keep"
        if kind < 3:
            return METADATA + self.rnd.choice((0, 65536)), SECTOR, "keep"
        place, _ = self.rnd.choice(places)
        at = place + self.rnd.randrange(self.image.block // SECTOR) * SECTOR
        at = self.rnd.choice((place, place + SECTOR, at))
        if kind < 6:
            return at, SECTOR, "data"
        count = min(self.rnd.choice((1, 2, 5, 40)), (place + self.image.block - at) // SECTOR)
        return at, count * SECTOR, "zero"

    def entry(self, sequence, changes, tail, size):
        """The bytes of an entry; its changes are made in @out."""
        descriptors, sectors = b"", b""
        for at, length, kind in changes:
            data = {"zero": bytes(length), "keep": bytes(self.out[at:at + length]),
                    "data": self.rnd.randbytes(length)}[kind]
            self.out[at:at + length] = data
            if kind == "zero":
                descriptors += b"zero" + struct.pack("<IQQQ", 0, length, at, sequence)
                continue
            descriptors += b"desc" + data[-4:] + data[:8] + struct.pack("<QQ", at, sequence)
            sectors += b"data" + struct.pack("<I", sequence >> 32) + data[8:-4] + \
                struct.pack("<I", sequence & 0xffffffff)
        length = -(-(64 + len(descriptors)) // SECTOR) * SECTOR + len(sectors)
        head = b"loge" + struct.pack("<IIIQII", 0, length, tail, sequence, len(changes), 0) + \
            self.image.log_guid + struct.pack("<QQ", size, len(self.out))
        head = (head + descriptors).ljust(length - len(sectors), b"\0")
        return with_crc(head + sectors)

    def put(self, file, entry):
        """Write an entry to the ring."""
        self.last_start = self.sector
        for i in range(0, len(entry), SECTOR):
            at = LOG + self.sector % LOG_SECTORS * SECTOR
            file[at:at + SECTOR] = entry[i:i + SECTOR]
            self.sector += 1

    def write(self):
        """The file with a log; @out becomes what a replay makes of it."""
        options, entries = self.image.options, []
        flushed = int(options.get("flushed", 0))
        count = int(options["log"])
        most = int(options.get("most", 30))
        plan = [[self.draw() for _ in range(self.rnd.choice((0, 1, 3, most)) if i else most)]
                for i in range(count)]
        plan[-1].append((BAT, SECTOR, "keep"))
        file, end = bytearray(self.out), len(self.out)
        if options.get("short"):
            end = self.shorten()
        tail = self.sector
        for i, changes in enumerate(plan):
            entry = self.entry((1 << 32) - 2 + i, changes, self.tail(tail), end)
            if i < flushed:
                file[BLOCKS:] = self.out[BLOCKS:]
            entries.append(entry)
            if i + 1 == flushed:
                tail = self.sector + sum(len(e) for e in entries) // SECTOR
        # What the log has is not in the file yet.
        file[BAT:BAT + SECTOR] = self.rnd.randbytes(SECTOR)
        file[LOG:LOG + MIB] = (b"data" + bytes(SECTOR - 4)) * LOG_SECTORS
        for entry in entries:
            self.put(file, entry)
        if options.get("torn"):
            self.tear(file, (1 << 32) - 2 + count, tail)
        return file[:end]

    def tear(self, file, sequence, tail):
        """An entry that is not whole, and one behind it: both do not count."""
        self.out = self.out[:]
        for n in range(2):
            entry = self.entry(sequence + n, [(BLOCKS, SECTOR, "zero")], self.tail(tail), len(file))
            self.put(file, entry if n else entry[:-1] + b"x")

    def shorten(self):
        """The last block is cut off, and empty but for what the log has."""
        end = len(self.out) - self.image.block
        self.out[end:] = bytes(self.image.block)
        return end

    def tail(self, sector):
        """The tail of an entry, or what QEMU writes."""
        return 12345 * SECTOR if self.image.options.get("tail") else sector % LOG_SECTORS * SECTOR


def write(image, path):
    """Write an image, with a log if it is to have one."""
    if "log" not in image.options:
        content = image.file()
    else:
        image.log_guid = image.rnd.randbytes(16)
        out = image.file()
        content = Log(image, out).write()
        for place, n in image.places():
            image.replace(n, out[place:place + image.block])
    put(path, content)


def put(path, content):
    """Write a sparse file."""
    with open(path, "wb") as f:
        for place in range(0, len(content), 65536):
            part = content[place:place + 65536]
            if part != bytes(len(part)):
                f.seek(place)
                f.write(part)
        f.truncate(len(content))


def read(path):
    """The bytes of a file."""
    with open(path, "rb") as f:
        return bytearray(f.read())


def make(path, raw_name, **options):
    """Write an image; a log changes the disk."""
    raw = read(raw_name)
    image = Image(raw, options)
    image.fill()
    write(image, path)
    put(raw_name, raw)


def child(parent, path, raw_name, **options):
    """Write a differencing disk and its content."""
    data = read(parent)
    first, second = (data[p:p + SECTOR] for p in HEADERS)
    newer = max(first, second, key=lambda h: h[8:16][::-1])
    linkage = "{" + str(uuid.UUID(bytes_le=bytes(newer[32:48]))) + "}"
    raw = read(raw_name)
    image = Image(raw, {"parent_linkage": linkage, **options})
    image.fill_child()
    write(image, path)
    put(raw_name, raw)


def structures(data):
    """Place and length of the structures that have a checksum."""
    for place in HEADERS:
        yield place, SECTOR, b"head"
    for place in REGIONS:
        yield place, 65536, b"regi"
    end = min(LOG + MIB, len(data))
    for place in range(LOG, end, SECTOR):
        if data[place:place + 4] == b"loge":
            length = int.from_bytes(data[place + 8:place + 12], "little")
            yield place, min(length, end - place), b"loge"


def mend(data, old):
    """Mend the checksums of structures that are not as they were."""
    for place, length, magic in structures(data):
        part = data[place:place + length]
        if part[:4] == magic and length >= 64 and part != old[place:place + length]:
            data[place:place + length] = with_crc(part)


def field(path, host_offset, *values):
    """Change bytes."""
    old = read(path)
    data, place, new = old[:], int(host_offset, 0), bytes.fromhex("".join(values))
    data[place:place + len(new)] = new
    mend(data, old)
    with open(path, "r+b") as f:
        for place in range(0, len(data), SECTOR):
            if data[place:place + SECTOR] != old[place:place + SECTOR]:
                f.seek(place)
                f.write(data[place:place + SECTOR])


if __name__ == "__main__":
    words = [a for a in sys.argv[2:] if "=" not in a]
    keys = dict(a.split("=", 1) for a in sys.argv[2:] if "=" in a)
    {"make": make, "child": child, "field": field}[sys.argv[1]](*words, **keys)
