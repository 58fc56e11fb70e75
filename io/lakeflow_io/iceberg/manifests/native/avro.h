/* The records of an Avro file -> columns.
 *
 * Why this exists: manifests are Avro, a format of rows, of which planning needs columns: to prune half a million
 * files with a dozen comparisons of arrays, not half a million calls. The schema that a file was written with is
 * compiled (in Python) to a small program that is run once for each record: it sets the row's values in the columns
 * that are wanted and skips all others.
 *
 * Format: https://avro.apache.org/docs/1.12.0/specification/ (binary encoding, object container files).
 * The program is ours and is trusted. Nothing in a file is believed: every length is checked before it is used.
 */
#ifndef LAKEFLOW_AVRO_H
#define LAKEFLOW_AVRO_H

#include <stddef.h>
#include <stdint.h>

enum { LF_AVRO_OK = 0, LF_AVRO_CORRUPT = 1, LF_AVRO_TOO_LARGE = 2, LF_AVRO_NO_MEMORY = 3 };

/* Codecs of blocks; those that aren't here are decompressed by the caller. */
enum { LF_AVRO_NULL = 0, LF_AVRO_DEFLATE = 1, LF_AVRO_SNAPPY = 2 };

/* Instructions, and the words that follow each. `slot` is a column's number. */
enum {
    LF_END = 0,        /* of the record, or of an array's body */
    LF_INT = 1,        /* slot: an int or long */
    LF_RAW = 2,        /* slot: as many bytes as the column's values have (boolean, float, double) */
    LF_TEXT = 3,       /* slot: string or bytes */
    LF_EXACT = 4,      /* slot, size: fixed, as bytes */
    LF_SKIP_INT = 5,   /* */
    LF_SKIP_RAW = 6,   /* size */
    LF_SKIP_TEXT = 7,  /* */
    LF_UNION = 8,      /* count, where each branch begins (from the program's start) */
    LF_JUMP = 9,       /* where to */
    LF_ARRAY = 10,     /* where it goes on behind the body, which follows and is run for each element */
    LF_SKIP_ARRAY = 11, /* the same, of whose elements none is wanted */
    LF_LIST = 12,      /* slot: an array of int or long */
    LF_KEY = 13,       /* the next int is what the following are looked up by; else it is the element's index */
    LF_INT_OF = 14,    /* count, then keys (ascending) and their slots */
    LF_RAW_OF = 15,    /* the same */
    LF_TEXT_OF = 16,   /* the same */
    LF_SIZES = 17,     /* count: begin a tally of so many numbers */
    LF_SIZE_OF = 18,   /* count, then keys (ascending) and their places in the tally */
    LF_TALLY = 19,     /* slot of the tally's sum, count, then places and two slots: the sum before it, and its number */
    LF_MAP = 20        /* as LF_SKIP_ARRAY: a map, whose keys are skipped by the body, too */
};

/* What a column's values are. */
enum { LF_NUMBERS = 0, LF_TEXTS = 1, LF_LISTS = 2 };

typedef struct {
    int32_t kind;
    int32_t width;     /* LF_NUMBERS: bytes of a value */
    uint8_t *values;   /* LF_NUMBERS: values; else 32-bit offsets, one more than rows */
    uint8_t *validity; /* bits */
    uint8_t *data;     /* LF_TEXTS: bytes; LF_LISTS: 64-bit integers */
    int64_t data_size, data_capacity; /* bytes */
    int64_t valid;     /* rows that have a value */
} lf_slot;

typedef struct lf_avro lf_avro;

/* `slots` has kind and width of each of `count` columns; `tally` is the largest tally. NULL without memory. */
lf_avro *lf_avro_new(const int32_t *program, int64_t words, const int32_t *slots, int32_t count, int32_t tally);
void lf_avro_free(lf_avro *d);
/* All blocks of a file, which `in` begins with. */
int lf_avro_decode(lf_avro *d, const uint8_t *in, int64_t size, int32_t codec, const uint8_t *sync);
int64_t lf_avro_rows(const lf_avro *d);
/* What was decoded: the memory is `d`'s. */
const lf_slot *lf_avro_slot(const lf_avro *d, int32_t slot);

/* ---- DEFLATE ---- */

typedef struct {
    uint8_t *at;
    int64_t size, capacity;
} lf_bytes;

/* Decompress to `out`, which grows to `limit` bytes at most and has 64 bytes more. One of the results above. */
int lf_inflate(const uint8_t *in, int64_t in_size, lf_bytes *out, int64_t limit);

#endif
