# SPDX-License-Identifier: GPL-2.0
"""Images with damage that shows when it is read: that read fails, others go
on. QEMU's reads are the reference."""

import os
import random

from common import case, reference_of_damaged
from qcow2 import COMPRESSED, COPIED, ZERO, Image, content, deflate, zstd

PIECES = 24


def base(name, rng, **kw):
    """Three of four clusters hold data."""
    bits = kw.get("cluster_bits", 16)
    img = Image(name, rng, PIECES << bits, **kw)
    for i in range(PIECES):
        if i % 4:
            img.data(i, content(rng, img.cluster))
    return img


def entry(img, index):
    return img.entries[index][0]


def unaligned_data(img):
    img.finish()
    img.poke_l2(3, entry(img, 3) + 512)
    img.poke_l2(9, entry(img, 9) + img.cluster // 2)


def unaligned_zero(img):
    img.finish()
    img.poke_l2(3, entry(img, 3) + 512 | ZERO,
                0xffffffff << 32 if img.extl2 else None)


def unaligned_l2(img):
    img.finish()
    img.poke_l1(0, img.l2_at[0] + 512 | COPIED)


def zero_bit(img):
    img.finish()
    img.poke_l2(5, entry(img, 5) | ZERO)
    img.poke_l2(8, ZERO)


def l1_past_end(img):
    img.finish()
    img.poke_l1(0, 1 << 40 | COPIED)


def l1_at_l1(img):
    img.finish()
    img.poke_l1(0, img.l1_offset | COPIED)


def l2_at_header(img):
    img.finish()
    img.poke_l2(2, img.reftable | COPIED)
    img.poke_l2(3, img.l2_at[0] | COPIED)


def data_far_away(img):
    img.finish()
    img.poke_l2(2, 1 << 55 | COPIED)
    img.poke_l2(6, 0xfffffffffffe00 & ~(img.cluster - 1) | COPIED)


def no_refcounts(img):
    img.finish()
    for i in range(0, img.cluster, 8):
        img.poke(img.reftable + i, 0)


def empty_refcounts(img):
    img.finish()
    for at in img.blocks.values():
        for i in range(0, img.cluster, 8):
            img.poke(at + i, 0)


def feature(bit):
    def set_feature(img):
        img.header["incompatible"] = bit
        img.finish()
    return set_feature


def compressed(*payloads):
    """payloads: functions of a random number generator and a cluster's bytes,
    for one cluster after the other; they return the stored bytes."""
    def build(img):
        for i, payload in enumerate(payloads):
            data = content(img.rng, img.cluster)
            raw = payload(img.rng, data)
            img.compressed(4 * i, data, raw)
        # good ones beside them
        for i in range(len(payloads), PIECES // 4):
            img.compressed(4 * i, content(img.rng, img.cluster))
        img.finish()
    return build


def garbage(rng, data):
    return rng.randbytes(len(data) // 2)


def flipped(pack):
    def flip(rng, data):
        raw = bytearray(pack(data))
        for _ in range(8):
            raw[rng.randrange(len(raw) // 4, len(raw))] ^= 1 << rng.randrange(8)
        return bytes(raw)
    return flip


def half(pack):
    return lambda rng, data: pack(data[:len(data) // 2])


def longer(pack):
    return lambda rng, data: pack(data + data)


def unfinished(rng, data):
    return deflate(data, finish=False)


def zstd_frames(rng, data):
    skip = b"\x50\x2a\x4d\x18\x05\x00\x00\x00hello"
    return skip + zstd(data[:100]) + zstd(b"") + skip + zstd(data[100:])


def zstd_cut(rng, data):
    return zstd(rng.randbytes(len(data)), write_checksum=True)[:-600]


def zstd_bad_sum(rng, data):
    raw = bytearray(zstd(data, write_checksum=True))
    raw[-1] ^= 1
    return bytes(raw)


def wrong_size(change):
    def build(img):
        shift = 70 - img.bits
        for i in (0, 8):
            img.compressed(i, img.rng.randbytes(img.cluster // 2) +
                           bytes(img.cluster // 2))
        img.compressed(16, content(img.rng, img.cluster))
        img.finish()
        sectors = entry(img, 8) >> shift & (1 << 62 - shift) - 1
        rest = entry(img, 8) & ~((1 << 62 - shift) - 1 << shift)
        img.poke_l2(8, rest | change(sectors, shift) << shift)
    return build


def compressed_past_end(img):
    img.compressed(0, content(img.rng, img.cluster))
    img.finish()
    img.poke_l2(8, COMPRESSED | 1 << 34)
    img.poke_l2(12, COMPRESSED | (1 << 70 - img.bits) - 1)


def subcluster_conflict(img):
    img.finish()
    img.poke_l2(5, entry(img, 5), 1 << 32 | 0xffffffff)
    img.poke_l2(9, entry(img, 9), 1 << 63 | 1 << 31 | 7)


def subcluster_nowhere(img):
    img.finish()
    img.poke_l2(4, 0, 1)
    img.poke_l2(8, 0, 0x8000000000000001 & ~(1 << 63) | 1 << 40)


def data_elsewhere(img):
    img.finish()
    img.poke_l2(5, entry(img, 6))
    img.poke_l2(9, entry(img, 9) + img.cluster)


def data_file_compressed(img):
    img.finish()
    img.poke_l2(5, COMPRESSED | 1 << 20)


def data_file_zero(img):
    """Offset 0 is an offset, but only with COPIED."""
    img.data(0, content(img.rng, img.cluster))
    img.finish()
    img.poke_l2(5, entry(img, 5) & ~COPIED)
    img.poke_l2(4, COPIED)


DAMAGE = [
    ("unaligned-data", unaligned_data, {}),
    ("unaligned-zero", unaligned_zero, {}),
    ("unaligned-zero-extl2", unaligned_zero, {"extl2": True}),
    ("unaligned-l2", unaligned_l2, {}),
    ("unaligned-data-4k", unaligned_data, {"cluster_bits": 12}),
    ("unaligned-l2-4k", unaligned_l2, {"cluster_bits": 12}),
    ("unaligned-data-2m", unaligned_data, {"cluster_bits": 21}),
    ("zero-bit-v2", zero_bit, {"version": 2}),
    ("zero-bit-v2-512", zero_bit, {"version": 2, "cluster_bits": 9}),
    ("l1-past-end", l1_past_end, {}),
    ("l1-at-l1", l1_at_l1, {}),
    ("l1-at-l1-512", l1_at_l1, {"cluster_bits": 9}),
    ("data-at-metadata", l2_at_header, {}),
    ("data-far-away", data_far_away, {}),
    ("no-refcounts", no_refcounts, {"cluster_bits": 12}),
    ("empty-refcounts", empty_refcounts, {"cluster_bits": 12}),
    ("dirty", feature(1), {}),
    ("corrupt", feature(2), {}),
    ("corrupt-dirty", feature(3), {}),
    ("zlib-garbage", compressed(garbage, garbage), {}),
    ("zlib-garbage-512", compressed(garbage, garbage), {"cluster_bits": 9}),
    ("zlib-flipped", compressed(flipped(deflate), flipped(deflate)), {}),
    ("zlib-half", compressed(half(deflate)), {}),
    ("zlib-longer", compressed(longer(deflate), unfinished), {}),
    ("zlib-2m", compressed(garbage, unfinished, half(deflate)),
     {"cluster_bits": 21}),
    ("zstd-garbage", compressed(garbage, garbage), {"compression": "zstd"}),
    ("zstd-flipped", compressed(flipped(zstd), flipped(zstd)),
     {"compression": "zstd"}),
    ("zstd-half", compressed(half(zstd)), {"compression": "zstd"}),
    ("zstd-longer", compressed(longer(zstd)), {"compression": "zstd"}),
    ("zstd-frames", compressed(zstd_frames, zstd_frames), {"compression": "zstd"}),
    ("zstd-cut", compressed(zstd_cut), {"compression": "zstd"}),
    ("zstd-bad-sum", compressed(zstd_bad_sum), {"compression": "zstd"}),
    ("zlib-in-zstd", compressed(lambda rng, data: deflate(data)),
     {"compression": "zstd"}),
    ("zstd-in-zlib", compressed(lambda rng, data: zstd(data)), {}),
    ("size-too-small", wrong_size(lambda n, shift: n // 2), {}),
    ("size-one", wrong_size(lambda n, shift: 0), {}),
    ("size-too-large", wrong_size(lambda n, shift: (1 << 62 - shift) - 1), {}),
    ("size-too-large-extl2", wrong_size(lambda n, shift: (1 << 62 - shift) - 1),
     {"extl2": True}),
    ("compressed-past-end", compressed_past_end, {}),
    ("compressed-past-end-512", compressed_past_end, {"cluster_bits": 9}),
    ("subcluster-conflict", subcluster_conflict, {"extl2": True}),
    ("subcluster-conflict-16k", subcluster_conflict,
     {"extl2": True, "cluster_bits": 14}),
    ("subcluster-nowhere", subcluster_nowhere, {"extl2": True}),
    ("data-elsewhere", data_elsewhere, {"data_file": "top.data"}),
    ("data-file-compressed", data_file_compressed, {"data_file": "top.data"}),
    ("data-file-zero", data_file_zero, {"data_file": "top.data"}),
]


def make(job):
    top, number = job
    what, damage, options = DAMAGE[number]
    name = "damage-" + what
    os.makedirs(os.path.join(top, name))
    os.chdir(os.path.join(top, name))
    # The log tells the file's name.
    image = what + ".qcow2"
    damage(base(image, random.Random(name), **options))
    bad = reference_of_damaged(image, "ref")
    checks = "bad=" + ",".join("%d+%d" % b for b in bad) if bad else "-"
    return case(name, "%s/%s" % (name, image), name + "/ref", "-", checks)
