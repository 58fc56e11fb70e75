/* The blocks of an Avro file, and the memory of its columns. */
#include "records.h"

/* DEFLATE's best is 1032 to 1; larger blocks are nobody's manifest. */
#define MOST_RATIO 1100
#define MOST_BLOCK (INT64_C(1) << 30)
#define SYNC 16

/* ---- memory ---- */

lf_avro *lf_avro_new(const int32_t *program, int64_t words, const int32_t *slots, int32_t count, int32_t longest) {
    lf_avro *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->program = malloc((size_t)words * 4);
    d->slots = calloc((size_t)count + 1, sizeof *d->slots);
    d->tally = calloc((size_t)longest + 1, 8);
    d->count = count;
    if (!d->program || !d->slots || !d->tally) {
        lf_avro_free(d);
        return NULL;
    }
    memcpy(d->program, program, (size_t)words * 4);
    for (int32_t i = 0; i < count; i++) {
        d->slots[i].kind = slots[2 * i];
        d->slots[i].width = slots[2 * i] == LF_NUMBERS ? slots[2 * i + 1] : 4;
    }
    return d;
}

void lf_avro_free(lf_avro *d) {
    if (!d) return;
    for (int32_t i = 0; d->slots && i < d->count; i++) {
        free(d->slots[i].values);
        free(d->slots[i].validity);
        free(d->slots[i].data);
    }
    free(d->program);
    free(d->slots);
    free(d->tally);
    free(d->block.at);
    free(d);
}

int64_t lf_avro_rows(const lf_avro *d) { return d->rows; }

const lf_slot *lf_avro_slot(const lf_avro *d, int32_t slot) { return d->slots + slot; }

static int resize(uint8_t **at, int64_t size) {
    uint8_t *made = realloc(*at, (size_t)(size ? size : 1));
    if (made) *at = made;
    return made != NULL;
}

/* Columns of exactly so many rows, or room for them. */
static int set_capacity(lf_avro *d, int64_t rows) {
    for (int32_t i = 0; i < d->count; i++) {
        lf_slot *s = d->slots + i;
        int is_new = s->values == NULL;
        if (!resize(&s->values, (rows + (s->kind != LF_NUMBERS)) * s->width) || !resize(&s->validity, (rows + 7) / 8))
            return LF_AVRO_NO_MEMORY;
        if (is_new && s->kind != LF_NUMBERS) memset(s->values, 0, 4);
    }
    d->capacity = rows;
    return LF_AVRO_OK;
}

/* `count` rows more, all null. */
static int begin_rows(lf_avro *d, int64_t count) {
    int64_t rows = d->rows + count, known = (d->rows + 7) / 8;
    if (rows >= INT32_MAX) return LF_AVRO_TOO_LARGE;
    if (rows > d->capacity) {
        int result = set_capacity(d, rows > 2 * d->capacity ? rows : 2 * d->capacity);
        if (result) return result;
    }
    for (int32_t i = 0; i < d->count; i++) {
        lf_slot *s = d->slots + i;
        if (s->kind == LF_NUMBERS) memset(s->values + d->rows * s->width, 0, (size_t)(count * s->width));
        memset(s->validity + known, 0, (size_t)((rows + 7) / 8 - known));
    }
    return LF_AVRO_OK;
}

static int records(lf_avro *d, int64_t count, const uint8_t *in, int64_t size) {
    if (count > size) return LF_AVRO_CORRUPT; /* a record of ours takes a byte at least */
    int result = begin_rows(d, count);
    if (result) return result;
    d->at = in;
    d->end = in + size;
    d->failed = 0;
    for (int64_t i = 0; i < count; i++) {
        lf_avro_record(d);
        if (d->failed) return d->failed;
        for (int32_t each = 0; each < d->count; each++) {
            lf_slot *s = d->slots + each;
            if (s->kind == LF_NUMBERS) continue;
            int32_t end = (int32_t)(s->kind == LF_LISTS ? s->data_size / 8 : s->data_size);
            memcpy(s->values + (d->rows + 1) * 4, &end, 4);
        }
        d->rows++;
    }
    return d->at == d->end ? LF_AVRO_OK : LF_AVRO_CORRUPT;
}

/* Snappy, with a checksum of what comes out, as Avro has it. */
static int snappy(lf_avro *d, const uint8_t *in, int64_t size) {
    int64_t claimed = 0;
    if (size < 5) return LF_AVRO_CORRUPT;
    for (int i = 0; i < 5 && i < size - 4; i++) {
        claimed |= (int64_t)(in[i] & 0x7f) << (7 * i);
        if (in[i] < 0x80) break;
    }
    if (claimed > MOST_BLOCK || claimed > 64 * size) return LF_AVRO_TOO_LARGE;
    if (claimed > d->block.capacity || !d->block.at) {
        if (!resize(&d->block.at, claimed + LF_SLACK)) return LF_AVRO_NO_MEMORY;
        d->block.capacity = claimed;
    }
    if (!lf_snappy(in, size - 4, d->block.at, claimed)) return LF_AVRO_CORRUPT;
    d->block.size = claimed;
    const uint8_t *sum = in + size - 4;
    uint32_t stored = (uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 | (uint32_t)sum[2] << 8 | sum[3];
    return lf_crc32(d->block.at, claimed) == stored ? LF_AVRO_OK : LF_AVRO_CORRUPT;
}

static int one_block(lf_avro *d, int64_t count, const uint8_t *in, int64_t size, int32_t codec) {
    if (codec == LF_AVRO_NULL) return records(d, count, in, size);
    int64_t limit = size < MOST_BLOCK / MOST_RATIO ? size * MOST_RATIO : MOST_BLOCK;
    int result = codec == LF_AVRO_DEFLATE ? lf_inflate(in, size, &d->block, limit) : snappy(d, in, size);
    return result ? result : records(d, count, d->block.at, d->block.size);
}

/* The head of a block: how many records it has and bytes; 0 where there is none. */
static int block_head(lf_avro *d, const uint8_t **at, const uint8_t *end, int64_t *count, int64_t *size) {
    d->at = *at;
    d->end = end;
    d->failed = 0;
    *count = varint(d);
    *size = varint(d);
    *at = d->at;
    return !d->failed && *count >= 0 && *size >= 0 && *size <= end - *at - SYNC;
}

int lf_avro_decode(lf_avro *d, const uint8_t *in, int64_t size, int32_t codec, const uint8_t *sync) {
    const uint8_t *at = in, *end = in + size;
    int64_t count, length, total = 0;
    while (at < end) { /* memory for all at once, as far as that can be believed */
        if (!block_head(d, &at, end, &count, &length)) return LF_AVRO_CORRUPT;
        at += length;
        if (memcmp(at, sync, SYNC)) return LF_AVRO_CORRUPT;
        at += SYNC;
        total += count < length ? count : length;
    }
    int result = set_capacity(d, total);
    for (at = in; !result && at < end; at += length + SYNC) {
        block_head(d, &at, end, &count, &length);
        result = one_block(d, count, at, length, codec);
    }
    if (result) return result;
    for (int32_t i = 0; i < d->count; i++) {
        lf_slot *s = d->slots + i;
        if (s->data && !resize(&s->data, s->data_size)) return LF_AVRO_NO_MEMORY;
        s->data_capacity = s->data_size;
    }
    free(d->block.at);
    d->block = (lf_bytes){NULL, 0, 0};
    return set_capacity(d, d->rows);
}
