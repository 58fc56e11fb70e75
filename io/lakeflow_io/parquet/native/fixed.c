/* Values of a fixed width: numbers, decimals, dates and times, fixed-size bytes. */
#include "parts.h"

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
    } else if (c->output == LF_NARROW) {
        for (int64_t i = 0; i < count; i++) memcpy(out + i * st->out_width, in + i * 4, (size_t)st->out_width);
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

/* `count` values from the dictionary. */
static int from_dictionary(state *st, const uint8_t *in, int64_t size, uint8_t *out, int64_t count) {
    lf_hybrid h;
    if (!st->dictionary || size < 1 || lf_hybrid_init(&h, in + 1, size - 1, in[0])) return LF_CORRUPT;
    uint32_t *index = st->s->indices;
    for (int64_t done = 0; done < count;) {
        int32_t repeat;
        uint32_t value = 0;
        int32_t got = lf_next_indices(&h, index, count - done, st->dictionary_size, &repeat, &value);
        if (got < 0) return LF_CORRUPT;
        uint8_t *to = out + done * st->out_width;
        if (repeat) repeat_value(to, st->dictionary + (int64_t)value * st->out_width, got, st->out_width);
        else gather(to, st->dictionary, index, got, st->out_width);
        done += got;
    }
    return LF_OK;
}

static int from_delta(state *st, const uint8_t *in, int64_t size, uint8_t *out, int64_t count) {
    if (st->c->physical != LF_INT32 && st->c->physical != LF_INT64) return LF_CORRUPT;
    int64_t *wide = (int64_t *)lf_room(&st->s->dense, count * 8);
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

static int from_streams(state *st, const uint8_t *in, int64_t size, uint8_t *out, int64_t count) {
    int32_t width = st->value_width;
    if (size != count * width) return LF_CORRUPT;
    uint8_t *values = lf_room(&st->s->dense, count * width);
    if (!values) return LF_NO_MEMORY;
    for (int32_t k = 0; k < width; k++)
        for (int64_t i = 0; i < count; i++) values[i * width + k] = in[k * count + i];
    convert(st, values, out, count);
    return LF_OK;
}

/* Move `dense` values, which lie at the beginning of `rows` places, to the places that aren't null; the others become
 * zero. From the end, without a branch on what is null: no processor can predict that. */
#define SPREAD(WIDTH, WORD)                                                                                            \
    static void spread_##WIDTH(uint8_t *out, const uint8_t *valid, int64_t first, int64_t rows, int64_t dense) {       \
        for (int64_t i = rows - 1; dense <= i; i--) { /* else, all before are in place */                              \
            WORD there = (WORD)lf_bit(valid, first + i), words[WIDTH / sizeof(WORD)];                                  \
            dense -= (int64_t)there;                                                                                   \
            memcpy(words, out + dense * WIDTH, WIDTH);                                                                 \
            for (size_t k = 0; k < WIDTH / sizeof(WORD); k++) words[k] &= (WORD)0 - there;                             \
            memcpy(out + i * WIDTH, words, WIDTH);                                                                     \
        }                                                                                                              \
    }
SPREAD(4, uint32_t)
SPREAD(8, uint64_t)
SPREAD(16, uint64_t)

static void spread(uint8_t *out, int32_t width, const uint8_t *valid, int64_t first, int64_t rows, int64_t dense) {
    if (width == 4) spread_4(out, valid, first, rows, dense);
    else if (width == 8) spread_8(out, valid, first, rows, dense);
    else if (width == 16) spread_16(out, valid, first, rows, dense);
    else
        for (int64_t i = rows - 1; dense <= i; i--) {
            if (lf_bit(valid, first + i)) memmove(out + i * width, out + --dense * width, (size_t)width);
            else memset(out + i * width, 0, (size_t)width);
        }
}

static int dense_values(state *st, int32_t encoding, const uint8_t *in, int64_t size, uint8_t *out, int64_t count) {
    switch (encoding) {
    case LF_PLAIN:
        if (size < count * st->value_width) return LF_CORRUPT;
        convert(st, in, out, count);
        return LF_OK;
    case LF_PLAIN_DICTIONARY: case LF_RLE_DICTIONARY: return from_dictionary(st, in, size, out, count);
    case LF_DELTA: return from_delta(st, in, size, out, count);
    case LF_STREAMS: return from_streams(st, in, size, out, count);
    default: return LF_UNSUPPORTED;
    }
}

int lf_fixed_values(state *st, int32_t encoding, const uint8_t *in, int64_t size, int64_t rows, int64_t dense) {
    uint8_t *out = st->c->values + st->row * st->out_width;
    int status = dense_values(st, encoding, in, size, out, dense);
    if (status == LF_OK && dense < rows) spread(out, st->out_width, st->c->validity, st->row, rows, dense);
    return status;
}

int lf_fixed_dictionary(state *st, const uint8_t *in, int64_t size, int32_t count) {
    if (size < (int64_t)count * st->value_width) return LF_CORRUPT;
    uint8_t *values = lf_room(&st->s->dictionary, (int64_t)count * st->out_width);
    if (!values) return LF_NO_MEMORY;
    convert(st, in, values, count);
    st->dictionary = values;
    st->dictionary_size = count;
    return LF_OK;
}
