/* Rows by the hash of their key: hashed, sorted, gathered, found. The interface of keyed/binding.py.
 *
 * Buffers are Arrow's: texts are bytes between consecutive offsets, 32 or 64 bits wide. A place is where a row lies:
 * the number of its source in the upper 32 bits, its row there in the lower ones; negative where there is none. Offsets
 * come out of files, whose bits may have flipped, so they are checked; places are computed by the caller. */
#ifndef LF_KEYED_H
#define LF_KEYED_H

#include <stdint.h>

typedef enum { LF_NARROW = 0, LF_WIDE = 1, LF_NONE = 2 } lf_kind;

#define LF_SOUND (-1)
#define LF_OUTSIDE (-2)
#define LF_BLOCK 4096 /* bytes: a page, which comes from the disk as one */

/* A mapped file, or the part of one, whose blocks are compared with checksums. */
typedef struct {
    const uint8_t *start;
    int64_t size;
    const uint32_t *sums; /* CRC-32 of each block; the last one may be shorter */
    uint64_t *seen;       /* a bit for each block that was compared */
    int64_t damaged;      /* one that differs; LF_SOUND where none was met, LF_OUTSIDE where bytes behind the end were */
} lf_blocks;

/* How values lie in a file. */
typedef struct lf_layout {
    const uint8_t *validity; /* none where no value is null */
    const uint8_t *values;   /* of `bits` each */
    int64_t bits;
    int64_t offsets;     /* whether these are offsets, in the data or in the child */
    const uint8_t *data; /* of texts */
    const struct lf_layout *children;
    int64_t child_count;
    int64_t each; /* values of a child for each value, where there are no offsets */
} lf_layout;

/* A column of several sources. */
typedef struct {
    lf_blocks *const *blocks; /* none of a source that has no checksums */
    const lf_layout *const *layouts;
} lf_checked;

typedef struct {
    const uint8_t *data;
    int64_t size; /* of the data */
    const void *offsets;
    int64_t kind;      /* an lf_kind: offsets of 32 or of 64 bits, or no texts */
    lf_blocks *blocks; /* that they lie in; none where they aren't compared */
} lf_texts;

/* What was sorted by hash. */
typedef struct {
    const uint64_t *hashes; /* none while the source isn't open */
    int64_t rows;
    lf_blocks *index;         /* of the hashes, and of the rows; none where they aren't compared */
    lf_blocks *payload;
    const lf_layout *columns; /* read next where one row is found */
    int64_t column_count;
    lf_texts keys; /* LF_NONE where keys are integers: equal hashes are equal integers then */
} lf_sorted;

/* Values of one width. */
typedef struct {
    const void *const *sources;
    int64_t width;
    lf_blocks *const *blocks; /* of each source; none where they aren't compared */
} lf_column;

typedef struct {
    const lf_sorted *sources;
    const uint64_t *firsts; /* the first hash of each source, ascending, within each bucket */
    int64_t count;
    const int64_t *starts; /* the first source of each bucket, and how many there are */
    int64_t buckets;       /* 0 where sources aren't told apart by them */
} lf_index;

/* The place of a key that isn't there; that of one that would be in a source that isn't open: LF_CLOSED less its
 * number; that of one which can't be looked for in a source, as a block of it is damaged: LF_DAMAGED less its number. */
#define LF_ABSENT (-1)
#define LF_CLOSED (-2)
#define LF_DAMAGED (-((int64_t)1 << 32))

static inline int64_t lf_offset(const lf_texts *texts, int64_t row) {
    return texts->kind == LF_WIDE ? ((const int64_t *)texts->offsets)[row] : ((const int32_t *)texts->offsets)[row];
}

/* Where the next column begins, behind `size` bytes: Arrow wants columns aligned to 64 bytes. */
static inline int64_t lf_padded(int64_t size) { return (size + 63) / 64 * 64; }

/* Whether bytes [start, end) are in the data. */
static inline int lf_inside(const lf_texts *texts, int64_t start, int64_t end) {
    return 0 <= start && start <= end && end <= texts->size;
}

static inline int lf_is_seen(const lf_blocks *in, uint64_t block) {
    return in->seen[block / 64] >> block % 64 & 1;
}

void lf_block_sums(const uint8_t *data, int64_t size, uint32_t *sums);
int lf_compare(lf_blocks *in, int64_t first, int64_t last);

/* Whether the blocks of some bytes are what was written; whoever reads them asks before. */
static inline int lf_check(lf_blocks *in, const void *from, int64_t size) {
    if (!in || size <= 0) return 1;
    uint64_t start = (uint64_t)((const uint8_t *)from - in->start), end = start + (uint64_t)size - 1;
    if (__builtin_expect(end >= (uint64_t)in->size || end < start, 0)) {
        in->damaged = LF_OUTSIDE;
        return 0;
    }
    uint64_t first = start / LF_BLOCK, last = end / LF_BLOCK;
    if (__builtin_expect(first == last && lf_is_seen(in, first), 1)) return 1;
    return lf_compare(in, (int64_t)first, (int64_t)last);
}

/* As `lf_check`, of the offsets between which a text lies. */
static inline int lf_check_offsets(const lf_texts *texts, int64_t row) {
    int64_t width = texts->kind == LF_WIDE ? 8 : 4;
    return lf_check(texts->blocks, (const uint8_t *)texts->offsets + row * width, 2 * width);
}

int lf_check_bytes(lf_blocks *in, int64_t start, int64_t size);
int lf_check_row(lf_blocks *in, const lf_layout *columns, int64_t count, int64_t row);
int64_t lf_check_places(const lf_checked *columns, int64_t count, const int64_t *places, int64_t rows);

uint64_t lf_hash_text(const uint8_t *text, int64_t size);
uint64_t lf_hash_word(uint64_t word);

uint32_t lf_murmur(const uint8_t *bytes, int64_t size);
int64_t lf_bucket_text(const uint8_t *text, int64_t size, int64_t buckets);
int64_t lf_bucket_word(uint64_t word, int64_t buckets);
void lf_bucket_words(const uint64_t *words, int64_t rows, int64_t buckets, int64_t *found);
int lf_bucket_texts(const lf_texts *texts, int64_t rows, int64_t buckets, int64_t *found);

int lf_hash_texts(const lf_texts *texts, int64_t rows, uint64_t *hashes);
int lf_sort_hashes(uint64_t *hashes, int64_t *places, int64_t rows);
int64_t lf_gather(const lf_column *columns, int64_t count, const int64_t *places, int64_t rows, uint8_t *target);
int64_t lf_gather_offsets(const lf_texts *sources, const int64_t *places, int64_t rows, int32_t wide, void *offsets);
void lf_gather_texts(const lf_texts *sources, const int64_t *places, int64_t rows, uint8_t *target);
int64_t lf_find_text(const lf_index *index, const uint8_t *text, int32_t size, int32_t whole);
int64_t lf_find_word(const lf_index *index, uint64_t word, int32_t whole);
int64_t lf_find_hash(const lf_index *index, uint64_t hash);
void lf_find_texts(const lf_index *index, const lf_texts *texts, int64_t rows, int64_t *places);
void lf_find_words(const lf_index *index, const uint64_t *words, int64_t rows, int64_t *places);
void lf_find_hashes(const lf_index *index, const uint64_t *hashes, int64_t rows, int64_t *places);

#endif
