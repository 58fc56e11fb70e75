/* A column chunk, page by page: levels, values, dictionary. */
#include "decoder.h"

#include <stdlib.h>
#include <string.h>

/* Dictionary indices are decoded this many at a time: the batch stays in the first-level cache. */
#define BATCH 1024

typedef struct {
    uint8_t *at;
    int64_t size;
} block;

struct lf_scratch {
    block page;       /* the decompressed page */
    block dictionary; /* the dictionary's values, in the output's width, or the strings' bytes */
    block entries;    /* LF_BYTES: where each dictionary string begins, and its length */
    block dense;      /* values without their nulls, or 64-bit deltas */
    void *zstd;       /* its context */
    uint32_t indices[BATCH + 8];
};

static struct {
    lf_zstd_create create;
    lf_zstd_free release;
    lf_zstd_decompress decompress;
} zstd;

void lf_use_zstd(lf_zstd_create create, lf_zstd_free release, lf_zstd_decompress decompress) {
    zstd.create = create;
    zstd.release = release;
    zstd.decompress = decompress;
}

typedef struct {
    uint32_t start, length;
} entry;

typedef struct {
    lf_chunk *c;
    lf_scratch *s;
    int32_t value_width; /* bytes of a value in the page */
    int32_t out_width;   /* bytes of a value in the output */
    int64_t row;         /* rows decoded */
    int32_t dictionary_size;
    const uint8_t *dictionary;
    uint8_t *data; /* LF_BYTES */
    int64_t data_capacity;
} state;

lf_scratch *lf_scratch_new(void) { return calloc(1, sizeof(lf_scratch)); }

void lf_scratch_free(lf_scratch *s) {
    if (!s) return;
    free(s->page.at);
    free(s->dictionary.at);
    free(s->entries.at);
    free(s->dense.at);
    if (s->zstd) zstd.release(s->zstd);
    free(s);
}

/* Room for `bytes` and slack; what was there is lost. */
static uint8_t *room(block *b, int64_t bytes) {
    if (b->size < bytes + LF_SLACK) {
        free(b->at);
        b->size = bytes + bytes / 4 + LF_SLACK;
        b->at = malloc((size_t)b->size);
        if (!b->at) b->size = 0;
    }
    return b->at;
}

/* ---- values of fixed width ---- */

static void decimal_from(uint8_t *out, int64_t value) {
    int64_t high = value < 0 ? -1 : 0;
    memcpy(out, &value, 8);
    memcpy(out + 8, &high, 8);
}

/* `count` plain values of the page -> the output's form. */
static void convert(const state *st, const uint8_t *in, uint8_t *out, int64_t count) {
    const lf_chunk *c = st->c;
    if (c->output == LF_COPY) {
        memcpy(out, in, (size_t)(count * st->value_width));
    } else if (c->physical == LF_INT64) {
        for (int64_t i = 0; i < count; i++) {
            int64_t value;
            memcpy(&value, in + i * 8, 8);
            decimal_from(out + i * 16, value);
        }
    } else if (c->physical == LF_INT32) {
        for (int64_t i = 0; i < count; i++) {
            int32_t value;
            memcpy(&value, in + i * 4, 4);
            decimal_from(out + i * 16, value);
        }
    } else { /* big-endian two's complement of up to 16 bytes */
        for (int64_t i = 0; i < count; i++) {
            const uint8_t *from = in + i * st->value_width;
            uint8_t *to = out + i * 16;
            memset(to, from[0] & 0x80 ? 0xff : 0, 16);
            for (int32_t k = 0; k < st->value_width; k++) to[k] = from[st->value_width - 1 - k];
        }
    }
}

#define GATHER(W)                                                                                                      \
    LF_CLONES static void gather_##W(uint8_t *out, const uint8_t *dictionary, const uint32_t *index, int32_t count) {            \
        for (int32_t i = 0; i < count; i++) memcpy(out + (int64_t)i * W, dictionary + (int64_t)index[i] * W, W);       \
    }
GATHER(4)
GATHER(8)
GATHER(16)

static void gather(uint8_t *out, const uint8_t *dictionary, const uint32_t *index, int32_t count, int32_t width) {
    if (width == 4) gather_4(out, dictionary, index, count);
    else if (width == 8) gather_8(out, dictionary, index, count);
    else if (width == 16) gather_16(out, dictionary, index, count);
    else
        for (int32_t i = 0; i < count; i++)
            memcpy(out + (int64_t)i * width, dictionary + (int64_t)index[i] * width, (size_t)width);
}

static void repeat_value(uint8_t *out, const uint8_t *value, int32_t count, int32_t width) {
    if (width == 8)
        for (int32_t i = 0; i < count; i++) memcpy(out + (int64_t)i * 8, value, 8);
    else
        for (int32_t i = 0; i < count; i++) memcpy(out + (int64_t)i * width, value, (size_t)width);
}

LF_CLONES static uint32_t largest(const uint32_t *values, int32_t count) {
    uint32_t most = 0;
    for (int32_t i = 0; i < count; i++) most = values[i] > most ? values[i] : most;
    return most;
}

/* Values `row` and on of a fixed width, `count` of them without nulls. */
static int fixed_from_dictionary(state *st, const uint8_t *in, int64_t size, uint8_t *out, int64_t count) {
    lf_hybrid h;
    if (size < 1 || lf_hybrid_init(&h, in + 1, size - 1, in[0])) return LF_CORRUPT;
    uint32_t *index = st->s->indices;
    for (int64_t done = 0; done < count;) {
        int32_t most = count - done < BATCH ? (int32_t)((count - done + 7) & ~7) : BATCH;
        int32_t repeat;
        uint32_t value;
        int32_t got = lf_hybrid_next(&h, index, most, &repeat, &value);
        if (got <= 0) return LF_CORRUPT;
        if (got > count - done) got = (int32_t)(count - done);
        uint8_t *to = out + done * st->out_width;
        if (repeat) {
            if (value >= (uint32_t)st->dictionary_size) return LF_CORRUPT;
            repeat_value(to, st->dictionary + (int64_t)value * st->out_width, got, st->out_width);
        } else {
            if (largest(index, got) >= (uint32_t)st->dictionary_size) return LF_CORRUPT;
            gather(to, st->dictionary, index, got, st->out_width);
        }
        done += got;
    }
    return LF_OK;
}

static int fixed_from_delta(state *st, const uint8_t *in, int64_t size, uint8_t *out, int64_t count) {
    if (st->c->physical != LF_INT32 && st->c->physical != LF_INT64) return LF_CORRUPT;
    int64_t *wide = (int64_t *)room(&st->s->dense, count * 8);
    if (!wide) return LF_NO_MEMORY;
    if (lf_delta(in, size, wide, count) < 0) return LF_CORRUPT;
    if (st->c->physical == LF_INT32) {
        int32_t *narrow = (int32_t *)wide; /* written behind where it is read */
        for (int64_t i = 0; i < count; i++) {
            int32_t value = (int32_t)wide[i];
            memcpy(narrow + i, &value, 4);
        }
    }
    convert(st, (const uint8_t *)wide, out, count);
    return LF_OK;
}

static int fixed_from_streams(state *st, const uint8_t *in, int64_t size, uint8_t *out, int64_t count) {
    int32_t width = st->value_width;
    if (size < count * width) return LF_CORRUPT;
    uint8_t *values = room(&st->s->dense, count * width);
    if (!values) return LF_NO_MEMORY;
    for (int32_t k = 0; k < width; k++)
        for (int64_t i = 0; i < count; i++) values[i * width + k] = in[k * count + i];
    convert(st, values, out, count);
    return LF_OK;
}

enum { PLAIN = 0, PLAIN_DICTIONARY = 2, RLE = 3, DELTA = 5, DELTA_LENGTH = 6, DELTA_STRINGS = 7, RLE_DICTIONARY = 8,
       BYTE_STREAM_SPLIT = 9 };

static int fixed_values(state *st, int32_t encoding, const uint8_t *in, int64_t size, uint8_t *out, int64_t count) {
    switch (encoding) {
    case PLAIN:
        if (size < count * st->value_width) return LF_CORRUPT;
        convert(st, in, out, count);
        return LF_OK;
    case PLAIN_DICTIONARY: case RLE_DICTIONARY:
        return st->dictionary ? fixed_from_dictionary(st, in, size, out, count) : LF_CORRUPT;
    case DELTA: return fixed_from_delta(st, in, size, out, count);
    case BYTE_STREAM_SPLIT: return fixed_from_streams(st, in, size, out, count);
    default: return LF_UNSUPPORTED;
    }
}

static inline int bit(const uint8_t *bits, int64_t i) { return bits[i >> 3] >> (i & 7) & 1; }

/* Move `dense` values, which lie at the beginning of `rows` places, to the places that aren't null. */
static void spread(uint8_t *out, int32_t width, const uint8_t *valid, int64_t first, int64_t rows, int64_t dense) {
    for (int64_t i = rows - 1; i >= 0; i--) {
        uint8_t *to = out + i * width;
        if (!bit(valid, first + i)) memset(to, 0, (size_t)width);
        else if (--dense != i) memcpy(to, out + dense * width, (size_t)width);
        else return; /* all before are in place */
    }
}

/* ---- booleans ---- */

static int boolean_values(state *st, int32_t encoding, const uint8_t *in, int64_t size, int64_t rows, int64_t dense) {
    uint8_t *flags = room(&st->s->dense, dense + 8);
    if (!flags) return LF_NO_MEMORY;
    if (encoding == PLAIN) {
        if (size < (dense + 7) / 8) return LF_CORRUPT;
        for (int64_t i = 0; i < dense; i++) flags[i] = (uint8_t)bit(in, i);
    } else if (encoding == RLE) {
        uint32_t bytes;
        lf_hybrid h;
        if (size < 4) return LF_CORRUPT;
        memcpy(&bytes, in, 4);
        if (bytes > size - 4 || lf_hybrid_init(&h, in + 4, bytes, 1)) return LF_CORRUPT;
        for (int64_t done = 0; done < dense;) {
            int32_t repeat;
            uint32_t value;
            int32_t got = lf_hybrid_next(&h, st->s->indices, BATCH, &repeat, &value);
            if (got <= 0) return LF_CORRUPT;
            if (got > dense - done) got = (int32_t)(dense - done);
            for (int32_t i = 0; i < got; i++) flags[done + i] = (uint8_t)(repeat ? value & 1 : st->s->indices[i]);
            done += got;
        }
    } else {
        return LF_UNSUPPORTED;
    }
    for (int64_t i = 0, from = 0; i < rows; i++) {
        int64_t at = st->row + i;
        if (dense < rows && !bit(st->c->validity, at)) continue;
        st->c->values[at >> 3] |= (uint8_t)(flags[from++] << (at & 7));
    }
    return LF_OK;
}

/* ---- strings ---- */

#define WIDE 32

/* Copy a string; both sides have WIDE bytes, which short ones use. */
static inline void copy_string(uint8_t *out, const uint8_t *in, uint32_t length) {
    memcpy(out, in, WIDE);
    if (length > WIDE) memcpy(out + WIDE, in + WIDE, length - WIDE);
}

/* Make room for `bytes` more, guessing the whole chunk from what this page takes. */
static int grow_data(state *st, int64_t used, int64_t bytes, int64_t page_rows) {
    int64_t needed = used + bytes + LF_SLACK;
    if (needed - LF_SLACK > INT32_MAX) return LF_UNSUPPORTED; /* 32-bit offsets end here */
    if (needed <= st->data_capacity) return LF_OK;
    int64_t left = st->c->rows - st->row - page_rows;
    int64_t guess = page_rows ? (int64_t)((double)bytes / (double)page_rows * (double)left * 1.05) : 0;
    if (guess > INT32_MAX - bytes - used) guess = INT32_MAX - bytes - used;
    st->data = st->c->grow(st->c->index, needed + guess);
    if (!st->data) return LF_NO_MEMORY;
    st->data_capacity = needed + guess;
    return LF_OK;
}

static int64_t string_bytes(const entry *entries, const uint32_t *index, int32_t count) {
    int64_t total = 0;
    for (int32_t i = 0; i < count; i++) total += entries[index[i]].length;
    return total;
}

/* Offsets of `count` strings from `offsets[0]`, which is there, to `offsets[count]`. */
static int strings_from_dictionary(state *st, const uint8_t *in, int64_t size, int32_t *offsets, int64_t count) {
    lf_hybrid h;
    if (size < 1 || lf_hybrid_init(&h, in + 1, size - 1, in[0])) return LF_CORRUPT;
    uint32_t *index = st->s->indices;
    const entry *entries = (const entry *)st->s->entries.at;
    for (int64_t done = 0; done < count;) {
        int32_t most = count - done < BATCH ? (int32_t)((count - done + 7) & ~7) : BATCH;
        int32_t repeat;
        uint32_t value;
        int32_t got = lf_hybrid_next(&h, index, most, &repeat, &value);
        if (got <= 0) return LF_CORRUPT;
        if (got > count - done) got = (int32_t)(count - done);
        if (repeat)
            for (int32_t i = 0; i < got; i++) index[i] = value;
        if (largest(index, got) >= (uint32_t)st->dictionary_size) return LF_CORRUPT;
        int64_t at = offsets[done];
        int status = grow_data(st, at, string_bytes(entries, index, got), got);
        if (status) return status;
        for (int32_t i = 0; i < got; i++) {
            entry e = entries[index[i]];
            copy_string(st->data + at, st->dictionary + e.start, e.length);
            at += e.length;
            offsets[done + i + 1] = (int32_t)at;
        }
        done += got;
    }
    return LF_OK;
}

/* `in` may be the caller's memory, so nothing is read behind `size`. */
static int strings_from_plain(state *st, const uint8_t *in, int64_t size, int32_t *offsets, int64_t count) {
    const uint8_t *from = in, *end = in + size;
    int64_t at = offsets[0];
    int status = grow_data(st, at, size, count);
    if (status) return status;
    for (int64_t i = 0; i < count; i++) {
        uint32_t length;
        if (end - from < 4) return LF_CORRUPT;
        memcpy(&length, from, 4);
        from += 4;
        if (length > (uint64_t)(end - from)) return LF_CORRUPT;
        if (end - from >= WIDE) copy_string(st->data + at, from, length);
        else memcpy(st->data + at, from, length);
        from += length;
        at += length;
        offsets[i + 1] = (int32_t)at;
    }
    return LF_OK;
}

static int strings_from_delta_lengths(state *st, const uint8_t *in, int64_t size, int32_t *offsets, int64_t count) {
    int64_t *lengths = (int64_t *)room(&st->s->dense, count * 8);
    if (!lengths) return LF_NO_MEMORY;
    int64_t taken = lf_delta(in, size, lengths, count);
    if (taken < 0) return LF_CORRUPT;
    int64_t at = offsets[0], bytes = 0;
    for (int64_t i = 0; i < count; i++) {
        if (lengths[i] < 0 || lengths[i] > size - taken - bytes) return LF_CORRUPT;
        bytes += lengths[i];
    }
    int status = grow_data(st, at, bytes, count);
    if (status) return status;
    memcpy(st->data + at, in + taken, (size_t)bytes);
    for (int64_t i = 0; i < count; i++) offsets[i + 1] = (int32_t)(at += lengths[i]);
    return LF_OK;
}

/* Give null rows an empty string: `dense` + 1 offsets become `rows` + 1. */
static void spread_offsets(int32_t *offsets, const uint8_t *valid, int64_t first, int64_t rows, int64_t dense) {
    for (int64_t i = rows; i > 0; i--) {
        offsets[i] = offsets[dense];
        if (bit(valid, first + i - 1)) dense--;
    }
}

static int string_values(state *st, int32_t encoding, const uint8_t *in, int64_t size, int64_t rows, int64_t dense) {
    int32_t *offsets = (int32_t *)st->c->values + st->row;
    int status = LF_OK;
    if (dense) switch (encoding) {
    case PLAIN: status = strings_from_plain(st, in, size, offsets, dense); break;
    case PLAIN_DICTIONARY: case RLE_DICTIONARY:
        status = st->dictionary ? strings_from_dictionary(st, in, size, offsets, dense) : LF_CORRUPT;
        break;
    case DELTA_LENGTH: status = strings_from_delta_lengths(st, in, size, offsets, dense); break;
    default: return LF_UNSUPPORTED;
    }
    if (status == LF_OK && dense < rows) spread_offsets(offsets, st->c->validity, st->row, rows, dense);
    return status;
}

/* ---- pages ---- */

static int dictionary_strings(state *st, const uint8_t *in, int64_t size, int32_t count) {
    if ((int64_t)count * 4 > size) return LF_CORRUPT; /* each has a length of four bytes */
    entry *entries = (entry *)room(&st->s->entries, (int64_t)count * (int64_t)sizeof(entry));
    uint8_t *bytes = room(&st->s->dictionary, size);
    if (!entries || !bytes) return LF_NO_MEMORY;
    memcpy(bytes, in, (size_t)size);
    int64_t at = 0;
    for (int32_t i = 0; i < count; i++) {
        uint32_t length;
        if (size - at < 4) return LF_CORRUPT;
        memcpy(&length, in + at, 4);
        at += 4;
        if (length > (uint64_t)(size - at)) return LF_CORRUPT;
        entries[i] = (entry){(uint32_t)at, length};
        at += length;
    }
    st->dictionary = bytes;
    st->dictionary_size = count;
    return LF_OK;
}

static int dictionary_page(state *st, const lf_page *page, const uint8_t *in, int64_t size) {
    int32_t count = page->num_values;
    if (st->dictionary || count < 0) return LF_CORRUPT;
    if (page->encoding != PLAIN && page->encoding != PLAIN_DICTIONARY) return LF_UNSUPPORTED;
    if (st->c->output == LF_BYTES) return dictionary_strings(st, in, size, count);
    if (st->c->output == LF_BITS || size < (int64_t)count * st->value_width) return LF_CORRUPT;
    uint8_t *values = room(&st->s->dictionary, (int64_t)count * st->out_width);
    if (!values) return LF_NO_MEMORY;
    convert(st, in, values, count);
    st->dictionary = values;
    st->dictionary_size = count;
    return LF_OK;
}

static void set_bits(uint8_t *bits, int64_t from, int64_t count) {
    int64_t end = from + count;
    while (from < end && (from & 7)) bits[from >> 3] |= (uint8_t)(1 << (from & 7)), from++;
    if (end - from >= 8) {
        memset(bits + (from >> 3), 0xff, (size_t)((end - from) >> 3));
        from += (end - from) & ~7ll;
    }
    while (from < end) bits[from >> 3] |= (uint8_t)(1 << (from & 7)), from++;
}

/* Definition levels of a flat optional column -> validity bits; the number of values that are there, or -1. */
static int64_t levels(state *st, const uint8_t *in, int64_t size, int64_t rows) {
    lf_hybrid h;
    if (lf_hybrid_init(&h, in, size, 1)) return -1;
    int64_t valid = 0;
    for (int64_t done = 0; done < rows;) {
        int32_t repeat;
        uint32_t value;
        int32_t got = lf_hybrid_next(&h, st->s->indices, BATCH, &repeat, &value);
        if (got <= 0) return -1;
        if (got > rows - done) got = (int32_t)(rows - done);
        if (repeat && value > 1) return -1;
        if (repeat && value) {
            set_bits(st->c->validity, st->row + done, got);
            valid += got;
        } else if (!repeat) {
            for (int32_t i = 0; i < got; i++) {
                int64_t at = st->row + done + i;
                st->c->validity[at >> 3] |= (uint8_t)(st->s->indices[i] << (at & 7));
                valid += st->s->indices[i];
            }
        }
        done += got;
    }
    return valid;
}

static int data_page(state *st, const lf_page *page, const uint8_t *in, int64_t size) {
    lf_chunk *c = st->c;
    int64_t rows = page->num_values, dense = rows;
    if (rows < 0 || rows > c->rows - st->row) return LF_CORRUPT;
    if (c->optional) {
        int64_t level_bytes = page->def_bytes;
        if (page->type == 0) {
            uint32_t stated;
            if (page->levels_encoding != RLE) return LF_UNSUPPORTED;
            if (size < 4) return LF_CORRUPT;
            memcpy(&stated, in, 4);
            level_bytes = stated;
            in += 4;
            size -= 4;
        }
        if (level_bytes < 0 || level_bytes > size) return LF_CORRUPT;
        dense = levels(st, in, level_bytes, rows);
        if (dense < 0) return LF_CORRUPT;
        in += level_bytes;
        size -= level_bytes;
        c->nulls += rows - dense;
    }
    int status;
    if (c->output == LF_BYTES) {
        status = string_values(st, page->encoding, in, size, rows, dense);
    } else if (c->output == LF_BITS) {
        status = !dense ? LF_OK : boolean_values(st, page->encoding, in, size, rows, dense);
    } else {
        uint8_t *out = c->values + st->row * st->out_width;
        status = dense ? fixed_values(st, page->encoding, in, size, out, dense) : LF_OK;
        if (status == LF_OK && dense < rows) spread(out, st->out_width, c->validity, st->row, rows, dense);
    }
    st->row += rows;
    return status;
}

/* Exactly `out_size` bytes; 0 when done. */
static int decompress(state *st, const uint8_t *in, int64_t in_size, uint8_t *out, int64_t out_size) {
    if (st->c->codec == LF_SNAPPY) return lf_snappy(in, in_size, out, out_size);
    if (st->c->codec == LF_ZSTD && zstd.decompress) {
        if (!st->s->zstd) st->s->zstd = zstd.create();
        if (!st->s->zstd) return -1;
        return zstd.decompress(st->s->zstd, out, (size_t)out_size, in, (size_t)in_size) != (size_t)out_size;
    }
    return st->c->decompress(in, in_size, out, out_size);
}

/* The page's bytes as they were before compression; levels of v2 pages are never compressed. */
static int page_body(state *st, const lf_page *page, const uint8_t *in, const uint8_t **body) {
    lf_chunk *c = st->c;
    int64_t levels_size = page->type == 3 ? (int64_t)page->def_bytes + page->rep_bytes : 0;
    if (levels_size < 0 || page->def_bytes < 0 || page->rep_bytes != 0 || levels_size > page->compressed_size ||
        levels_size > page->uncompressed_size)
        return LF_CORRUPT;
    /* Some writers state sizes that don't add up, or levels of columns that have none. */
    if (page->uncompressed_size > c->uncompressed_limit || (levels_size && !c->optional)) return LF_UNSUPPORTED;
    if (c->codec == LF_UNCOMPRESSED || (page->type == 3 && !page->is_compressed)) {
        *body = in;
        return page->compressed_size == page->uncompressed_size ? LF_OK : LF_CORRUPT;
    }
    uint8_t *out = room(&st->s->page, page->uncompressed_size);
    if (!out) return LF_NO_MEMORY;
    memcpy(out, in, (size_t)levels_size);
    *body = out;
    int64_t in_size = page->compressed_size - levels_size, out_size = page->uncompressed_size - levels_size;
    if (out_size == 0) return LF_OK;
    in += levels_size;
    out += levels_size;
    return decompress(st, in, in_size, out, out_size) ? LF_CORRUPT : LF_OK;
}

static int start(state *st) {
    static const int32_t widths[] = {[LF_INT32] = 4, [LF_INT64] = 8, [LF_FLOAT] = 4, [LF_DOUBLE] = 8};
    lf_chunk *c = st->c;
    int bytes = c->output == LF_BYTES, bits = c->output == LF_BITS;
    if (c->rows < 0 || c->rows > INT32_MAX || bytes != (c->physical == LF_BYTE_ARRAY) ||
        bits != (c->physical == LF_BOOLEAN) || c->physical < 0 || c->physical > LF_FIXED || c->physical == 3)
        return LF_UNSUPPORTED;
    st->value_width = c->physical == LF_FIXED ? c->width : c->physical <= LF_DOUBLE ? widths[c->physical] : 0;
    st->out_width = c->output == LF_DECIMAL ? 16 : st->value_width;
    if (!bytes && !bits && st->value_width < 1) return LF_UNSUPPORTED;
    if (c->output == LF_DECIMAL && st->value_width > 16) return LF_UNSUPPORTED;
    if (c->optional) memset(c->validity, 0, (size_t)((c->rows + 7) / 8));
    if (bits) memset(c->values, 0, (size_t)((c->rows + 7) / 8));
    if (bytes) memset(c->values, 0, 4);
    return LF_OK;
}

int lf_decode_chunk(lf_scratch *scratch, lf_chunk *c) {
    state st = {.c = c, .s = scratch, .data = c->data, .data_capacity = c->data_capacity};
    const uint8_t *at = c->bytes, *end = c->bytes + c->size;
    c->nulls = c->data_bytes = 0;
    int status = start(&st);
    while (status == LF_OK && st.row < c->rows) {
        lf_page page;
        const uint8_t *body;
        int64_t head = lf_page_header(at, end - at, &page);
        if (head < 0 || page.compressed_size > end - at - head) return LF_CORRUPT;
        at += head;
        if (page.has_crc && c->check_crc && lf_crc32(at, page.compressed_size) != page.crc) return LF_CHECKSUM;
        if (page.type != 1) {
            status = page_body(&st, &page, at, &body);
            if (status) return status;
            if (page.type == 2) status = dictionary_page(&st, &page, body, page.uncompressed_size);
            else if (page.type == 0 || page.type == 3) status = data_page(&st, &page, body, page.uncompressed_size);
            else return LF_UNSUPPORTED;
        }
        at += page.compressed_size;
    }
    if (c->output == LF_BYTES && status == LF_OK) c->data_bytes = ((const int32_t *)c->values)[c->rows];
    return status;
}

void lf_decode_chunks(lf_scratch *scratch, lf_chunk *chunks, int32_t count) {
    for (int32_t i = 0; i < count; i++) chunks[i].status = lf_decode_chunk(scratch, &chunks[i]);
}
