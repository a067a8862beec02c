# SPDX-License-Identifier: GPL-2.0
"""Encoders of LZFSE, LZVN and Apple Data Compression, for images that no program on Debian
writes. They choose among the ways to encode a match at random, so that all are decoded."""

import struct

L_STATES, M_STATES, D_STATES, LITERAL_STATES = 64, 64, 256, 1024
L_EXTRA = [0] * 16 + [2, 3, 5, 8]
M_EXTRA = [0] * 16 + [3, 5, 8, 11]
D_EXTRA = [i // 4 for i in range(64)]


def bases(extra):
    """The smallest number of each symbol."""
    out = [0]
    for bits in extra[:-1]:
        out.append(out[-1] + (1 << bits))
    return out


L_BASE, M_BASE, D_BASE = bases(L_EXTRA), bases(M_EXTRA), bases(D_EXTRA)


def symbol_of(base, number):
    """The last symbol whose numbers begin at or before that one."""
    return max(i for i, b in enumerate(base) if b <= number)


def matches(data, most_length, most_distance, least=4):
    """Triples of literals, length and distance; the last one has length 0. Greedy."""
    seen, out, start, i = {}, [], 0, 0
    while i + least <= len(data):
        key = data[i:i + least]
        j = seen.get(key, -1)
        seen[key] = i
        if j < 0 or i - j > most_distance:
            i += 1
            continue
        n = least
        while n < most_length and i + n < len(data) and data[i + n] == data[j + n]:
            n += 1
        out.append((data[start:i], n, i - j))
        i += n
        start = i
    out.append((data[start:], 0, 1))
    return out


# --- LZVN ---

def lzvn_match(rnd, literals, length, distance, last):
    """The instruction of up to three literals and a match, and the rest of its length."""
    count = len(literals)
    short = min(length, [10, 8, 6, 4][count])
    code = count << 6 | (short - 3) << 3
    ways = [lambda: (struct.pack("<BH", code | 7, distance), short)]
    if distance < 1536:
        ways.append(lambda: (bytes([code | distance >> 8, distance & 255]), short))
    if distance < 16384:
        medium = min(length, 34) - 3
        ways.append(lambda: (struct.pack("<BH", 0xa0 | count << 3 | medium >> 2,
                                         distance << 2 | medium & 3), medium + 3))
    if distance == last and count:
        ways.append(lambda: (bytes([code | 6]), short))
    head, done = rnd.choice(ways)()
    return head + literals, length - done


def lzvn(rnd, data):
    """The payload."""
    out, last = bytearray(), 0
    for literals, length, distance in matches(data, 1000, 65535):
        while len(literals) > (3 if length else 0):
            n = min(len(literals), rnd.choice([271, 15, 3]))
            out += bytes([0xe0 | n]) if n < 16 else bytes([0xe0, n - 16])
            out += literals[:n]
            literals = literals[n:]
        if rnd.random() < .02:
            out += rnd.choice([b"\x0e", b"\x16"])
        if not length:
            continue
        code, rest = lzvn_match(rnd, literals, length, distance, last)
        out += code
        last = distance
        while rest:
            n = min(rest, 271)
            out += bytes([0xf0 | n]) if n < 16 else bytes([0xf0, n - 16])
            rest -= n
    return bytes(out + b"\x06" + bytes(7))


# --- FSE ---

def normalize(counts, states):
    """Frequencies whose sum is the number of states; each symbol that is used has one."""
    total = sum(counts)
    if not total:
        return [states] + [0] * (len(counts) - 1)
    out = [max(1, c * states // total) if c else 0 for c in counts]
    while sum(out) != states:
        top = max(range(len(out)), key=out.__getitem__)
        step = states - sum(out)
        out[top] += max(step, 1 - out[top]) if step < 0 else step
    return out


def encoder(frequencies, states):
    """For each symbol, and each next state: the state before, the bits, and their number."""
    tables, first = [], 0
    for frequency in frequencies:
        table = [None] * states
        if frequency:
            k = states.bit_length() - frequency.bit_length()
            longer = (2 * states >> k) - frequency
            for j in range(frequency):
                bits = k if j < longer else k - 1
                delta = ((frequency + j) << k) - states if j < longer else (j - longer) << (k - 1)
                for value in range(1 << bits):
                    table[delta + value] = (first + j, value, bits)
        tables.append(table)
        first += frequency
    return tables


class Bits:
    """Bits that are appended, and read from the end."""

    def __init__(self):
        self.number, self.count = 0, 0

    def put(self, value, count):
        """The next bits."""
        self.number |= value << self.count
        self.count += count

    def end(self):
        """The bytes, and the number of unused bits as the header has it."""
        size = (self.count + 7) // 8
        return self.number.to_bytes(size, "little"), self.count - 8 * size


def fse_literals(literals):
    """Frequencies, states and the stream; there are a multiple of four literals."""
    counts = [literals.count(i) for i in range(256)]
    frequencies = normalize(counts, LITERAL_STATES)
    tables = encoder(frequencies, LITERAL_STATES)
    states, out, parts = [0] * 4, Bits(), []
    for i in range(len(literals) - 1, -1, -1):
        states[i % 4], value, bits = tables[literals[i]][states[i % 4]]
        out.put(value, bits)
        if out.count >= 4096 and out.count % 8 == 0:
            parts.append(out.number.to_bytes(out.count // 8, "little"))
            out = Bits()
    data, pad = out.end()
    return frequencies, states, b"".join(parts) + data, pad


def fse_matches(triples):
    """Frequencies, states and the stream of the numbers."""
    kinds = ((L_BASE, L_EXTRA, L_STATES), (M_BASE, M_EXTRA, M_STATES), (D_BASE, D_EXTRA, D_STATES))
    symbols = [[symbol_of(kind[0], n) for kind, n in zip(kinds, t)] for t in triples]
    frequencies, tables = [], []
    for i, (base, _, states) in enumerate(kinds):
        counts = [0] * len(base)
        for row in symbols:
            counts[row[i]] += 1
        frequencies.append(normalize(counts, states))
        tables.append(encoder(frequencies[-1], states))
    state, out = [0] * 3, Bits()
    for row, numbers in zip(reversed(symbols), reversed(triples)):
        for i in (2, 1, 0):
            out.put(numbers[i] - kinds[i][0][row[i]], kinds[i][1][row[i]])
            state[i], value, bits = tables[i][row[i]][state[i]]
            out.put(value, bits)
    data, pad = out.end()
    return frequencies, state, data, pad


def frequency_codes(frequencies):
    """The table of all frequencies, as version 2 has it."""
    out = Bits()
    for n in frequencies:
        if n < 2:
            out.put(2 * n, 2)
        elif n < 4:
            out.put((1, 5)[n - 2], 3)
        elif n < 8:
            out.put(3 | (n - 4) << 3, 5)
        elif n < 24:
            out.put(7 | (n - 8) << 4, 8)
        else:
            out.put(15 | (n - 24) << 4, 14)
    return out.end()[0]


def split(triples):
    """Those that symbols can express."""
    for literals, length, distance in triples:
        while len(literals) > 315:
            yield literals[:315], 0, 1
            literals = literals[315:]
        while length > 2359:
            yield literals, 2359, distance
            literals, length = b"", length - 2359
        yield literals, length, distance


def fse_block(plain, triples):
    """A block."""
    literals = b"".join(t[0] for t in triples)
    literals += bytes(-len(literals) % 4)
    numbers, last = [], 0
    for text, length, distance in triples:
        numbers.append((len(text), length, 0 if distance == last else distance))
        last = distance
    freq, states, payload, pad = fse_literals(literals)
    freqs, lmd_states, lmd, lmd_pad = fse_matches(numbers)
    # Apple's encoder has 8 bytes in front, and 7-Zip insists on them.
    lmd = bytes(8) + lmd
    freq = freqs[0] + freqs[1] + freqs[2] + freq
    table = frequency_codes(freq)
    fields = (len(literals) | len(payload) << 20 | len(numbers) << 40 | (pad + 7) << 60,
              sum(s << 10 * i for i, s in enumerate(states)) | len(lmd) << 40 | (lmd_pad + 7) << 60,
              32 + len(table) | sum(s << 32 + 10 * i for i, s in enumerate(lmd_states)))
    return struct.pack("<4sI3Q", b"bvx2", plain, *fields) + table + payload + lmd


def fse(data):
    """Blocks of all data."""
    out, block, literals, plain = b"", [], 0, 0
    for triple in split(matches(data, 5000, 262139)):
        if block and (len(block) == 10000 or literals + len(triple[0]) > 39996):
            out += fse_block(plain, block)
            block, literals, plain = [], 0, 0
        block.append(triple)
        literals += len(triple[0])
        plain += len(triple[0]) + triple[1]
    return out + fse_block(plain, block)


def lzfse(rnd, data, kind=None):
    """A stream: kind is "fse", "lzvn", "plain", or None for the first two."""
    if kind is None:
        step = len(data) // 2 + 1
        parts = [data[i:i + step] for i in range(0, len(data), step)]
        kinds = rnd.sample(["fse", "lzvn"], len(parts))
        return b"".join(lzfse(rnd, p, k)[:-4] for p, k in zip(parts, kinds)) + b"bvx$"
    if kind == "plain":
        out = struct.pack("<4sI", b"bvx-", len(data)) + data
    elif kind == "lzvn":
        payload = lzvn(rnd, data)
        out = struct.pack("<4sII", b"bvxn", len(data), len(payload)) + payload
    else:
        out = fse(data)
    return out + b"bvx$"


# --- ADC ---

def adc(rnd, data):
    """Apple Data Compression."""
    out = bytearray()
    for literals, length, distance in matches(data, 67, 65536):
        for i in range(0, len(literals), 128):
            part = literals[i:i + 128]
            out += bytes([0x80 | (len(part) - 1)]) + part
        if not length:
            continue
        if distance <= 1024 and length <= 18 and rnd.random() < .8:
            out += bytes([(length - 3) << 2 | (distance - 1) >> 8, (distance - 1) & 255])
        else:
            out += struct.pack(">BH", 0x40 | (length - 4), distance - 1)
    return bytes(out)
