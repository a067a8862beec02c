// SPDX-License-Identifier: GPL-2.0
/*
 * LZFSE, Apple's codec: blocks, of which most have literals and matches that are coded with
 * finite state entropy (FSE), and the others are LZVN or not compressed. This was written
 * from descriptions of the format; 7-Zip reads the same in the tests. Blocks "bvx1", which no
 * program is known to write, are refused.
 *
 * An FSE stream is read backwards: its first bits are the last ones.
 */
#include "foreign/bytes.h"
#include "foreign/lzfse.h"
#include "foreign/lzvn.h"

#define LZFSE_MAGIC(c)		(0x00787662 | (u32)(c) << 24)	/* "bvx" and a letter */
#define LZFSE_END		LZFSE_MAGIC('$')
#define LZFSE_PLAIN		LZFSE_MAGIC('-')
#define LZFSE_FSE		LZFSE_MAGIC('2')
#define LZFSE_LZVN		LZFSE_MAGIC('n')

/* Bytes of headers; of FSE without the table of frequencies */
#define PLAIN_HEADER_BYTES	8
#define LZVN_HEADER_BYTES	12
#define FSE_HEADER_BYTES	32

/* Symbols and states of the four alphabets of a block */
#define L_SYMBOLS		20
#define M_SYMBOLS		20
#define D_SYMBOLS		64
#define LITERAL_SYMBOLS		256
#define SYMBOLS			(L_SYMBOLS + M_SYMBOLS + D_SYMBOLS + LITERAL_SYMBOLS)
#define L_STATES		64
#define M_STATES		64
#define D_STATES		256
#define LITERAL_STATES		1024

#define MATCHES_MAX		10000
#define LITERALS_MAX		(4 * MATCHES_MAX)
/* Literals are coded in four streams that take turns. */
#define LITERAL_STREAMS		4

/**
 * struct fse_entry - a state of a decoder
 * @bits: to read for the next state
 * @symbol: that the state stands for
 * @delta: to add to these bits for the next state
 */
struct fse_entry {
	u8 bits;
	u8 symbol;
	int16_t delta;
};

/**
 * struct fse_stream - bits that are read backwards
 * @bytes: of the stream
 * @left: bits that are left; negative: more were read than there are
 */
struct fse_stream {
	const u8 *bytes;
	s64 left;
};

/**
 * struct fse_block - a block with its tables
 * @plain: decompressed bytes
 * @nr_literals: of the block
 * @nr_matches: of the block
 * @literal_bytes: of the stream of literals, behind the header
 * @match_bytes: of the stream of matches, behind that
 * @literal_pad: bits at the end of the stream of literals that are not used
 * @match_pad: of the stream of matches
 * @literal_states: the first states
 * @l_state: the first state for numbers of literals
 * @m_state: for lengths of matches
 * @d_state: for distances
 * @header_bytes: of the block's header
 * @frequencies: of all symbols: of L, M, D, and literals
 * @l: the decoder for numbers of literals
 * @m: for lengths of matches
 * @d: for distances
 * @literal: for literals
 * @literals: the decoded literals
 */
struct fse_block {
	u32 plain;
	u32 nr_literals;
	u32 nr_matches;
	u32 literal_bytes;
	u32 match_bytes;
	u32 literal_pad;
	u32 match_pad;
	u16 literal_states[LITERAL_STREAMS];
	u16 l_state;
	u16 m_state;
	u16 d_state;
	u32 header_bytes;
	u16 frequencies[SYMBOLS];
	struct fse_entry l[L_STATES];
	struct fse_entry m[M_STATES];
	struct fse_entry d[D_STATES];
	struct fse_entry literal[LITERAL_STATES];
	u8 literals[LITERALS_MAX];
};

/**
 * struct fse_values - the numbers that the symbols of an alphabet stand for
 * @extra: bits behind a symbol
 * @base: the number if these bits are 0
 */
struct fse_values {
	u8 extra[D_SYMBOLS];
	u32 base[D_SYMBOLS];
};

static const struct fse_values l_values = {
	.extra = { [16] = 2, 3, 5, 8 },
	.base = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 20, 28, 60 },
};

static const struct fse_values m_values = {
	.extra = { [16] = 3, 5, 8, 11 },
	.base = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 24, 56, 312 },
};

/* Four symbols have each number of bits. */
static void fill_d_values(struct fse_values *v)
{
	u32 i;

	for (i = 0; i < D_SYMBOLS; i++) {
		v->extra[i] = i / 4;
		v->base[i] = 4 * ((1U << i / 4) - 1) + ((i % 4) << i / 4);
	}
}

/* Up to 17 bits; zeros where the stream is at its end */
static u32 fse_bits(struct fse_stream *s, u32 nr)
{
	u64 first, word = 0;
	u32 i;

	s->left -= nr;
	if (s->left < 0 || !nr)
		return 0;
	first = s->left / 8;
	for (i = 0; i < (s->left % 8 + nr + 7) / 8; i++)
		word |= (u64)s->bytes[first + i] << (8 * i);
	return (word >> (s->left % 8)) & ((1U << nr) - 1);
}

static u8 fse_symbol(struct fse_stream *s, const struct fse_entry *table, u16 *state)
{
	const struct fse_entry *e = &table[*state];

	*state = fse_bits(s, e->bits) + e->delta;
	return e->symbol;
}

static u32 log2_of(u32 n)
{
	return 31 - __builtin_clz(n);
}

/*
 * A symbol has as many states as its frequency. They lead to all states together: each to
 * 2^k or to 2^(k-1) of them, by the next bits.
 */
static void fse_fill_symbol(struct fse_entry *table, u32 nr_states, u8 symbol, u32 frequency)
{
	u32 k = log2_of(nr_states) - log2_of(frequency);
	u32 longer = ((2 * nr_states) >> k) - frequency, i;

	for (i = 0; i < frequency; i++) {
		table[i].symbol = symbol;
		table[i].bits = i < longer ? k : k - 1;
		table[i].delta = i < longer ? (int)((frequency + i) << k) - (int)nr_states :
					      (int)((i - longer) << (k - 1));
	}
}

/* Whether the frequencies are those of a table */
static bool fse_fill(struct fse_entry *table, u32 nr_states, const u16 *frequencies,
		     u32 nr_symbols)
{
	u32 symbol, sum = 0;

	for (symbol = 0; symbol < nr_symbols; symbol++) {
		u32 frequency = frequencies[symbol];

		if (frequency > nr_states - sum)
			return false;
		if (frequency)
			fse_fill_symbol(table + sum, nr_states, symbol, frequency);
		sum += frequency;
	}
	return sum == nr_states;
}

static bool fse_fill_tables(struct fse_block *b)
{
	const u16 *m = b->frequencies + L_SYMBOLS, *d = m + M_SYMBOLS, *literal = d + D_SYMBOLS;

	return fse_fill(b->l, L_STATES, b->frequencies, L_SYMBOLS) &&
	       fse_fill(b->m, M_STATES, m, M_SYMBOLS) &&
	       fse_fill(b->d, D_STATES, d, D_SYMBOLS) &&
	       fse_fill(b->literal, LITERAL_STATES, literal, LITERAL_SYMBOLS);
}

static bool fse_check_header(const struct fse_block *b)
{
	u32 i;

	for (i = 0; i < LITERAL_STREAMS; i++)
		if (b->literal_states[i] >= LITERAL_STATES)
			return false;
	return b->nr_literals <= LITERALS_MAX && b->nr_literals % LITERAL_STREAMS == 0 &&
	       b->nr_matches <= MATCHES_MAX && b->literal_pad <= 7 && b->match_pad <= 7 &&
	       b->l_state < L_STATES && b->m_state < M_STATES && b->d_state < D_STATES;
}

/*
 * A frequency has a code of 2 to 14 bits, of which the lowest ones tell the length. Returns
 * the length, or 0 if the code is not there.
 */
static u32 frequency_code(u32 bits, u16 *frequency)
{
	static const u8 short_codes[8] = { 0, 2, 1, 0, 0, 3, 1, 0 };

	if ((bits & 3) != 3) {
		*frequency = short_codes[bits & 7];
		return (bits & 1) ? 3 : 2;
	}
	if (!(bits & 4)) {
		*frequency = 4 + (bits >> 3 & 3);
		return 5;
	}
	if (!(bits & 8)) {
		*frequency = 8 + (bits >> 4 & 15);
		return 8;
	}
	*frequency = 24 + (bits >> 4 & 0x3ff);
	return 14;
}

/* The table of frequencies fills the rest of the header. */
static bool fse_read_frequencies(struct fse_block *b, const u8 *in, const u8 *end)
{
	u32 i, bits = 0, have = 0;

	for (i = 0; i < SYMBOLS; i++) {
		u32 length;

		for (; have < 14 && in < end; have += 8)
			bits |= (u32)*in++ << have;
		length = frequency_code(bits, &b->frequencies[i]);
		if (length > have)
			return false;
		bits >>= length;
		have -= length;
	}
	return in == end && have < 8;
}

/* @nr bits of a number from bit @first on */
static u32 field(u64 number, u32 first, u32 nr)
{
	return (number >> first) & ((1ULL << nr) - 1);
}

static bool fse_read_header(struct fse_block *b, const u8 *in, size_t len)
{
	u64 v0, v1, v2;
	u32 i;

	if (len < FSE_HEADER_BYTES)
		return false;
	v0 = get_le64(in + 8);
	v1 = get_le64(in + 16);
	v2 = get_le64(in + 24);
	b->nr_literals = field(v0, 0, 20);
	b->literal_bytes = field(v0, 20, 20);
	b->nr_matches = field(v0, 40, 20);
	b->literal_pad = 7 - field(v0, 60, 3);
	for (i = 0; i < LITERAL_STREAMS; i++)
		b->literal_states[i] = field(v1, 10 * i, 10);
	b->match_bytes = field(v1, 40, 20);
	b->match_pad = 7 - field(v1, 60, 3);
	b->header_bytes = field(v2, 0, 32);
	b->l_state = field(v2, 32, 10);
	b->m_state = field(v2, 42, 10);
	b->d_state = field(v2, 52, 10);
	return b->header_bytes >= FSE_HEADER_BYTES && b->header_bytes <= len &&
	       fse_read_frequencies(b, in + FSE_HEADER_BYTES, in + b->header_bytes);
}

static bool fse_decode_literals(struct fse_block *b, const u8 *bytes)
{
	struct fse_stream s = { bytes, 8 * (s64)b->literal_bytes - b->literal_pad };
	u32 i;

	for (i = 0; i < b->nr_literals; i++)
		b->literals[i] = fse_symbol(&s, b->literal,
					    &b->literal_states[i % LITERAL_STREAMS]);
	return !s.left;
}

/* A number: its symbol, and the bits behind that */
static u32 fse_number(struct fse_stream *s, const struct fse_entry *table, u16 *state,
		      const struct fse_values *values)
{
	u32 symbol = fse_symbol(s, table, state);

	return values->base[symbol] + fse_bits(s, values->extra[symbol]);
}

/* Literals and matches; @literals is set to the ones that were decoded. */
static bool fse_decode_matches(struct unpack *u, struct fse_block *b, const u8 *bytes,
			       struct unpack *literals)
{
	struct fse_stream s = { bytes, 8 * (s64)b->match_bytes - b->match_pad };
	struct fse_values d_values;
	u32 i, distance = 0;

	fill_d_values(&d_values);
	for (i = 0; i < b->nr_matches; i++) {
		u32 l = fse_number(&s, b->l, &b->l_state, &l_values);
		u32 m = fse_number(&s, b->m, &b->m_state, &m_values);
		u32 d = fse_number(&s, b->d, &b->d_state, &d_values);

		if (s.left < 0 || l > unpack_in_left(literals) || l > unpack_out_left(u))
			return false;
		memcpy(u->out, literals->in, l);
		literals->in += l;
		u->out += l;
		distance = d ? d : distance;
		if (m && !unpack_match(u, m, distance))
			return false;
	}
	return true;
}

/* @u ends where the block's output does. */
static bool lzfse_fse(struct unpack *u)
{
	static struct fse_block b;
	struct unpack literals = { .in = b.literals };

	if (!fse_read_header(&b, u->in, unpack_in_left(u)) || !fse_check_header(&b) ||
	    !fse_fill_tables(&b))
		return false;
	u->in += b.header_bytes;
	if ((u64)b.literal_bytes + b.match_bytes > unpack_in_left(u) ||
	    !fse_decode_literals(&b, u->in))
		return false;
	literals.in_end = b.literals + b.nr_literals;
	u->in += b.literal_bytes;
	if (!fse_decode_matches(u, &b, u->in, &literals))
		return false;
	u->in += b.match_bytes;
	return true;
}

static bool lzfse_lzvn(struct unpack *u)
{
	u32 bytes;
	const u8 *end;

	if (unpack_in_left(u) < LZVN_HEADER_BYTES)
		return false;
	bytes = get_le32(u->in + 8);
	u->in += LZVN_HEADER_BYTES;
	if (bytes > unpack_in_left(u))
		return false;
	end = u->in + bytes;
	u->in_end = end;
	if (unpack_lzvn(u))
		return false;
	u->in = end;
	return true;
}

static bool lzfse_plain(struct unpack *u)
{
	u->in += PLAIN_HEADER_BYTES;
	return unpack_literals(u, unpack_out_left(u));
}

static bool lzfse_block(struct unpack *u, u32 magic)
{
	struct unpack block = *u;
	u32 plain;
	bool done = false;

	if (unpack_in_left(u) < PLAIN_HEADER_BYTES)
		return false;
	plain = get_le32(u->in + 4);
	if (plain > unpack_out_left(u))
		return false;
	block.out_end = block.out + plain;
	if (magic == LZFSE_FSE)
		done = lzfse_fse(&block);
	else if (magic == LZFSE_LZVN)
		done = lzfse_lzvn(&block);
	else if (magic == LZFSE_PLAIN)
		done = lzfse_plain(&block);
	u->in = block.in;
	u->out = block.out;
	return done && u->out == block.out_end;
}

/**
 * unpack_lzfse() - decompress LZFSE
 * @u: the chunk
 *
 * Return: 0 or -EINVAL.
 */
int unpack_lzfse(struct unpack *u)
{
	while (unpack_in_left(u) >= 4) {
		u32 magic = get_le32(u->in);

		if (magic == LZFSE_END) {
			u->in += 4;
			return 0;
		}
		if (!lzfse_block(u, magic))
			return -EINVAL;
	}
	return -EINVAL;
}
