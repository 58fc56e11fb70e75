/* Records of manifests and of manifest lists. */
#include "avro.h"
#include "fuzz.h"

#define SYNC 16

/* As manifest_corpus.py writes it, before the program, the columns and the block. */
typedef struct {
    int64_t words, slots, tally, codec, count, size;
} head;

typedef struct {
    head h;
    const int32_t *program, *slots;
    const uint8_t *bytes;
} sample;

static int put_long(uint8_t *to, int64_t value) {
    uint64_t rest = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    int length = 0;
    for (; rest > 0x7f; rest >>= 7) to[length++] = (uint8_t)(rest | 0x80);
    to[length++] = (uint8_t)rest;
    return length;
}

static void check(const lf_avro *d, const sample *s) {
    int64_t rows = lf_avro_rows(d);
    for (int32_t i = 0; i < s->h.slots; i++) {
        const lf_slot *slot = lf_avro_slot(d, i);
        int64_t valid = 0;
        for (int64_t row = 0; row < rows; row++) valid += slot->validity[row >> 3] >> (row & 7) & 1;
        if (valid != slot->valid) fail("the count of values");
        if (slot->kind == LF_NUMBERS) continue;
        const int32_t *offsets = (const int32_t *)(const void *)slot->values;
        int64_t unit = slot->kind == LF_LISTS ? 8 : 1;
        if (offsets[0] != 0 || offsets[rows] * unit != slot->data_size) fail("the ends of offsets");
        for (int64_t row = 0; row < rows; row++)
            if (offsets[row] > offsets[row + 1]) fail("the order of offsets");
    }
}

/* Frames the bytes as a file's only block, or as two. */
static int decode(const sample *s, const uint8_t *bytes, int64_t size, int64_t count, int twice) {
    static const uint8_t sync[SYNC] = {7, 1, 2, 3};
    uint8_t lengths[32];
    int head_size = put_long(lengths, count);
    head_size += put_long(lengths + head_size, size);
    int64_t whole = (head_size + size + SYNC) * (1 + twice);
    uint8_t *start = input_end - whole, *to = start;
    for (int i = 0; i <= twice; i++) {
        memcpy(to, lengths, (size_t)head_size);
        memcpy(to + head_size, bytes, (size_t)size);
        memcpy(to + head_size + size, sync, SYNC);
        to += head_size + size + SYNC;
    }
    lf_avro *d = lf_avro_new(s->program, s->h.words, s->slots, (int32_t)s->h.slots, (int32_t)s->h.tally);
    if (!d) return LF_AVRO_NO_MEMORY;
    int status = lf_avro_decode(d, start, whole, (int32_t)s->h.codec, sync);
    if (status == LF_AVRO_OK) {
        if (lf_avro_rows(d) != count * (1 + twice)) fail("the count of records");
        check(d, s);
    }
    lf_avro_free(d);
    return status;
}

static int read_block(FILE *corpus, void *to) {
    sample *s = to;
    if (fread(&s->h, sizeof s->h, 1, corpus) != 1) return 0;
    s->program = read_some(corpus, s->h.words * 4);
    s->slots = read_some(corpus, s->h.slots * 8);
    s->bytes = read_some(corpus, s->h.size);
    return 1;
}

static int decode_whole(const void *from, int64_t index) {
    const sample *s = from;
    return decode(s, s->bytes, s->h.size, s->h.count, index & 1);
}

static int decode_damaged(const void *from, const void *other, uint8_t *work) {
    const sample *s = from;
    int64_t size = s->h.size, records = s->h.count;
    (void)other;
    memcpy(work, s->bytes, (size_t)size);
    for (int64_t changes = 1 + below(3); changes > 0; changes--) size = mutate(work, size);
    if (below(12) == 0) records = below(4) ? below(3 * records) : INT64_MAX >> below(40);
    return decode(s, work, size, records, below(4) == 0);
}

const driver manifests = {sizeof(sample), read_block, decode_whole, decode_damaged,
                          {"ok", "corrupt", "too large", "without memory"}};
