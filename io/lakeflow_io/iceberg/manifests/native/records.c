/* The program of a schema, run for one record: its values become a row of the columns. */
#include "records.h"

/* Records within records; a manifest has four levels. */
#define MOST_DEPTH 32

/* ---- reading ---- */

int64_t lf_long_varint(lf_avro *d) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && d->at < d->end; shift += 7) {
        uint8_t byte = *d->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
    }
    fail(d, LF_AVRO_CORRUPT);
    return 0;
}

/* `size` bytes, or NULL. */
static inline const uint8_t *bytes(lf_avro *d, int64_t size) {
    if (size < 0 || size > d->end - d->at) {
        fail(d, LF_AVRO_CORRUPT);
        return NULL;
    }
    const uint8_t *found = d->at;
    d->at += size;
    return found;
}

/* ---- columns ---- */

static inline void mark(lf_avro *d, lf_slot *s) {
    uint8_t bit = (uint8_t)(1 << (d->rows & 7)), *byte = s->validity + (d->rows >> 3);
    s->valid += !(*byte & bit);
    *byte |= bit;
}

static inline void set_int(lf_avro *d, lf_slot *s, int64_t value) {
    mark(d, s);
    if (s->width == 8) {
        memcpy(s->values + d->rows * 8, &value, 8);
        return;
    }
    int64_t most = s->width == 1 ? INT8_MAX : INT32_MAX;
    if (value > most || value < -most - 1) fail(d, LF_AVRO_CORRUPT);
    else memcpy(s->values + d->rows * s->width, &value, (size_t)s->width);
}

static inline void set_raw(lf_avro *d, lf_slot *s) {
    const uint8_t *from = bytes(d, s->width);
    if (!from) return;
    mark(d, s);
    memcpy(s->values + d->rows * s->width, from, (size_t)s->width);
}

/* Room for `size` bytes behind a column's data, or NULL. */
static uint8_t *more_data(lf_avro *d, lf_slot *s, int64_t size) {
    if (s->data_size + size > INT32_MAX) {
        fail(d, LF_AVRO_TOO_LARGE);
        return NULL;
    }
    if (s->data_size + size > s->data_capacity) {
        int64_t wanted = 2 * (s->data_size + size) + 1024;
        uint8_t *made = realloc(s->data, (size_t)wanted);
        if (!made) {
            fail(d, LF_AVRO_NO_MEMORY);
            return NULL;
        }
        s->data = made;
        s->data_capacity = wanted;
    }
    return s->data + s->data_size;
}

/* Where the row's own data begins: a second value replaces the first. */
static inline void begin_data(lf_avro *d, lf_slot *s) {
    int32_t start;
    memcpy(&start, s->values + d->rows * 4, 4);
    s->data_size = s->kind == LF_LISTS ? (int64_t)start * 8 : start;
    mark(d, s);
}

static inline void set_text(lf_avro *d, lf_slot *s, int64_t size) {
    const uint8_t *from = bytes(d, size);
    if (!from) return;
    begin_data(d, s);
    uint8_t *to = more_data(d, s, size);
    if (!to) return;
    memcpy(to, from, (size_t)size);
    s->data_size += size;
}

/* How many elements the next part of an array has; 0 at its end. An element of ours takes a byte at least. */
static int64_t next_part(lf_avro *d, int64_t *size) {
    int64_t count = varint(d);
    *size = -1;
    if (count < 0) {
        *size = varint(d);
        if (*size < 0 || *size > d->end - d->at) fail(d, LF_AVRO_CORRUPT);
        if (count < -(d->end - d->at)) fail(d, LF_AVRO_CORRUPT);
        else count = -count;
    }
    if (count > d->end - d->at) fail(d, LF_AVRO_CORRUPT);
    return d->failed ? 0 : count;
}

static void set_list(lf_avro *d, lf_slot *s) {
    int64_t size, count;
    begin_data(d, s);
    while ((count = next_part(d, &size)) && !d->failed) {
        uint8_t *to = more_data(d, s, 8 * count);
        if (!to) return;
        for (int64_t i = 0; i < count; i++, to += 8) {
            int64_t value = varint(d);
            memcpy(to, &value, 8);
        }
        s->data_size += 8 * count;
    }
}

/* What a key stands for in a table of `count` keys and values; -1 for nothing. Keys come in the same order in nearly
 * every record. */
static inline int32_t look_up(lf_avro *d, const int32_t *table, int32_t count) {
    int32_t first = d->hint, last = count - 1, key = d->key;
    if (first < count && table[2 * first] == key) {
        d->hint = first + 1;
        return table[2 * first + 1];
    }
    for (first = 0; first <= last;) {
        int32_t middle = (first + last) / 2, found = table[2 * middle];
        if (found == key) {
            d->hint = middle + 1;
            return table[2 * middle + 1];
        }
        if (found < key) first = middle + 1;
        else last = middle - 1;
    }
    return -1;
}

static void tally(lf_avro *d, const int32_t *at, int32_t length) {
    int32_t sum_slot = at[0], count = at[1];
    const int32_t *wanted = at + 2, *end = wanted + 3 * count;
    int64_t sum = 0;
    for (int32_t place = 0; place < length; place++) {
        int64_t number = d->tally[place] > 0 ? d->tally[place] : 0;
        for (; wanted < end && wanted[0] == place; wanted += 3) {
            set_int(d, d->slots + wanted[1], sum);
            set_int(d, d->slots + wanted[2], number);
        }
        if (number > (INT64_C(1) << 62) - sum) {
            fail(d, LF_AVRO_CORRUPT);
            return;
        }
        sum += number;
    }
    set_int(d, d->slots + sum_slot, sum);
}

/* ---- the program ---- */

static void run(lf_avro *d, const int32_t *at, int depth);

static void elements(lf_avro *d, const int32_t *body, int is_wanted, int depth) {
    int64_t size, count;
    int32_t index = 0;
    d->hint = 0;
    while ((count = next_part(d, &size)) && !d->failed) {
        if (size >= 0 && !is_wanted) {
            d->at += size;
            continue;
        }
        for (int64_t i = 0; i < count && !d->failed; i++) {
            d->key = index++;
            run(d, body, depth + 1);
        }
    }
}

static void run(lf_avro *d, const int32_t *at, int depth) {
    int32_t found, length = 0;
    if (depth > MOST_DEPTH) fail(d, LF_AVRO_CORRUPT);
    while (!d->failed) {
        switch (at[0]) {
        case LF_END: return;
        case LF_INT:
            set_int(d, d->slots + at[1], varint(d));
            at += 2;
            break;
        case LF_RAW:
            set_raw(d, d->slots + at[1]);
            at += 2;
            break;
        case LF_TEXT:
            set_text(d, d->slots + at[1], varint(d));
            at += 2;
            break;
        case LF_EXACT:
            set_text(d, d->slots + at[1], at[2]);
            at += 3;
            break;
        case LF_SKIP_INT:
            varint(d);
            at += 1;
            break;
        case LF_SKIP_RAW:
            bytes(d, at[1]);
            at += 2;
            break;
        case LF_SKIP_TEXT:
            bytes(d, varint(d));
            at += 1;
            break;
        case LF_UNION: {
            int64_t branch = varint(d);
            if (branch < 0 || branch >= at[1]) fail(d, LF_AVRO_CORRUPT);
            else at = d->program + at[2 + branch];
            break;
        }
        case LF_JUMP:
            at = d->program + at[1];
            break;
        case LF_ARRAY: case LF_SKIP_ARRAY: case LF_MAP:
            elements(d, at + 2, at[0] == LF_ARRAY, depth);
            at = d->program + at[1];
            break;
        case LF_LIST:
            set_list(d, d->slots + at[1]);
            at += 2;
            break;
        case LF_KEY: {
            int64_t key = varint(d);
            d->key = key < INT32_MIN || key > INT32_MAX ? -1 : (int32_t)key;
            at += 1;
            break;
        }
        case LF_INT_OF: {
            int64_t value = varint(d);
            if ((found = look_up(d, at + 2, at[1])) >= 0) set_int(d, d->slots + found, value);
            at += 2 + 2 * at[1];
            break;
        }
        case LF_RAW_OF: /* of one byte each */
            if ((found = look_up(d, at + 2, at[1])) >= 0) set_raw(d, d->slots + found);
            else bytes(d, 1);
            at += 2 + 2 * at[1];
            break;
        case LF_TEXT_OF: {
            int64_t size = varint(d);
            if ((found = look_up(d, at + 2, at[1])) >= 0) set_text(d, d->slots + found, size);
            else bytes(d, size);
            at += 2 + 2 * at[1];
            break;
        }
        case LF_SIZES:
            length = at[1];
            memset(d->tally, 0, (size_t)length * 8);
            at += 2;
            break;
        case LF_SIZE_OF: {
            int64_t value = varint(d);
            if ((found = look_up(d, at + 2, at[1])) >= 0) d->tally[found] = value;
            at += 2 + 2 * at[1];
            break;
        }
        case LF_TALLY:
            tally(d, at + 1, length);
            at += 3 + 3 * at[2];
            break;
        default: fail(d, LF_AVRO_CORRUPT);
        }
    }
}

void lf_avro_record(lf_avro *d) { run(d, d->program, 0); }
