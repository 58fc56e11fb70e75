/* One column chunk of a Parquet file -> Arrow buffers.
 *
 * Why this exists: decoding is most of what reading costs, and the generic decoders pay for steps
 * that a flat column doesn't need (levels as 16-bit integers, builders, string views). Here each
 * page is decompressed into a scratch buffer that stays in the cache and decoded straight into the
 * column's final Arrow memory.
 *
 * Format: https://parquet.apache.org/docs/file-format/ (pages, encodings, checksums).
 * Nothing in a file is believed: every length is checked before it is used, and whatever isn't
 * handled here (nested columns, rare encodings) is answered with LF_UNSUPPORTED, for which the
 * caller has another decoder.
 */
#ifndef LAKEFLOW_DECODER_H
#define LAKEFLOW_DECODER_H

#include <stddef.h>
#include <stdint.h>

/* Values are copied as they lie in the file. */
#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the decoder is for little-endian processors; without it, pyarrow decodes"
#endif

enum { LF_OK = 0, LF_CORRUPT = 1, LF_UNSUPPORTED = 2, LF_NO_MEMORY = 3, LF_CHECKSUM = 4 };

/* Physical types, as parquet.thrift numbers them. */
enum {
    LF_BOOLEAN = 0, LF_INT32 = 1, LF_INT64 = 2, LF_INT96 = 3, LF_FLOAT = 4, LF_DOUBLE = 5, LF_BYTE_ARRAY = 6, LF_FIXED = 7
};

/* Codecs, as parquet.thrift numbers them; those that aren't here are decompressed by the caller. */
enum { LF_UNCOMPRESSED = 0, LF_SNAPPY = 1, LF_ZSTD = 6, LF_LZ4 = 7, LF_LAST_CODEC = LF_LZ4 };

/* What a value becomes. */
enum {
    LF_COPY = 0,    /* its own bytes */
    LF_DECIMAL = 1, /* a 128-bit little-endian integer, from INT32, INT64 or big-endian FIXED */
    LF_BITS = 2,    /* one bit, from BOOLEAN */
    LF_BYTES = 3,   /* 32-bit offsets and data, from BYTE_ARRAY */
    LF_NARROW = 4   /* the lowest `width` bytes, one or two, of INT32 */
};

/* Called back for memory: a buffer of at least `bytes` for chunk `index` that begins with what its last one held. */
typedef uint8_t *(*lf_grow)(int32_t index, int64_t bytes);
/* Called back for codecs: decompress exactly `out_size` bytes; 1 when done, 0 where they don't come out. */
typedef int (*lf_decompress)(const uint8_t *in, int64_t in_size, uint8_t *out, int64_t out_size);

typedef struct {
    const uint8_t *bytes;
    int64_t size;
    int64_t rows;               /* of the row group: a flat column has as many values */
    int64_t uncompressed_limit; /* no page of the chunk is larger than this */
    int32_t physical;
    int32_t width; /* of LF_FIXED and LF_NARROW, in bytes */
    int32_t codec;
    int32_t optional; /* 1 where definition levels are there */
    int32_t output;
    int32_t check_crc;
    uint8_t *validity; /* rows bits; required where `optional` */
    uint8_t *values;   /* fixed width: rows values; LF_BYTES: rows + 1 offsets; LF_BITS: rows bits */
    uint8_t *data;     /* LF_BYTES: where text goes, until it is too small */
    int64_t data_capacity;
    int64_t values_size; /* bytes of `values`, whose pages are made at once; 0 where they needn't be */
    lf_grow grow;
    lf_decompress decompress;
    int64_t nulls;      /* out */
    int64_t data_bytes; /* out, LF_BYTES */
    int32_t index;      /* handed to `grow` */
    int32_t status;     /* out */
} lf_chunk;

/* The system's libzstd, where there is one: three of its functions, by the names that zstd.h gives them. Without it,
 * pages in that codec go to the caller as those in all others. */
typedef void *(*lf_zstd_create)(void);
typedef size_t (*lf_zstd_free)(void *context);
typedef size_t (*lf_zstd_decompress)(void *context, void *out, size_t out_size, const void *in, size_t in_size);
void lf_use_zstd(lf_zstd_create create, lf_zstd_free release, lf_zstd_decompress decompress);

/* Memory that one thread reuses from chunk to chunk. */
typedef struct lf_scratch lf_scratch;

lf_scratch *lf_scratch_new(void);
void lf_scratch_free(lf_scratch *scratch);
int lf_decode_chunk(lf_scratch *scratch, lf_chunk *chunk);
/* Several in one call; the status of each is left in it. */
void lf_decode_chunks(lf_scratch *scratch, lf_chunk *chunks, int32_t count);

/* Where field `id` of the Thrift struct `in` begins and how long it is (0, 0 where it isn't there); -1 where the
 * struct doesn't decode. */
int lf_struct_field(const uint8_t *in, int64_t size, int32_t id, int64_t *start, int64_t *length);

/* A leaf column as the schema has it. */
typedef struct {
    int32_t type;
    int32_t bound;   /* bytes that a bound of it has at least */
    int32_t levels;  /* the largest definition level */
    int32_t repeats; /* the largest repetition level */
} lf_leaf;

/* What is wrong with a footer. */
enum {
    LF_SOUND = 0, LF_NO_TREE = 1, LF_NO_METADATA = 2, LF_BAD_TYPE = 3, LF_BAD_CODEC = 4, LF_BAD_LEVELS = 5,
    LF_BAD_BOUND = 6, LF_ENCRYPTED = 7
};

typedef struct {
    int32_t kind;
    int32_t row_group, column; /* -1 where it isn't about one */
} lf_fault;

/* Whether column chunks are described as their schema says; what is wrong is left in `fault`. `leaves` has room for
 * the `count` leaf columns that the schema is known to have. */
int lf_check_footer(const uint8_t *in, int64_t size, lf_leaf *leaves, int32_t count, lf_fault *fault);

/* Where a column chunk lies, dictionary page first, in bytes. */
typedef struct {
    int64_t start, length, uncompressed;
    int64_t codec; /* as parquet.thrift numbers them */
} lf_place;

/* Of each row group its rows and the places of its `columns` chunks, one group behind the other; `rows` and `places`
 * have room for `most` groups. Returns how many there are; -1 where there are more, or something isn't told. */
int64_t lf_list_chunks(const uint8_t *in, int64_t size, int32_t columns, int64_t most, int64_t *rows, lf_place *places);

#endif
