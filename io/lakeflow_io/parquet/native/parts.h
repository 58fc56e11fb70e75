/* What the files of this folder share; not for callers. */
#ifndef LAKEFLOW_PARTS_H
#define LAKEFLOW_PARTS_H

#include <string.h>

#include "crc.h"
#include "decoder.h"

/* Loops over whole batches are compiled for several processors, and the best is picked when the library is loaded.
 * musl has no such loader; sanitizers, which define it as nothing, can't run that early. */
#ifndef LF_CLONES
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__has_attribute)
#if __has_attribute(target_clones)
#define LF_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#endif
#endif
#ifndef LF_CLONES
#define LF_CLONES
#endif

/* Over-reading and over-writing within buffers of our own makes short copies cheap. The caller's are exact. */
#define LF_SLACK 64

/* Scratch memory grows by more than is asked for; fuzzing, which looks for steps behind it, lets it not. */
#ifndef LF_SPARE
#define LF_SPARE(bytes) ((bytes) / 4)
#endif

/* Values are decoded this many at a time: the batch stays in the first-level cache. */
#define LF_BATCH 1024

/* ---- pages ---- */

enum { LF_DATA_PAGE = 0, LF_INDEX_PAGE = 1, LF_DICTIONARY_PAGE = 2, LF_DATA_PAGE_V2 = 3 };

/* Encodings, as parquet.thrift numbers them. */
enum {
    LF_PLAIN = 0, LF_PLAIN_DICTIONARY = 2, LF_RLE = 3, LF_DELTA = 5, LF_DELTA_LENGTH = 6, LF_DELTA_STRINGS = 7,
    LF_RLE_DICTIONARY = 8, LF_STREAMS = 9
};

typedef struct {
    int32_t type;
    int32_t uncompressed_size, compressed_size;
    int32_t has_crc;
    uint32_t crc;
    int32_t num_values, encoding;
    int32_t levels_encoding;                     /* data v1 */
    int32_t def_bytes, rep_bytes, is_compressed; /* data v2 */
} lf_page;

/* Bytes that the header takes, or -1 where it doesn't decode. */
int64_t lf_page_header(const uint8_t *in, int64_t size, lf_page *page);

/* As lf_decompress. `out` has LF_SLACK bytes more. */
int lf_snappy(const uint8_t *in, int64_t in_size, uint8_t *out, int64_t out_size);
int lf_lz4(const uint8_t *in, int64_t in_size, uint8_t *out, int64_t out_size);

/* Whether lf_use_zstd was called. */
int lf_has_zstd(void);
/* As lf_decompress, with the context at *context, which is made where it is NULL. */
int lf_zstd(void **context, const uint8_t *in, int64_t in_size, uint8_t *out, int64_t out_size);
void lf_zstd_release(void *context);

/* ---- one chunk's state ---- */

typedef struct {
    uint8_t *at;
    int64_t size;
} block;

struct lf_scratch {
    block page;       /* the decompressed page */
    block dictionary; /* the dictionary's values, in the output's width, or the strings' bytes */
    block entries;    /* LF_BYTES: where each dictionary string begins, and its length */
    block dense;      /* values without their nulls, or 64-bit deltas */
    void *zstd;       /* libzstd's context */
    uint32_t indices[LF_BATCH + 8];
};

/* Room for `bytes` and slack, or NULL; what was there is lost. */
uint8_t *lf_room(block *b, int64_t bytes);

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

static inline int lf_bit(const uint8_t *bits, int64_t i) { return bits[i >> 3] >> (i & 7) & 1; }

/* The values of one data page: `rows`, of which `dense` aren't null (at least one, but for strings). `in` may be the
 * caller's memory. */
int lf_fixed_values(state *st, int32_t encoding, const uint8_t *in, int64_t size, int64_t rows, int64_t dense);
int lf_boolean_values(state *st, int32_t encoding, const uint8_t *in, int64_t size, int64_t rows, int64_t dense);
int lf_string_values(state *st, int32_t encoding, const uint8_t *in, int64_t size, int64_t rows, int64_t dense);

/* A dictionary page of `count` PLAIN values. */
int lf_fixed_dictionary(state *st, const uint8_t *in, int64_t size, int32_t count);
int lf_string_dictionary(state *st, const uint8_t *in, int64_t size, int32_t count);

/* ---- bits ---- */

/* A run-length / bit-packed hybrid, read in pieces. */
typedef struct {
    const uint8_t *at, *end;
    int32_t width;
    int32_t left;      /* values left of the current run */
    int32_t is_packed; /* what the current run is */
    uint32_t value;    /* of a repeated run */
} lf_hybrid;

int lf_hybrid_init(lf_hybrid *hybrid, const uint8_t *in, int64_t size, int32_t width);
/* The next values, at most `most` (a multiple of 8): a repeat (value in *value, count returned, *repeat = 1)
 * or packed ones in `out`. -1 where the input ends too early. */
int32_t lf_hybrid_next(lf_hybrid *hybrid, uint32_t *out, int32_t most, int32_t *repeat, uint32_t *value);
/* Indices of a dictionary of `size` values, as lf_hybrid_next; -1, too, where one lies outside. */
int32_t lf_next_indices(lf_hybrid *hybrid, uint32_t *out, int64_t wanted, int32_t size, int32_t *repeat,
                        uint32_t *value);

/* Unpack `count` (a multiple of 8) values of `width` bits; `end` is where readable bytes end. */
void lf_unpack(const uint8_t *in, const uint8_t *end, int32_t width, uint32_t *out, int32_t count);

/* DELTA_BINARY_PACKED into 64-bit integers. Bytes taken, or -1. */
int64_t lf_delta(const uint8_t *in, int64_t size, int64_t *out, int64_t count);

/* ---- copies ---- */

/* Copy 16 bytes a step, up to 15 too many: the target has slack, and `in` lies 16 bytes or more before. */
static inline void lf_copy_wide(uint8_t *out, const uint8_t *in, int64_t length) {
    for (int64_t done = 0; done < length; done += 16) memcpy(out + done, in + done, 16);
}

/* What a compressor's match means; it may overlap what it produces: "abab..." is a match of distance 2. Writes up to
 * 15 bytes too many. */
static inline void lf_copy_match(uint8_t *out, int64_t distance, int64_t length) {
    const uint8_t *from = out - distance;
    if (distance >= 16) {
        lf_copy_wide(out, from, length);
        return;
    }
    /* Double the period until it is wide enough to be copied in words. */
    while (length > 0 && distance < 8) {
        int64_t step = distance < length ? distance : length;
        for (int64_t i = 0; i < step; i++) out[i] = from[i];
        out += step;
        length -= step;
        distance += step;
    }
    for (int64_t done = 0; done < length; done += 8) memcpy(out + done, from + done, 8);
}

/* Make the pages of memory that will be written from one end to the other. */
void lf_make_pages(void *memory, int64_t size);

#endif
