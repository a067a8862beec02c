#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""images.py FOLDER SEED COUNT: makes images to be written, in FOLDER/images,
and beside it

manifest    a line for each: name, image, model, arguments of qcowctl attach,
            cluster size, seed; separated by tabs. The model is the content as
            QEMU reads it.
facts       facts that must still be true when all has been written, as JSON
"""

import hashlib
import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../vm/images"))

# pylint: disable=wrong-import-position
import cross
import encrypted
from common import qemu_img, run

CLUSTER_BITS = [9, 10, 11, 12, 12, 12, 13, 14, 15, 16, 16, 16, 17, 18, 20, 21]


class Layer(cross.Layer):
    """As the images that are read, but as images in the field are, most of
    them; and clean, for others are not attached writable."""

    def draw_options(self):
        rng, o = self.rng, self.options
        o["compat"] = "0.10" if rng.random() < 0.2 else "1.1"
        extl2 = o["compat"] == "1.1" and rng.random() < 0.2
        self.bits = rng.choice([b for b in CLUSTER_BITS if b >= 14 or not extl2])
        o["cluster_size"] = 1 << self.bits
        if o["compat"] == "1.1":
            self.draw_v3_options(extl2)
            # 1 bit leaves no room for a snapshot
            if rng.random() < 0.5:
                o["refcount_bits"] = 16
        if not self.below and rng.random() < 0.25:
            o["preallocation"] = rng.choice(["metadata", "falloc", "full"])

    def live(self):
        rng = self.rng
        if rng.random() < 0.15:
            return
        self.write()
        for _ in range(rng.choice([0, 0, 1, 2])):
            if rng.random() < 0.8 and not self.data_file:
                self.snapshot()
            else:
                self.resize()
            self.write()
        self.repair()


class EncryptedLayer(Layer):
    """As others, as far as QEMU's tools go there. Its key is one of those of
    encrypted.py, and those of the images below are known."""

    def __init__(self, rng, number, size, below, srcs):
        super().__init__(rng, number, size, below, srcs)
        self.secret = rng.choice("st")
        self.image = encrypted.opened(self.path, *secrets_of(self))

    def create(self):
        rng, o = self.rng, self.options
        self.draw_options()
        # The data file would have the disk's plain content; and an image that was
        # not closed well cannot be repaired without more ado.
        for option in ("data_file_raw", "lazy_refcounts"):
            o.pop(option, None)
        crypt = encrypted.aes_options(self.secret)
        if rng.random() < 0.7:
            crypt = encrypted.crypt_options(*rng.choice(
                encrypted.COMBINATIONS), secret=self.secret)
        args = []
        if self.below:
            args = ["-u", "-b", self.below.name, "-F", self.below.format]
        options = ",".join("%s=%s" % item for item in o.items())
        if not encrypted.create(self.path, str(self.size), crypt, *args,
                                options=options):
            raise RuntimeError("cannot make " + crypt)

    def write(self):
        ops = [self.draw_op() for _ in range(self.rng.randint(1, 40))]
        args = [a for op in ops for a in ("-c", op)]
        run("qemu-io", *encrypted.secrets(), "-t", "unsafe", *args, self.image,
            check=False)

    def live(self):
        self.write()
        if self.rng.random() < 0.5 and not self.data_file:
            qemu_img("snapshot", *encrypted.secrets(), "-c", "s", self.image,
                     check=False)
            self.write()


class PlainLayer(Layer):
    """Above one that is encrypted: nothing is known of it yet."""

    def create(self):
        self.draw_options()
        options = ",".join("%s=%s" % item for item in self.options.items())
        qemu_img("create", "-q", "-f", "qcow2", "-o", options, "-u", "-b",
                 self.below.name, "-F", "qcow2", self.path, str(self.size))

    def live(self):
        pass


def secrets_of(layer):
    """Of a chain: of each image, None if it is not encrypted"""
    found = []
    while layer:
        found.append(getattr(layer, "secret", None))
        layer = getattr(layer, "below", None)
    while found[1:] and not found[-1]:
        found.pop()
    return found


def build_encrypted(rng, srcs):
    size = cross.draw_size(rng, odd=0.5)
    layer = None
    for number, kind in enumerate(rng.choice([
            (EncryptedLayer,), (EncryptedLayer,), (Layer, EncryptedLayer),
            (EncryptedLayer, EncryptedLayer), (EncryptedLayer, PlainLayer)])):
        layer = kind(rng, number, size, layer, srcs)
        layer.create()
        layer.live()
        size = cross.next_size(rng, size)
    return layer


def build(rng, srcs):
    depth = rng.choice([1, 1, 1, 2, 2, 3])
    size = cross.draw_size(rng, odd=0.5)
    layer = None
    for number in range(depth):
        if number == 0 and depth > 1 and rng.random() < 0.4:
            layer = cross.RawLayer(rng, number, size + rng.choice([0, 0, 512, 300]),
                                   srcs)
        else:
            layer = Layer(rng, number, size, layer, srcs)
            layer.create()
            layer.live()
        size = cross.next_size(rng, size)
    return layer


def access(image, secrets):
    """Arguments of QEMU's tools for an image of a chain with such secrets. Return:
    for those that take a format, and for those that do not."""
    if not any(secrets):
        return ["-f", "qcow2", image], [image]
    args = encrypted.secrets() + [encrypted.opened(image, *secrets)]
    return args, args


def snapshots(image, secrets=()):
    """{ID: hash of the content}, in a file's lifetime no write may change."""
    found = {}
    with_format, plain = access(image, secrets)
    for ident in re.findall(r"^(\d+) ", qemu_img("snapshot", "-l", *plain), re.M):
        qemu_img("convert", "-q", "-l", "snapshot.id=" + ident,
                 "-O", "raw", *with_format, "snapshot.raw")
        found[ident] = digest("snapshot.raw")
        os.unlink("snapshot.raw")
    return found


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def attach_args(rng, name, secrets):
    args = []
    for secret in filter(None, secrets):
        with open(secret, "w", encoding="ascii") as f:
            f.write(encrypted.TEXTS[secret])
        args += ["--key-file", "/tmp/tree/diff/%s/%s" % (name, secret)]
    if rng.random() < 0.5:
        args += ["--direct-io", rng.choice(["on", "off", "auto"])]
    if rng.random() < 0.4:
        args += ["--cache-size", rng.choice(["64K", "100K", "1M"])]
    return " ".join(args) or "-"


def draw(srcs, seed, number, attempt):
    """An image in the current folder, and its model. Return: the image, its
    snapshots, and the chance that is left. Fails if QEMU cannot read it, which
    may be so after qemu-io was killed."""
    rng = random.Random("write %s %s%s" % (seed, number, " again" * attempt))
    layer = (build_encrypted if number % 5 == 4 else build)(rng, srcs)
    secrets = secrets_of(layer)
    with_format, plain = access(layer.path, secrets)
    qemu_img("check", "-q", "-r", "leaks", *plain, check=False)
    for image in os.listdir("."):
        run("fallocate", "--dig-holes", image)
    qemu_img("convert", "-q", "-O", "raw", *with_format, "model")
    return layer, snapshots(layer.path, secrets), rng


def make(job):
    """job: folder, sources, seed, number. Return: manifest line, fact."""
    top, srcs, seed, number = job
    name = "w%s-%04d" % (seed, number)
    for attempt in range(10):
        os.makedirs(os.path.join(top, name))
        os.chdir(os.path.join(top, name))
        try:
            layer, found, rng = draw(srcs, seed, number, attempt)
            break
        except RuntimeError:
            shutil.rmtree(os.path.join(top, name))
    else:
        raise RuntimeError("%s cannot be made" % name)
    kept = [f for f in os.listdir(".") if f not in
            ("model", layer.name, layer.name + ".data")]
    fact = {
        "name": name, "image": layer.name, "options": layer.options,
        "snapshots": found, "secrets": secrets_of(layer),
        "files": {f: digest(f) for f in kept},
    }
    line = "\t".join((name, "%s/%s" % (name, layer.name), name + "/model",
                      attach_args(rng, name, secrets_of(layer)),
                      str(1 << layer.bits),
                      str(rng.randrange(1 << 31))))
    return line, fact


def main():
    top, seed, count = os.path.abspath(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    images = os.path.join(top, "images")
    os.makedirs(images)
    # qemu-io is told to abort.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ["LC_ALL"] = "C"
    srcs = cross.sources(os.path.join(top, "sources"), seed)
    with multiprocessing.Pool(2) as pool:
        made = pool.map(make, [(images, srcs, seed, i) for i in range(count)],
                        chunksize=2)
    with open(os.path.join(top, "manifest"), "w", encoding="ascii") as f:
        f.writelines(line + "\n" for line, _ in made)
    with open(os.path.join(top, "facts"), "w", encoding="ascii") as f:
        f.writelines(json.dumps(fact) + "\n" for _, fact in made)


if __name__ == "__main__":
    main()
