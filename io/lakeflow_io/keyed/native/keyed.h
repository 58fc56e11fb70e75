/* Rows by the hash of their key: hashed, sorted, gathered, found. The interface of keyed/binding.py.
 *
 * Buffers are Arrow's: texts are bytes between consecutive offsets, 32 or 64 bits wide. A place is where a row lies:
 * the number of its source in the upper 32 bits, its row there in the lower ones; negative where there is none. Offsets
 * come out of files, whose bits may have flipped, so they are checked; places are computed by the caller. */
#ifndef LF_KEYED_H
#define LF_KEYED_H

#include <stdint.h>

typedef enum { LF_NARROW = 0, LF_WIDE = 1, LF_NONE = 2 } lf_kind;

typedef struct {
    const uint8_t *data;
    int64_t size; /* of the data */
    const void *offsets;
    int64_t kind; /* an lf_kind: offsets of 32 or of 64 bits, or no texts */
} lf_texts;

/* Where a column's values begin, of one width each. */
typedef struct {
    const uint8_t *start;
    int64_t width;
} lf_values;

/* What was sorted by hash. */
typedef struct {
    const uint64_t *hashes; /* none while the source isn't open */
    int64_t rows;
    const lf_values *columns; /* read next where one row is found */
    int64_t column_count;
    lf_texts keys; /* LF_NONE where keys are integers: equal hashes are equal integers then */
} lf_sorted;

/* Values of one width. */
typedef struct {
    const void *const *sources;
    int64_t width;
} lf_column;

typedef struct {
    const lf_sorted *sources;
    const uint64_t *firsts; /* the first hash of each source, ascending */
    int64_t count;
} lf_index;

/* The place of a key that isn't there, and that of one that would be in a source that isn't open: LF_CLOSED less its
 * number. */
enum { LF_ABSENT = -1, LF_CLOSED = -2 };

static inline int64_t lf_offset(const lf_texts *texts, int64_t row) {
    return texts->kind == LF_WIDE ? ((const int64_t *)texts->offsets)[row] : ((const int32_t *)texts->offsets)[row];
}

/* Where the next column begins, behind `size` bytes: Arrow wants columns aligned to 64 bytes. */
static inline int64_t lf_padded(int64_t size) { return (size + 63) / 64 * 64; }

/* Whether bytes [start, end) are in the data. */
static inline int lf_inside(const lf_texts *texts, int64_t start, int64_t end) {
    return 0 <= start && start <= end && end <= texts->size;
}

uint64_t lf_hash_text(const uint8_t *text, int64_t size);
uint64_t lf_hash_word(uint64_t word);

int lf_hash_texts(const lf_texts *texts, int64_t rows, uint64_t *hashes);
int lf_sort_hashes(uint64_t *hashes, int64_t *places, int64_t rows);
void lf_gather(const lf_column *columns, int64_t count, const int64_t *places, int64_t rows, uint8_t *target);
int64_t lf_gather_offsets(const lf_texts *sources, const int64_t *places, int64_t rows, int32_t wide, void *offsets);
void lf_gather_texts(const lf_texts *sources, const int64_t *places, int64_t rows, uint8_t *target);
int64_t lf_find_text(const lf_index *index, const uint8_t *text, int32_t size);
int64_t lf_find_word(const lf_index *index, uint64_t word);
void lf_find_texts(const lf_index *index, const lf_texts *texts, int64_t rows, int64_t *places);
void lf_find_words(const lf_index *index, const uint64_t *words, int64_t rows, int64_t *places);

#endif
