/* A column chunk, page by page: levels, decompression, and whose values they are. */
#include <stdlib.h>

#include "parts.h"

/* Scratch memory beyond this is given back after the chunk that needed it: most pages are 1 MiB. */
#define KEPT_BYTES (32 << 20)

lf_scratch *lf_scratch_new(void) { return calloc(1, sizeof(lf_scratch)); }

static void release(block *b) {
    free(b->at);
    b->at = NULL;
    b->size = 0;
}

void lf_scratch_free(lf_scratch *s) {
    if (!s) return;
    release(&s->page);
    release(&s->dictionary);
    release(&s->entries);
    release(&s->dense);
    lf_zstd_release(s->zstd);
    free(s);
}

static void trim(lf_scratch *s) {
    block *all[] = {&s->page, &s->dictionary, &s->entries, &s->dense};
    for (int i = 0; i < 4; i++)
        if (all[i]->size > KEPT_BYTES) release(all[i]);
}

uint8_t *lf_room(block *b, int64_t bytes) {
    if (b->size < bytes + LF_SLACK) {
        free(b->at);
        b->size = bytes + LF_SPARE(bytes) + LF_SLACK;
        b->at = malloc((size_t)b->size);
        if (!b->at) b->size = 0;
    }
    return b->at;
}

static int dictionary_page(state *st, const lf_page *page, const uint8_t *in, int64_t size) {
    int32_t count = page->num_values;
    if (st->dictionary || count < 0) return LF_CORRUPT;
    if (page->encoding != LF_PLAIN && page->encoding != LF_PLAIN_DICTIONARY) return LF_UNSUPPORTED;
    if (st->c->output == LF_BITS) return LF_CORRUPT;
    return (st->c->output == LF_BYTES ? lf_string_dictionary : lf_fixed_dictionary)(st, in, size, count);
}

/* Zero the bits of rows that come next. Those before may share the first byte, whose other bits are zero already. */
static void clear_bits(uint8_t *bits, int64_t from, int64_t count) {
    int64_t first = (from + 7) / 8, end = (from + count + 7) / 8;
    if (first < end) memset(bits + first, 0, (size_t)(end - first));
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

/* Put ones and zeros into bits that are zero; how many are one. */
static int64_t put_bits(uint8_t *bits, int64_t from, const uint32_t *values, int32_t count) {
    int64_t ones = 0;
    for (int32_t i = 0; i < count;) {
        uint32_t byte = 0;
        int64_t at = from + i;
        int32_t some = 8 - (int32_t)(at & 7);
        if (some > count - i) some = count - i;
        if (some == 8) /* of a length that the compiler knows */
            for (int k = 0; k < 8; k++) byte |= values[i + k] << k, ones += values[i + k];
        else
            for (int k = 0; k < some; k++) byte |= values[i + k] << ((at & 7) + k), ones += values[i + k];
        bits[at >> 3] |= (uint8_t)byte;
        i += some;
    }
    return ones;
}

/* Definition levels of a flat optional column -> validity bits; the number of values that are there, or -1. */
static int64_t levels(state *st, const uint8_t *in, int64_t size, int64_t rows) {
    lf_hybrid h;
    if (lf_hybrid_init(&h, in, size, 1)) return -1;
    clear_bits(st->c->validity, st->row, rows);
    int64_t valid = 0;
    for (int64_t done = 0; done < rows;) {
        int32_t repeat;
        uint32_t value;
        int32_t got = lf_hybrid_next(&h, st->s->indices, LF_BATCH, &repeat, &value);
        if (got <= 0) return -1;
        if (got > rows - done) got = (int32_t)(rows - done);
        if (repeat && value > 1) return -1;
        if (repeat && value) {
            set_bits(st->c->validity, st->row + done, got);
            valid += got;
        } else if (!repeat) {
            valid += put_bits(st->c->validity, st->row + done, st->s->indices, got);
        }
        done += got;
    }
    return valid;
}

/* Rows that are all null; bits are zero already. */
static void clear_fixed(const state *st, int64_t rows) {
    if (rows && st->out_width) memset(st->c->values + st->row * st->out_width, 0, (size_t)(rows * st->out_width));
}

static int data_page(state *st, const lf_page *page, const uint8_t *in, int64_t size) {
    lf_chunk *c = st->c;
    int64_t rows = page->num_values, dense = rows;
    if (rows < 0 || rows > c->rows - st->row) return LF_CORRUPT;
    if (c->optional) {
        int64_t level_bytes = page->def_bytes;
        if (page->type == LF_DATA_PAGE) {
            uint32_t stated;
            if (page->levels_encoding != LF_RLE) return LF_UNSUPPORTED;
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
    int status = LF_OK;
    if (c->output == LF_BITS) clear_bits(c->values, st->row, rows);
    if (c->output == LF_BYTES) status = lf_string_values(st, page->encoding, in, size, rows, dense);
    else if (dense == 0) clear_fixed(st, rows);
    else if (c->output == LF_BITS) status = lf_boolean_values(st, page->encoding, in, size, rows, dense);
    else status = lf_fixed_values(st, page->encoding, in, size, rows, dense);
    st->row += rows;
    return status;
}

/* As lf_decompress. */
static int decompress(state *st, const uint8_t *in, int64_t in_size, uint8_t *out, int64_t out_size) {
    switch (st->c->codec) {
    case LF_SNAPPY: return lf_snappy(in, in_size, out, out_size);
    case LF_LZ4: return lf_lz4(in, in_size, out, out_size);
    case LF_ZSTD:
        if (lf_has_zstd()) return lf_zstd(&st->s->zstd, in, in_size, out, out_size);
        break;
    default: break;
    }
    return st->c->decompress(in, in_size, out, out_size);
}

/* The page's bytes as they were before compression; levels of v2 pages are never compressed. */
static int page_body(state *st, const lf_page *page, const uint8_t *in, const uint8_t **body) {
    lf_chunk *c = st->c;
    int64_t levels_size = page->type == LF_DATA_PAGE_V2 ? (int64_t)page->def_bytes + page->rep_bytes : 0;
    if (levels_size < 0 || page->def_bytes < 0 || page->rep_bytes != 0 || levels_size > page->compressed_size ||
        levels_size > page->uncompressed_size)
        return LF_CORRUPT;
    /* Some writers state sizes that don't add up, or levels of columns that have none. */
    if (page->uncompressed_size > c->uncompressed_limit || (levels_size && !c->optional)) return LF_UNSUPPORTED;
    if (c->codec == LF_UNCOMPRESSED || (page->type == LF_DATA_PAGE_V2 && !page->is_compressed)) {
        *body = in;
        return page->compressed_size == page->uncompressed_size ? LF_OK : LF_CORRUPT;
    }
    uint8_t *out = lf_room(&st->s->page, page->uncompressed_size);
    if (!out) return LF_NO_MEMORY;
    memcpy(out, in, (size_t)levels_size);
    *body = out;
    int64_t in_size = page->compressed_size - levels_size, out_size = page->uncompressed_size - levels_size;
    if (out_size == 0) return LF_OK;
    in += levels_size;
    out += levels_size;
    return decompress(st, in, in_size, out, out_size) == 1 ? LF_OK : LF_CORRUPT;
}

/* The widths of a value in the page and in the output, where these go together; 0 for those that aren't fixed. */
static int find_widths(state *st) {
    static const int32_t widths[] = {[LF_INT32] = 4, [LF_INT64] = 8, [LF_FLOAT] = 4, [LF_DOUBLE] = 8};
    const lf_chunk *c = st->c;
    if (c->output == LF_BYTES) return c->physical == LF_BYTE_ARRAY;
    if (c->output == LF_BITS) return c->physical == LF_BOOLEAN;
    st->value_width = c->physical == LF_FIXED                                   ? c->width
                      : c->physical >= LF_INT32 && c->physical <= LF_DOUBLE ? widths[c->physical]
                                                                                : 0;
    st->out_width = c->output == LF_DECIMAL ? 16 : c->output == LF_NARROW ? c->width : st->value_width;
    if (st->value_width < 1) return 0;
    switch (c->output) {
    case LF_COPY: return 1;
    case LF_NARROW: return c->physical == LF_INT32 && (c->width == 1 || c->width == 2);
    case LF_DECIMAL: return c->physical != LF_FLOAT && c->physical != LF_DOUBLE && st->value_width <= 16;
    default: return 0;
    }
}

static int start(state *st) {
    lf_chunk *c = st->c;
    if (!st->s || !c->bytes || c->size < 0 || c->rows < 0 || c->rows > INT32_MAX || !find_widths(st))
        return LF_UNSUPPORTED;
    if (c->output == LF_BYTES) memset(c->values, 0, 4);
    return LF_OK;
}

static int decode(state *st) {
    lf_chunk *c = st->c;
    const uint8_t *at = c->bytes, *end = c->bytes + c->size;
    int status = LF_OK;
    while (status == LF_OK && st->row < c->rows) {
        lf_page page;
        const uint8_t *body;
        int64_t head = lf_page_header(at, end - at, &page);
        if (head < 0 || page.compressed_size > end - at - head) return LF_CORRUPT;
        if (page.type > LF_DATA_PAGE_V2) return LF_UNSUPPORTED;
        at += head;
        if (page.has_crc && c->check_crc && lf_crc32(at, page.compressed_size) != page.crc) return LF_CHECKSUM;
        if (page.type != LF_INDEX_PAGE) {
            status = page_body(st, &page, at, &body);
            if (status) return status;
            if (page.type == LF_DICTIONARY_PAGE) status = dictionary_page(st, &page, body, page.uncompressed_size);
            else status = data_page(st, &page, body, page.uncompressed_size);
        }
        at += page.compressed_size;
    }
    return status;
}

int lf_decode_chunk(lf_scratch *scratch, lf_chunk *c) {
    state st = {.c = c, .s = scratch, .data = c->data, .data_capacity = c->data_capacity};
    c->nulls = c->data_bytes = 0;
    int status = start(&st);
    if (status == LF_OK) status = decode(&st);
    if (status == LF_OK && c->output == LF_BYTES) c->data_bytes = ((const int32_t *)c->values)[c->rows];
    if (scratch) trim(scratch);
    return status;
}

void lf_decode_chunks(lf_scratch *scratch, lf_chunk *chunks, int32_t count) {
    for (int32_t i = 0; i < count; i++) {
        lf_make_pages(chunks[i].values, chunks[i].values_size);
        chunks[i].status = lf_decode_chunk(scratch, &chunks[i]);
    }
}
