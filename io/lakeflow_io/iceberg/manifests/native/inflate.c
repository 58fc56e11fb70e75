/* DEFLATE: https://www.rfc-editor.org/rfc/rfc1951
 *
 * Why one of our own: some writers make a block of every record, and then a call of a library for each costs more
 * than what it does.
 */
#include <stdlib.h>

#include "../../../parquet/native/parts.h"
#include "avro.h"

enum { MOST_BITS = 15, LITERALS = 288, DISTANCES = 32, LITERAL_BITS = 10, DISTANCE_BITS = 8 };
enum { LITERAL = 0, COPY = 1, STOP = 2, WRONG = 3 };

/* A decoded symbol: its value, how many bits its code has (0: it isn't in the table), how many follow, what it is. */
typedef struct {
    uint16_t value;
    uint8_t bits;
    uint8_t extra : 4, kind : 4;
} symbol;

typedef struct {
    symbol *fast;
    int32_t fast_bits;
    uint16_t counts[MOST_BITS + 1]; /* codes of each length */
    uint16_t symbols[LITERALS];     /* in the order of their codes */
    const symbol *meanings;
} codes;

typedef struct {
    const uint8_t *at, *end;
    uint64_t bits;
    int32_t count; /* below zero: the input was too short */
} bit_reader;

static symbol literal_meanings[LITERALS], distance_meanings[DISTANCES];

__attribute__((constructor)) static void make_meanings(void) {
    int base = 3, distance = 1;
    for (int i = 0; i < 256; i++) literal_meanings[i] = (symbol){(uint16_t)i, 0, 0, LITERAL};
    literal_meanings[256] = (symbol){0, 0, 0, STOP};
    for (int i = 257; i < LITERALS; i++) {
        int extra = i < 265 || i == 285 ? 0 : (i - 261) / 4;
        literal_meanings[i] = (symbol){(uint16_t)(i == 285 ? 258 : base), 0, extra & 15, i > 285 ? WRONG : COPY};
        base += 1 << extra;
    }
    for (int i = 0; i < DISTANCES; i++) {
        int extra = i < 4 ? 0 : (i - 2) / 2;
        distance_meanings[i] = (symbol){(uint16_t)distance, 0, extra & 15, i < 30 ? COPY : WRONG};
        distance += 1 << extra;
    }
}

static inline void refill(bit_reader *r) {
    if (r->count < 0) return;
    if (r->end - r->at >= 8) {
        uint64_t more;
        memcpy(&more, r->at, 8);
        r->bits |= more << r->count;
        r->at += (63 - r->count) >> 3;
        r->count |= 56;
        return;
    }
    for (; r->count <= 56 && r->at < r->end; r->count += 8) r->bits |= (uint64_t)*r->at++ << r->count;
}

/* The next `count` bits, at most 16; what is behind the input is zero. */
static inline uint32_t take(bit_reader *r, int32_t count) {
    uint32_t value = (uint32_t)(r->bits & ((1u << count) - 1));
    r->bits >>= count;
    r->count -= count;
    return value;
}

/* A code for symbols of such lengths; 0 where there is none. */
static int make_codes(codes *c, const uint8_t *lengths, int32_t count) {
    uint16_t next[MOST_BITS + 2], starts[MOST_BITS + 2];
    int32_t left = 1, code = 0, used = 0;
    memset(c->counts, 0, sizeof c->counts);
    memset(c->fast, 0, sizeof(symbol) << c->fast_bits);
    for (int32_t i = 0; i < count; i++) c->counts[lengths[i]]++;
    used = count - c->counts[0];
    c->counts[0] = 0;
    starts[1] = 0;
    for (int32_t bits = 1; bits <= MOST_BITS; bits++) {
        left = 2 * left - c->counts[bits];
        if (left < 0) return 0;
        code = (code + c->counts[bits - 1]) << 1;
        next[bits] = (uint16_t)code;
        starts[bits + 1] = (uint16_t)(starts[bits] + c->counts[bits]);
    }
    /* Too few codes: only a single one, or none at all. */
    if (left > 0 && used > 1) return 0;
    for (int32_t i = 0; i < count; i++) {
        int32_t bits = lengths[i];
        if (!bits) continue;
        c->symbols[starts[bits]++] = (uint16_t)i;
        uint32_t this = next[bits]++, turned = 0;
        if (bits > c->fast_bits) continue;
        for (int32_t b = 0; b < bits; b++) turned |= (this >> b & 1) << (bits - 1 - b);
        symbol found = c->meanings[i];
        found.bits = (uint8_t)bits;
        for (; turned < 1u << c->fast_bits; turned += 1u << bits) c->fast[turned] = found;
    }
    return 1;
}

/* One whose code is longer than the table's. */
static symbol long_symbol(const codes *c, uint64_t bits) {
    int32_t code = 0, first = 0, index = 0;
    for (int32_t length = 1; length <= MOST_BITS; length++) {
        code |= (int32_t)(bits & 1);
        bits >>= 1;
        if (code - c->counts[length] < first) {
            symbol found = c->meanings[c->symbols[index + code - first]];
            found.bits = (uint8_t)length;
            return found;
        }
        index += c->counts[length];
        first = (first + c->counts[length]) << 1;
        code <<= 1;
    }
    return (symbol){0, MOST_BITS, 0, WRONG};
}

static inline symbol next_symbol(const codes *c, bit_reader *r) {
    symbol found = c->fast[r->bits & ((1u << c->fast_bits) - 1)];
    if (!found.bits) found = long_symbol(c, r->bits);
    r->bits >>= found.bits;
    r->count -= found.bits;
    return found;
}

static int has_room(lf_bytes *out, int64_t more, int64_t limit) {
    if (out->size + more <= out->capacity) return LF_AVRO_OK;
    if (out->size + more > limit + 258) return LF_AVRO_TOO_LARGE;
    int64_t wanted = 2 * (out->size + more);
    uint8_t *made = realloc(out->at, (size_t)(wanted + LF_SLACK));
    if (!made) return LF_AVRO_NO_MEMORY;
    out->at = made;
    out->capacity = wanted;
    return LF_AVRO_OK;
}

static int stored_block(bit_reader *r, lf_bytes *out, int64_t limit) {
    take(r, r->count & 7);
    r->at -= r->count >> 3; /* whole bytes that were read ahead */
    r->bits = 0;
    r->count = 0;
    if (r->end - r->at < 4) return LF_AVRO_CORRUPT;
    uint16_t length, inverse;
    memcpy(&length, r->at, 2);
    memcpy(&inverse, r->at + 2, 2);
    r->at += 4;
    if ((length ^ inverse) != 0xffff || r->end - r->at < length) return LF_AVRO_CORRUPT;
    int room = has_room(out, length, limit);
    if (room) return room;
    memcpy(out->at + out->size, r->at, length);
    out->size += length;
    r->at += length;
    return LF_AVRO_OK;
}

static int coded_block(bit_reader *r, const codes *literals, const codes *distances, lf_bytes *out, int64_t limit) {
    for (;;) {
        int room = has_room(out, 258, limit);
        if (room) return room;
        refill(r);
        symbol found = next_symbol(literals, r);
        if (found.kind == LITERAL) { /* there are bits for two more */
            out->at[out->size++] = (uint8_t)found.value;
            found = next_symbol(literals, r);
            if (found.kind == LITERAL) {
                out->at[out->size++] = (uint8_t)found.value;
                if (r->count < 0) return LF_AVRO_CORRUPT;
                continue;
            }
        }
        if (r->count < 0 || found.kind == WRONG) return LF_AVRO_CORRUPT;
        if (found.kind == STOP) return LF_AVRO_OK;
        int64_t length = found.value + take(r, found.extra);
        refill(r);
        symbol far = next_symbol(distances, r);
        int64_t distance = far.value + take(r, far.extra);
        if (r->count < 0 || far.kind == WRONG || distance > out->size) return LF_AVRO_CORRUPT;
        lf_copy_match(out->at + out->size, distance, length);
        out->size += length;
    }
}

/* The lengths of a block's own codes, which are coded themselves. */
static int read_lengths(bit_reader *r, codes *c, uint8_t *lengths, int32_t *literals, int32_t *distances) {
    static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    refill(r);
    *literals = (int32_t)take(r, 5) + 257;
    *distances = (int32_t)take(r, 5) + 1;
    int32_t count = (int32_t)take(r, 4) + 4, total = *literals + *distances, done = 0;
    if (*literals > 286 || *distances > 30) return 0;
    memset(lengths, 0, 19);
    for (int32_t i = 0; i < count; i++) {
        refill(r);
        lengths[order[i]] = (uint8_t)take(r, 3);
    }
    if (!make_codes(c, lengths, 19)) return 0;
    while (done < total) {
        refill(r);
        symbol found = next_symbol(c, r);
        if (r->count < 0 || found.kind == WRONG) return 0;
        if (found.value < 16) {
            lengths[done++] = (uint8_t)found.value;
            continue;
        }
        if (found.value == 16 && !done) return 0;
        uint8_t repeated = found.value == 16 ? lengths[done - 1] : 0;
        int32_t times = found.value == 16 ? 3 + (int32_t)take(r, 2) :
                        found.value == 17 ? 3 + (int32_t)take(r, 3) : 11 + (int32_t)take(r, 7);
        if (r->count < 0 || done + times > total) return 0;
        while (times--) lengths[done++] = repeated;
    }
    return lengths[256] != 0; /* a block has to end */
}

int lf_inflate(const uint8_t *in, int64_t in_size, lf_bytes *out, int64_t limit) {
    symbol fast_literals[1 << LITERAL_BITS], fast_distances[1 << DISTANCE_BITS];
    codes literals = {.fast = fast_literals, .fast_bits = LITERAL_BITS, .meanings = literal_meanings};
    codes distances = {.fast = fast_distances, .fast_bits = DISTANCE_BITS, .meanings = distance_meanings};
    uint8_t lengths[320];
    bit_reader r = {in, in + in_size, 0, 0};
    uint32_t last = 0;
    out->size = 0;
    while (!last) {
        refill(&r);
        last = take(&r, 1);
        uint32_t kind = take(&r, 2);
        int result;
        if (r.count < 0 || kind == 3) return LF_AVRO_CORRUPT;
        if (kind == 0) {
            result = stored_block(&r, out, limit);
        } else {
            int32_t n = 288, d = 32;
            if (kind == 1) {
                for (int i = 0; i < 288; i++) lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
                memset(lengths + 288, 5, 32);
            } else if (!read_lengths(&r, &literals, lengths, &n, &d)) {
                return LF_AVRO_CORRUPT;
            }
            if (!make_codes(&literals, lengths, n) || !make_codes(&distances, lengths + n, d)) return LF_AVRO_CORRUPT;
            result = coded_block(&r, &literals, &distances, out, limit);
        }
        if (result) return result;
        if (out->size > limit) return LF_AVRO_TOO_LARGE;
    }
    return LF_AVRO_OK;
}
