# SPDX-License-Identifier: GPL-2.0
"""Encrypted images: ciphers, modes and initialisation vectors that qemu-img
offers; chains, snapshots, compressed clusters, data files, qcow version 1.

QEMU takes seconds to make a LUKS header, whatever the number of iterations, so
there are few."""

import json
import os
import random

from common import case, qemu_img, run

# Cipher, mode, initialisation vector and its hash, hash of the passphrase. QEMU does
# not make other combinations (cbc with keys of 192 bits, essiv with other hashes).
COMBINATIONS = [
    ("aes-128", "xts", "plain64", None, "sha1"),
    ("aes-192", "xts", "plain64", None, "sha256"),
    ("aes-256", "xts", "plain64", None, "sha512"),
    ("aes-256", "xts", "essiv", "sha256", "sha384"),
    ("aes-128", "cbc", "essiv", "sha256", "sha256"),
    ("aes-256", "cbc", "essiv", "md5", "sha224"),
    ("aes-128", "cbc", "plain", None, "ripemd160"),
    ("aes-256", "ctr", "plain64", None, "sha256"),
    ("aes-256", "ecb", "plain64", None, "sha256"),
    ("serpent-128", "cbc", "essiv", "sha256", "sha256"),
    ("serpent-256", "xts", "plain64", None, "sha256"),
    ("twofish-192", "xts", "plain", None, "sha256"),
    ("twofish-256", "cbc", "plain64", None, "sha256"),
    ("cast5-128", "cbc", "plain64", None, "sha256"),
]
# By the ids that QEMU's tools are given
TEXTS = {"s": "correct horse battery staple", "t": "another one\n"}


def secrets():
    """Those of all images: arguments of QEMU's tools"""
    return [arg for ident, text in TEXTS.items()
            for arg in ("--object", "secret,id=%s,data=%s" % (ident, text))]


def opened(image, *ids, driver="qcow2"):
    """The image for QEMU's tools, with the secrets of the images of its chain;
    None: that one is not encrypted."""
    node = None
    for ident in reversed(ids):
        below, node = node, {}
        if ident:
            node["encrypt"] = {"key-secret": ident}
        if below:
            node["backing"] = below
    node.update({"driver": driver, "file": {"driver": "file", "filename": image}})
    return "json:" + json.dumps(node)


def crypt_options(cipher="aes-256", mode="xts", iv="plain64", digest=None,
                  passphrase="sha256", secret="s"):
    return ",".join(["encrypt.format=luks", "encrypt.key-secret=" + secret,
                     "encrypt.hash-alg=" + passphrase,
                     "encrypt.cipher-alg=" + cipher, "encrypt.cipher-mode=" + mode,
                     "encrypt.ivgen-alg=" + iv] +
                    (["encrypt.ivgen-hash-alg=" + digest] if digest else []))


def aes_options(secret="s"):
    return "encrypt.format=aes,encrypt.key-secret=" + secret


def create(path, size, crypt, *args, options="", driver="qcow2"):
    """QEMU measures the processor for LUKS, and fails if it was given no tick.
    Return: whether it can make this."""
    for _ in range(100):
        opts = [crypt, options]
        if "luks" in crypt:
            opts.append("encrypt.iter-time=1")
        out = qemu_img("create", "-q", "-f", driver, *secrets(), "-o",
                       ",".join(o for o in opts if o), *args, path, size,
                       check=False)
        if "CPU" not in out:
            return not out
    raise RuntimeError(out)


def write(rng, image, size, number=12):
    """Writes, some of them unaligned to clusters, and some zeros."""
    args = []
    for _ in range(number):
        at = rng.randrange(size // 512) * 512
        length = min(size - at, rng.choice([512, 1536, 4096, 65536, 100352]))
        kind = rng.random()
        args += ["-c", "write -q -z %d %d" % (at, length) if kind < 0.15 else
                 "write -q -P %d %d %d" % (rng.randrange(256), at, length)]
    # A pattern in which each sector is another one
    run("qemu-io", *secrets(), "-t", "unsafe", *args, image)


def finish(name, path, image, *keys):
    qemu_img("convert", "-q", *secrets(), "-O", "raw", image, path + ".ref")
    args = " ".join("--key-file /images/crypt/%s" % key for key in keys)
    return case(name, "crypt/" + path, "crypt/" + path + ".ref", args)


def combination(words):
    path = "-".join(w for w in words[:4] if w)
    if not create(path, "700k", crypt_options(*words)):
        raise RuntimeError("cannot make " + path)
    write(random.Random(path), opened(path, "s"), 700 << 10)
    return [finish("crypt-" + path, path, opened(path, "s"), "key")]


KINDS = [
    ("aes", aes_options(), ""), ("aes-2", aes_options(), "compat=0.10"),
    ("aes-512", aes_options("t"), "cluster_size=512"),
    ("aes-metadata", aes_options(), "preallocation=metadata"),
    ("aes-data-raw", aes_options(), "data_file=aes-data-raw.data,data_file_raw=on"),
    ("luks-2", crypt_options(), "compat=0.10,cluster_size=2M"),
    ("luks-512", crypt_options(), "cluster_size=512"),
    ("luks-extl2", crypt_options("aes-128", "cbc", "essiv", "sha256"),
     "extended_l2=on,compression_type=zstd"),
    ("luks-data", crypt_options(), "data_file=luks-data.data"),
    ("v1", aes_options("t"), "")]


def kind(job):
    """The rest of the format, encrypted."""
    name, crypt, options = job
    driver = "qcow" if name == "v1" else "qcow2"
    if not create(name, "3M", crypt, options=options, driver=driver):
        raise RuntimeError("cannot make " + name)
    secret = "t" if "=t" in crypt else "s"
    image = opened(name, secret, driver=driver)
    write(random.Random(name), image, 3 << 20, 40)
    if "data_file" not in options:
        # Compressed clusters are not encrypted.
        run("qemu-io", *secrets(), "-c", "write -q -c -P 7 2M 64k", image, check=False)
    lines = [finish("crypt-kind-" + name, name, image,
                    "other" if secret == "t" else "key")]
    if name == "aes-metadata":
        lines.append(cut_off(name))
    return lines


def cut_off(name):
    """Data past the end of the file is zeros before decryption, not on the disk."""
    path = name + "-cut"
    run("cp", "--sparse=always", name, path)
    with open(path, "r+b") as f:
        f.truncate(os.stat(path).st_size // 512 * 512 - (40 << 10))
    return finish("crypt-" + path, path, opened(path, "s"), "key")


def snapshots(_):
    rng = random.Random("crypt snapshots")
    create("snap", "2M", crypt_options())
    image = opened("snap", "s")
    write(rng, image, 2 << 20)
    qemu_img("snapshot", *secrets(), "--image-opts", "-c", "first",
             "driver=qcow2,file.filename=snap,encrypt.key-secret=s")
    qemu_img("convert", "-q", *secrets(), "-O", "raw", image, "snap.first")
    write(rng, image, 2 << 20)
    return [finish("crypt-snapshots", "snap", image, "key"),
            case("crypt-snapshot", "crypt/snap", "crypt/snap.first",
                 "--key-file /images/crypt/key --snapshot first")]


def chain(job):
    """Images above and below with keys of their own, or without."""
    number, ids = job
    rng = random.Random("crypt chain %d" % number)
    size = 1 << 20
    image = None
    for depth in range(len(ids) - 1, -1, -1):
        path = "chain-%d-%d" % (number, depth)
        args = ["-u", "-b", image, "-F", "qcow2"] if image else []
        crypt = {None: "", "s": crypt_options(), "t": aes_options("t")}[ids[depth]]
        if not create(path, str(size), crypt, *args, options="cluster_size=4096"):
            raise RuntimeError("cannot make " + path)
        write(rng, opened(path, *ids[depth:]), size, 6)
        image = path
    keys = [{"s": "key", "t": "other"}[i] for i in ids if i]
    # The last is for the rest, too.
    while keys[-1:] == keys[-2:-1]:
        keys.pop()
    return [finish("crypt-chain-%d" % number, image, opened(image, *ids), *keys)]


CHAINS = [("s", "t"), (None, "t"), ("t", None), ("s", None, "s")]


def step(job):
    """job: folder, function, its argument. Return: lines of the manifest."""
    top, function, arg = job
    os.chdir(os.path.join(top, "crypt"))
    return function(arg)


def make(top, pool):
    os.makedirs(os.path.join(top, "crypt"))
    for name, ident in (("key", "s"), ("other", "t")):
        with open(os.path.join(top, "crypt", name), "w", encoding="ascii") as f:
            f.write(TEXTS[ident])
    jobs = [(combination, c) for c in COMBINATIONS]
    jobs += [(kind, k) for k in KINDS] + [(snapshots, None)]
    jobs += [(chain, c) for c in enumerate(CHAINS)]
    made = pool.map(step, [(top, *job) for job in jobs], chunksize=1)
    return [line for lines in made for line in lines]
