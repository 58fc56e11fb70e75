/* Column chunks and footers of Parquet. */
#include "fuzz.h"
#include "parts.h"

#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#include <sanitizer/msan_interface.h>
#define CHECK_WRITTEN(at, size) __msan_check_mem_is_initialized(at, (size_t)(size))
#endif
#endif
#ifndef CHECK_WRITTEN
#define CHECK_WRITTEN(at, size) (void)0
#endif

/* As chunk_corpus.py writes it, before each chunk's bytes. */
typedef struct {
    int64_t size, rows, limit, physical, width, codec, optional, output;
} head;

typedef struct {
    head h;
    const uint8_t *bytes;
} sample;

/* Instead of a physical type: the sample is a footer, and `rows` counts its leaf columns. */
#define FOOTER (-1)

static uint8_t *grown;
static int64_t grown_size;

static uint8_t *grow(int32_t index, int64_t bytes) {
    (void)index;
    uint8_t *made = malloc((size_t)bytes);
    if (!made) return NULL;
    if (grown) memcpy(made, grown, (size_t)(grown_size < bytes ? grown_size : bytes));
    free(grown);
    grown_size = bytes;
    return grown = made;
}

/* The codec of a caller: its pages are stored as they are. */
static int copy_codec(const uint8_t *in, int64_t in_size, uint8_t *out, int64_t out_size) {
    if (in_size != out_size) return 0;
    memcpy(out, in, (size_t)out_size);
    return 1;
}

/* Where one of the page headers begins. */
static int64_t some_header(const uint8_t *bytes, int64_t size) {
    int64_t at = 0, chosen = 0, seen = 0;
    while (at < size) {
        lf_page page;
        int64_t taken = lf_page_header(bytes + at, size - at, &page);
        if (taken < 0 || page.compressed_size > size - at - taken) break;
        if (below(++seen) == 0) chosen = at;
        at += taken + page.compressed_size;
    }
    return chosen;
}

/* One change of the bytes; their new size. */
static int64_t mutate_chunk(uint8_t *bytes, int64_t size, const sample *other) {
    if (size == 0) return 0;
    int64_t at = below(size), length = below(64), from;
    switch (below(8)) {
    case 0: /* a header's field, or how its page's levels, widths and counts begin */
        at = some_header(bytes, size) + below(48);
        if (at < size) bytes[at] = odd_byte();
        return size;
    case 1:
        at = some_header(bytes, size) + below(48);
        if (at < size) put_too_large(bytes, size, at);
        return size;
    case 2: /* a piece of another chunk */
        from = below(other->h.size);
        if (length > other->h.size - from) length = other->h.size - from;
        if (length > size - at) length = size - at;
        memcpy(bytes + at, other->bytes + from, (size_t)length);
        return size;
    default: return mutate(bytes, size);
    }
}

/* What the footer says, and may lie about. */
static void mutate_head(head *h) {
    switch (below(8)) {
    case 0: h->rows = below(h->rows + 100); break;
    case 1: h->rows += 1 + below(1000); break;
    case 2: h->optional = !h->optional; break;
    case 3: h->codec = (int64_t[]){LF_UNCOMPRESSED, LF_SNAPPY, LF_LZ4, 6}[below(4)]; break;
    case 4: h->physical = below(9); h->output = below(6); break;
    case 5: h->width = below(20); break;
    case 6: h->limit = below(MOST_BYTES); break;
    default: h->physical = below(9); h->width = 1 + below(16); h->optional = below(2); break;
    }
}

static int64_t values_size(const head *h) {
    static const int64_t widths[] = {0, 4, 8, 0, 4, 8};
    switch (h->output) {
    case LF_BYTES: return (h->rows + 1) * 4;
    case LF_BITS: return (h->rows + 7) / 8;
    case LF_DECIMAL: return h->rows * 16;
    case LF_NARROW: return h->rows * h->width;
    default: return h->rows * (h->physical == LF_FIXED || h->physical > 5 ? h->width : widths[h->physical]);
    }
}

static void check(const lf_chunk *c, int64_t size) {
    int64_t valid = 0;
    for (int64_t i = 0; c->optional && i < c->rows; i++) valid += lf_bit(c->validity, i);
    if (c->nulls != (c->optional ? c->rows - valid : 0)) fail("the count of nulls");
    CHECK_WRITTEN(c->values, size);
    if (c->output != LF_BYTES) return;
    const int32_t *offsets = (const int32_t *)c->values;
    if (offsets[0] != 0 || offsets[c->rows] != c->data_bytes || c->data_bytes > grown_size) fail("the ends of offsets");
    for (int64_t i = 0; i < c->rows; i++)
        if (offsets[i] > offsets[i + 1]) fail("the order of offsets");
    CHECK_WRITTEN(grown, c->data_bytes);
}

/* In room for as many row groups as there may be, or for fewer. */
static void list_chunks(int32_t columns, const uint8_t *bytes, int64_t size) {
    int64_t most = below(3) ? size / (columns * 16) + 1 : below(3);
    int64_t *rows = malloc(sizeof(int64_t) * (size_t)most);
    lf_place *places = malloc(sizeof(lf_place) * (size_t)(most * columns));
    int64_t groups = lf_list_chunks(bytes, size, columns, most, rows, places);
    if (groups > most) fail("more row groups than there is room for");
    if (groups > 0) {
        CHECK_WRITTEN(rows, (int64_t)sizeof(int64_t) * groups);
        CHECK_WRITTEN(places, (int64_t)sizeof(lf_place) * groups * columns);
    }
    free(rows);
    free(places);
}

static int check_footer(const head *h, const uint8_t *bytes, int64_t size) {
    lf_leaf *leaves = malloc(sizeof(lf_leaf) * (size_t)h->rows);
    lf_fault fault;
    int kind = lf_check_footer(bytes, size, leaves, (int32_t)h->rows, &fault);
    if (kind == LF_SOUND && fault.row_group != -1) fail("a place where nothing is wrong");
    if (kind == LF_SOUND) CHECK_WRITTEN(leaves, sizeof(lf_leaf) * (size_t)h->rows);
    free(leaves);
    if (kind == LF_SOUND && h->rows > 0) list_chunks((int32_t)h->rows, bytes, size);
    return kind == LF_SOUND ? LF_OK : LF_CORRUPT;
}

static int decode(const head *h, const uint8_t *bytes, int64_t size) {
    if (h->physical == FOOTER) return check_footer(h, bytes, size);
    int64_t out_size = values_size(h);
    /* As the caller does: sometimes enough, sometimes nothing. */
    int64_t capacity = below(3) ? below(4096) : 0;
    grown = h->output == LF_BYTES ? malloc((size_t)capacity) : NULL;
    grown_size = grown ? capacity : 0;
    lf_chunk c = {
        .bytes = bytes, .size = size, .rows = h->rows, .uncompressed_limit = h->limit, .physical = (int32_t)h->physical,
        .width = (int32_t)h->width, .codec = (int32_t)h->codec, .optional = (int32_t)h->optional,
        .output = (int32_t)h->output, .check_crc = below(50) == 0, .validity = malloc((size_t)(h->rows + 7) / 8),
        .values = malloc((size_t)out_size), .data = grown, .data_capacity = grown_size, .grow = grow,
        .decompress = copy_codec};
    lf_scratch *scratch = lf_scratch_new();
    int status = lf_decode_chunk(scratch, &c);
    if (status == LF_OK) check(&c, out_size);
    lf_scratch_free(scratch);
    free(c.validity);
    free(c.values);
    free(grown);
    grown = NULL;
    grown_size = 0;
    return status;
}

static int read_chunk(FILE *corpus, void *to) {
    sample *s = to;
    if (fread(&s->h, sizeof s->h, 1, corpus) != 1) return 0;
    s->bytes = read_some(corpus, s->h.size);
    return 1;
}

static int decode_whole(const void *from, int64_t index) {
    const sample *s = from;
    (void)index;
    return decode(&s->h, memcpy(input_end - s->h.size, s->bytes, (size_t)s->h.size), s->h.size);
}

static int decode_damaged(const void *from, const void *other, uint8_t *work) {
    const sample *s = from;
    head h = s->h;
    int64_t size = h.size;
    memcpy(work, s->bytes, (size_t)size);
    for (int64_t changes = 1 + below(4); changes > 0; changes--) size = mutate_chunk(work, size, other);
    if (h.physical != FOOTER && below(6) == 0) mutate_head(&h);
    return decode(&h, memcpy(input_end - size, work, (size_t)size), size);
}

const driver chunks = {sizeof(sample), read_chunk, decode_whole, decode_damaged,
                       {"ok", "corrupt", "unsupported", "without memory", "checksums"}};
