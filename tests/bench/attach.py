#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""attach.py QCOWCTL MOCK PEAK FOLDER [ROW...]: what qcowctl takes to parse images of other formats
whose every block lies apart from its neighbours, on disks of 100 GiB and 2 TiB: processor time
with that of the parser's process, the larger one's peak of memory, and the table that the driver
gets. The images are sparse files without data, in FOLDER, which are removed. MOCK is the mock
driver of tests/tool, PEAK the program of peak.c. A line for each: row, entries, microseconds, KiB,
KiB of table, KiB of keys that the driver pins. Ends with 1 if one takes more than is allowed
below."""

import array
import base64
import os
import struct
import shutil
import subprocess
import sys
import uuid

GIB = 1 << 30
SIZES = {"100g": 100 * GIB, "2t": 2048 * GIB}

# Upper bounds: of the memory beside the table, and of an entry's time. Only the runs of a dmg are
# all in memory, to be sorted.
MEMORY_KIB, ENTRY_BYTES, ENTRY_USEC = 16 << 10, {"dmg": 64}, 20
# A process that does nothing has less memory than this, and Python has more.
LEAST_KIB, TRIAL_KIB = 4 << 10, 64 << 10


def backwards(out, typecode, count, value, big=False):
    """Write value(i) for i from count - 1 down to 0."""
    step = 1 << 20
    for end in range(count, 0, -step):
        values = array.array(typecode, [value(i) for i in range(end - 1, max(end - step, 0) - 1,
                                                                 -1)])
        if big:
            values.byteswap()
        values.tofile(out)


def vmdk(out, size):
    """64 KiB grains; at the limit of sector numbers, several have a place."""
    grains, sectors = size >> 16, size >> 9
    tables = -(-grains // 512)
    gd = 128
    gts = gd + -(-tables * 4 // 512)
    first = -(-(gts + tables * 4) // 128) * 128
    text = ("# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n"
            f'createType="monolithicSparse"\nRW {sectors} SPARSE "disk"\n').encode()
    out.write(struct.pack("<4sIIQQQQIQQQB4sH", b"KDMV", 1, 1, sectors, 128, 1, 20, 512, 0, gd,
                          first, 0, b"\n \r\n", 0))
    out.seek(512)
    out.write(text)
    out.seek(gd * 512)
    array.array("I", range(gts, gts + tables * 4, 4)).tofile(out)
    out.seek(gts * 512)
    most = ((1 << 32) - first) // 128 - 1
    backwards(out, "I", grains, lambda i: first + i % most * 128)
    out.truncate((first + grains * 128) * 512)
    return grains


def vpc(out, size):
    """2 MiB blocks with a bitmap each; 2040 GiB at most."""
    size = min(size, 2040 * GIB)
    blocks = size >> 21
    first = (1536 + blocks * 4 + 511) // 512

    def checked(data, place):
        total = ~sum(data) & 0xffffffff
        return data[:place] + struct.pack(">I", total) + data[place + 4:]

    footer = struct.pack(">8sIIQI4sI4sQQHBBII16sB", b"conectix", 2, 0x10000, 512, 0, b"win ", 0,
                         b"Wi2k", size, size, 65535, 16, 255, 3, 0, bytes(16), 0).ljust(512, b"\0")
    footer = checked(footer, 64)
    header = struct.pack(">8sQQIII", b"cxsparse", (1 << 64) - 1, 1536, 0x10000, blocks, 1 << 21)
    out.write(footer + checked(header.ljust(1024, b"\0"), 36))
    backwards(out, "I", blocks, lambda i: first + i * 4097, big=True)
    out.seek((first + blocks * 4097) * 512)
    out.write(footer)
    return blocks


def crc32c(data):
    """CRC-32C"""
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def vhdx(out, size):
    """1 MiB blocks"""
    mib, blocks = 1 << 20, size >> 20
    ratio = (1 << 32) // mib
    entries = blocks + (blocks - 1) // ratio
    bat_mib = -(-entries * 8 // mib)

    def summed(data):
        return data[:4] + struct.pack("<I", crc32c(data)) + data[8:]

    def guid(text):
        return uuid.UUID(text).bytes_le

    out.write("vhdxfile".encode())
    for n in 1, 2:
        out.seek(n << 16)
        out.write(summed(struct.pack("<4sIQ16s16s16sHHIQ", b"head", 0, n, bytes(16), b"1" * 16,
                                     bytes(16), 0, 1, mib, mib).ljust(4096, b"\0")))
    regions = struct.pack("<4sIII", b"regi", 0, 2, 0)
    regions += guid("2DC27766-F623-4200-9D64-115E9BFD4A08") + struct.pack("<QII", 3 * mib,
                                                                        bat_mib * mib, 1)
    regions += guid("8B7CA206-4790-4B9A-B8FE-575F050F886E") + struct.pack("<QII", 2 * mib, mib, 1)
    regions = summed(regions.ljust(1 << 16, b"\0"))
    for n in 3, 4:
        out.seek(n << 16)
        out.write(regions)
    items = [("CAA16737-FA36-4D43-B3B6-33F0AA44E76B", struct.pack("<II", mib, 0), 4),
             ("2FA54224-CD1B-4876-B211-5DBED83BF4B8", struct.pack("<Q", size), 6),
             ("BECA12AB-B2E6-4523-93EF-C309E000C746", b"2" * 16, 6),
             ("8141BF1D-A96F-4709-BA47-F233A8FAAB5F", struct.pack("<I", 512), 6),
             ("CDA348C7-445D-4471-9CC9-E9885251C556", struct.pack("<I", 4096), 6)]
    table = struct.pack("<8sHH20x", b"metadata", 0, len(items))
    for n, (name, data, flags) in enumerate(items):
        table += guid(name) + struct.pack("<IIII", (1 << 16) + n * 64, len(data), flags, 0)
    out.seek(2 * mib)
    out.write(table.ljust(1 << 16, b"\0"))
    out.write(b"".join(data.ljust(64, b"\0") for _, data, _ in items))
    out.seek(3 * mib)
    # The entries of bitmaps between those of blocks are 0.
    array.array("Q", (0 if i % (ratio + 1) == ratio else (4 + bat_mib + entries - i) << 20 | 6
                      for i in range(entries))).tofile(out)
    out.truncate((6 + bat_mib + entries) << 20)
    return blocks


def vdi(out, size):
    """1 MiB blocks"""
    blocks = size >> 20
    data = (512 + blocks * 4 + 511) // 512 * 512
    out.write(b"<<< disk >>>\n".ljust(64, b"\0"))
    out.write(struct.pack("<IIIII256xIIIIIIIQIIII", 0xbeda107f, 0x10001, 400, 1, 0, 512, data, 0,
                          0, 0, 512, 0, size, 1 << 20, 0, blocks, blocks))
    out.write(b"3" * 32)
    out.seek(512)
    backwards(out, "I", blocks, lambda i: i)
    out.truncate(data + (blocks << 20))
    return blocks


def dmg(out, size):
    """Compressed chunks of 1 MiB, which lie backwards"""
    runs, stored = size >> 20, 1024
    table = bytearray(struct.pack(">4sIQQQII24x", b"mish", 1, 0, size >> 9, 0, 2056, 0))
    table += bytes(200 - len(table)) + struct.pack(">I", runs + 1)
    table += b"".join(struct.pack(">IIQQQQ", 0x80000005, 0, i << 11, 2048, (runs - 1 - i) * stored,
                                  stored) for i in range(runs))
    table += struct.pack(">IIQQQQ", 0xffffffff, 0, runs << 11, 0, 0, 0)
    start = runs * stored
    out.seek(start)
    out.write(b'<?xml version="1.0"?><plist version="1.0"><dict><key>resource-fork</key><dict>'
              b"<key>blkx</key><array><dict><key>Data</key><data>")
    out.write(base64.b64encode(table))
    out.write(b"</data></dict></array></dict></dict></plist>")
    end = out.tell()
    trailer = bytearray(512)
    trailer[:80] = struct.pack(">4sIIIQQQQQII16s", b"koly", 4, 512, 1, 0, 0, start, 0, 0, 1, 1,
                               b"4" * 16)
    trailer[216:232] = struct.pack(">QQ", start, end - start)
    trailer[488:500] = struct.pack(">IQ", 1, size >> 9)
    out.write(trailer)
    out.truncate(end + 512)
    return runs


def make(kind, image, size):
    """Write an image in a process of its own, which gives its memory back. Return its entries."""
    done, done_in = os.pipe()
    child = os.fork()
    if not child:
        with open(image, "w+b") as out:
            os.write(done_in, b"%d" % kind(out, size))
        os._exit(0)
    os.close(done_in)
    with os.fdopen(done) as text:
        entries = int(text.read() or "0")
    os.waitpid(child, 0)
    if not entries:
        sys.exit(f"{image} was not written")
    return entries


def run(peak, words, out, **env):
    """Microseconds and KiB of a command, or None."""
    command = subprocess.run([peak, out] + words, stdout=subprocess.DEVNULL, check=False,
                             env=dict(os.environ, **env))
    if command.returncode:
        return None
    with open(out, encoding="ascii") as text:
        return [int(word) for word in text.read().split()]


def measure(tools, image, kind):
    """Microseconds and KiB of an attach."""
    qcowctl, mock, peak = tools
    root = image + ".root"
    os.makedirs(root + "/dev", exist_ok=True)
    for name in "qcow-control", "qcow0":
        with open(f"{root}/dev/{name}", "w", encoding="ascii") as node:
            node.write("240:0\n")
    used = run(peak, ["env", f"LD_PRELOAD={mock}", qcowctl, "attach", "-r", "-f", kind, image],
               root + "/peak", MOCK_ROOT=root)
    shutil.rmtree(root)
    return used or sys.exit(f"{kind}: the attach failed")


def try_peak(peak, folder):
    """The peak must be that of the command, and not the one of Python."""
    out = os.path.join(folder, "peak.out")
    least = run(peak, ["true"], out)
    most = run(peak, ["dd", "if=/dev/zero", "of=/dev/null", f"bs={TRIAL_KIB}k", "count=1",
                      "status=none"], out)
    if least[1] > LEAST_KIB or not TRIAL_KIB <= most[1] <= TRIAL_KIB + LEAST_KIB:
        sys.exit(f"peak: {least[1]} KiB for nothing, {most[1]} for {TRIAL_KIB} KiB of memory")


def main(qcowctl, mock, peak, folder, *rows):
    """Print the rows."""
    bad = False
    try_peak(peak, folder)
    for name, size in SIZES.items():
        for kind in vmdk, vpc, vhdx, vdi, dmg:
            row = f"attach-{kind.__name__}-{name}"
            if rows and row not in rows:
                continue
            image = os.path.join(folder, f"{row}.img")
            entries = make(kind, image, size)
            usec, kib = measure((qcowctl, mock, peak), image, kind.__name__)
            os.unlink(image)
            print(row, entries, usec, kib, entries * 32 >> 10, entries * 32 // 4096 * 8 >> 10,
                  flush=True)
            bound = MEMORY_KIB + entries * ENTRY_BYTES.get(kind.__name__, 0) / 1024
            if kib > bound or usec > 1e6 + entries * ENTRY_USEC:
                bad = True
    return bad


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
