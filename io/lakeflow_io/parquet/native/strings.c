/* Strings and binary: 32-bit offsets, and the bytes of all values one after another. */
#include "parts.h"

#define WIDE 32

/* Copy a string; both sides have WIDE bytes, which short ones use. */
static inline void copy_string(uint8_t *out, const uint8_t *in, uint32_t length) {
    memcpy(out, in, WIDE);
    if (length > WIDE) memcpy(out + WIDE, in + WIDE, length - WIDE);
}

/* The same where nothing behind `end` may be read: the caller's memory. */
static inline void copy_exactly(uint8_t *out, const uint8_t *in, uint32_t length, const uint8_t *end) {
    if (end - in >= WIDE) copy_string(out, in, length);
    else memcpy(out, in, length);
}

/* Make room for `bytes` more, guessing the whole chunk from what this page takes. */
static int grow_data(state *st, int64_t used, int64_t bytes, int64_t page_rows) {
    int64_t needed = used + bytes + LF_SLACK;
    if (needed - LF_SLACK > INT32_MAX) return LF_UNSUPPORTED; /* 32-bit offsets end here */
    if (needed <= st->data_capacity) return LF_OK;
    int64_t left = st->c->rows - st->row - page_rows;
    int64_t guess = page_rows ? (int64_t)((double)bytes / (double)page_rows * (double)left * 1.05) : 0;
    if (guess > INT32_MAX - bytes - used) guess = INT32_MAX - bytes - used;
    st->data = st->c->grow(st->c->index, needed + guess);
    if (!st->data) return LF_NO_MEMORY;
    st->data_capacity = needed + guess;
    return LF_OK;
}

static int64_t string_bytes(const entry *entries, const uint32_t *index, int32_t count) {
    int64_t total = 0;
    for (int32_t i = 0; i < count; i++) total += entries[index[i]].length;
    return total;
}

/* Each of these writes the offsets of `count` strings from `offsets[0]`, which is there, to `offsets[count]`. */
static int from_dictionary(state *st, const uint8_t *in, int64_t size, int32_t *offsets, int64_t count) {
    lf_hybrid h;
    if (!st->dictionary || size < 1 || lf_hybrid_init(&h, in + 1, size - 1, in[0])) return LF_CORRUPT;
    uint32_t *index = st->s->indices;
    const entry *entries = (const entry *)st->s->entries.at;
    for (int64_t done = 0; done < count;) {
        int32_t repeat;
        uint32_t value = 0;
        int32_t got = lf_next_indices(&h, index, count - done, st->dictionary_size, &repeat, &value);
        if (got < 0) return LF_CORRUPT;
        if (repeat)
            for (int32_t i = 0; i < got; i++) index[i] = value;
        int64_t at = offsets[done];
        int status = grow_data(st, at, string_bytes(entries, index, got), got);
        if (status) return status;
        for (int32_t i = 0; i < got; i++) {
            entry e = entries[index[i]];
            copy_string(st->data + at, st->dictionary + e.start, e.length);
            at += e.length;
            offsets[done + i + 1] = (int32_t)at;
        }
        done += got;
    }
    return LF_OK;
}

static int from_plain(state *st, const uint8_t *in, int64_t size, int32_t *offsets, int64_t count) {
    const uint8_t *from = in, *end = in + size;
    int64_t at = offsets[0];
    int status = grow_data(st, at, size, count);
    if (status) return status;
    for (int64_t i = 0; i < count; i++) {
        uint32_t length;
        if (end - from < 4) return LF_CORRUPT;
        memcpy(&length, from, 4);
        from += 4;
        if (length > (uint64_t)(end - from)) return LF_CORRUPT;
        copy_exactly(st->data + at, from, length, end);
        from += length;
        at += length;
        offsets[i + 1] = (int32_t)at;
    }
    return LF_OK;
}

static int from_delta_lengths(state *st, const uint8_t *in, int64_t size, int32_t *offsets, int64_t count) {
    int64_t *lengths = (int64_t *)lf_room(&st->s->dense, count * 8);
    if (!lengths) return LF_NO_MEMORY;
    int64_t taken = lf_delta(in, size, lengths, count);
    if (taken < 0) return LF_CORRUPT;
    int64_t at = offsets[0], bytes = 0;
    for (int64_t i = 0; i < count; i++) {
        if (lengths[i] < 0 || lengths[i] > size - taken - bytes) return LF_CORRUPT;
        bytes += lengths[i];
    }
    int status = grow_data(st, at, bytes, count);
    if (status) return status;
    memcpy(st->data + at, in + taken, (size_t)bytes);
    for (int64_t i = 0; i < count; i++) offsets[i + 1] = (int32_t)(at += lengths[i]);
    return LF_OK;
}

/* The sum of what strings take that share a prefix with the one before; negative: a status. */
static int64_t shared_bytes(const int64_t *prefixes, const int64_t *lengths, int64_t count, int64_t size) {
    int64_t total = 0, before = 0;
    for (int64_t i = 0; i < count; i++) {
        if (prefixes[i] < 0 || prefixes[i] > before || lengths[i] < 0 || lengths[i] > size) return -LF_CORRUPT;
        size -= lengths[i];
        before = prefixes[i] + lengths[i];
        total += before;
        if (total > INT32_MAX) return -LF_UNSUPPORTED;
    }
    return total;
}

static int from_delta_strings(state *st, const uint8_t *in, int64_t size, int32_t *offsets, int64_t count) {
    int64_t *prefixes = (int64_t *)lf_room(&st->s->dense, count * 16);
    if (!prefixes) return LF_NO_MEMORY;
    int64_t *lengths = prefixes + count;
    int64_t taken = lf_delta(in, size, prefixes, count);
    int64_t more = taken < 0 ? -1 : lf_delta(in + taken, size - taken, lengths, count);
    if (more < 0) return LF_CORRUPT;
    const uint8_t *from = in + taken + more, *end = in + size;
    int64_t bytes = shared_bytes(prefixes, lengths, count, end - from);
    if (bytes < 0) return (int)-bytes;
    int64_t at = offsets[0], last = at;
    int status = grow_data(st, at, bytes, count);
    if (status) return status;
    for (int64_t i = 0; i < count; i++) {
        uint8_t *to = st->data + at, kept[WIDE];
        /* A short one lies closer than the width of a copy. */
        memcpy(kept, st->data + last, WIDE);
        memcpy(to, kept, WIDE);
        if (prefixes[i] > WIDE) memcpy(to + WIDE, st->data + last + WIDE, (size_t)(prefixes[i] - WIDE));
        copy_exactly(to + prefixes[i], from, (uint32_t)lengths[i], end);
        from += lengths[i];
        last = at;
        offsets[i + 1] = (int32_t)(at += prefixes[i] + lengths[i]);
    }
    return LF_OK;
}

/* Give null rows an empty string: `dense` + 1 offsets become `rows` + 1. */
static void spread_offsets(int32_t *offsets, const uint8_t *valid, int64_t first, int64_t rows, int64_t dense) {
    for (int64_t i = rows; i > 0; i--) {
        offsets[i] = offsets[dense];
        if (lf_bit(valid, first + i - 1)) dense--;
    }
}

int lf_string_values(state *st, int32_t encoding, const uint8_t *in, int64_t size, int64_t rows, int64_t dense) {
    int32_t *offsets = (int32_t *)st->c->values + st->row;
    int status = LF_OK;
    if (dense) switch (encoding) {
    case LF_PLAIN: status = from_plain(st, in, size, offsets, dense); break;
    case LF_PLAIN_DICTIONARY: case LF_RLE_DICTIONARY: status = from_dictionary(st, in, size, offsets, dense); break;
    case LF_DELTA_LENGTH: status = from_delta_lengths(st, in, size, offsets, dense); break;
    case LF_DELTA_STRINGS: status = from_delta_strings(st, in, size, offsets, dense); break;
    default: return LF_UNSUPPORTED;
    }
    if (status == LF_OK && dense < rows) spread_offsets(offsets, st->c->validity, st->row, rows, dense);
    return status;
}

int lf_string_dictionary(state *st, const uint8_t *in, int64_t size, int32_t count) {
    if (count > size / 4) return LF_CORRUPT; /* each has its length */
    entry *entries = (entry *)lf_room(&st->s->entries, (int64_t)count * (int64_t)sizeof(entry));
    uint8_t *bytes = lf_room(&st->s->dictionary, size);
    if (!entries || !bytes) return LF_NO_MEMORY;
    memcpy(bytes, in, (size_t)size);
    int64_t at = 0;
    for (int32_t i = 0; i < count; i++) {
        uint32_t length;
        if (size - at < 4) return LF_CORRUPT;
        memcpy(&length, in + at, 4);
        at += 4;
        if (length > (uint64_t)(size - at)) return LF_CORRUPT;
        entries[i] = (entry){(uint32_t)at, length};
        at += length;
    }
    st->dictionary = bytes;
    st->dictionary_size = count;
    return LF_OK;
}
