/* Snappy, raw format: https://github.com/google/snappy/blob/main/format_description.txt */
#include "parts.h"

/* What one element says. */
typedef struct {
    int64_t length, distance; /* distance 0: a literal */
} element;

/* What a tag says by itself: its length (LONG where that follows), the distance's upper bits, and where the next
 * tag is. */
typedef struct {
    uint16_t length, distance, step;
} tag_entry;

#define LONG 255

static tag_entry tags[256];

__attribute__((constructor)) static void make_tags(void) {
    for (int tag = 0; tag < 256; tag++) {
        int kind = tag & 3, length = (tag >> 2) + 1;
        tag_entry literal = {(uint16_t)(length > 60 ? LONG : length), 0, (uint16_t)(1 + length)};
        tag_entry match = {(uint16_t)length, 0, (uint16_t)(kind == 3 ? 5 : 1 + kind)};
        tag_entry near = {(uint16_t)((tag >> 2 & 7) + 4), (uint16_t)(tag >> 5 << 8), 2};
        tags[tag] = kind == 0 ? literal : kind == 1 ? near : match;
    }
}

/* Read one element's tag and trailer, wherever it lies; 0 where the input is too short. */
static int read_element(const uint8_t **at, const uint8_t *end, element *e) {
    uint8_t tag = *(*at)++;
    int kind = tag & 3, trailer = kind == 3 ? 4 : kind;
    uint32_t value = 0;
    e->length = (tag >> 2) + 1;
    if (kind == 0 && e->length > 60) trailer = (int)e->length - 60;
    if (end - *at < trailer) return 0;
    memcpy(&value, *at, (size_t)trailer);
    *at += trailer;
    e->distance = kind ? (int64_t)value : 0;
    if (kind == 0 && trailer) e->length = (int64_t)value + 1;
    if (kind == 1) {
        e->length = (tag >> 2 & 7) + 4;
        e->distance |= (int64_t)(tag >> 5) << 8;
    }
    /* A match of distance 0 means nothing, and would read as a literal. */
    return kind == 0 || e->distance != 0;
}

/* While an element can be neither cut off nor too long, literals and matches are one copy whose source is
 * chosen without a branch: which of both comes next is what no processor can predict. */
static void copy_elements(const uint8_t **at_, const uint8_t *end, uint8_t *out, uint8_t **to_, uint8_t *to_end) {
    static const uint32_t masks[4] = {0, 0xff, 0xffff, 0xffffffff};
    const uint8_t *at = *at_;
    uint8_t *to = *to_;
    if (to - out < 8) return;
    while (end - at > 80 && to_end - to > 64) {
        uint32_t tag = at[0], trailer;
        memcpy(&trailer, at + 1, 4);
        tag_entry e = tags[tag];
        uint64_t distance = (trailer & masks[tag & 3]) + e.distance;
        uint64_t match = 0 - (uint64_t)((tag & 3) != 0);
        uintptr_t literal = (uintptr_t)at + 1;
        const uint8_t *from = (const uint8_t *)(literal ^ ((literal ^ ((uintptr_t)to - distance)) & match));
        /* Long literals, overlapping matches and damage are somebody else's. */
        if (((distance - 8 > (uint64_t)(to - out - 8)) & match) | (e.length > 64)) break;
        memcpy(to, from, 8);
        memcpy(to + 8, from + 8, 8);
        if (e.length > 16)
            for (int done = 16; done < 64; done += 8) memcpy(to + done, from + done, 8);
        to += e.length;
        at += e.step;
    }
    *at_ = at;
    *to_ = to;
}

int lf_snappy(const uint8_t *in, int64_t in_size, uint8_t *out, int64_t out_size) {
    const uint8_t *at = in, *end = in + in_size;
    uint8_t *to = out, *to_end = out + out_size;
    uint64_t claimed = 0;
    for (int shift = 0;; shift += 7) {
        if (at >= end || shift > 28) return 0;
        uint8_t byte = *at++;
        claimed |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) break;
    }
    if (claimed != (uint64_t)out_size) return 0;
    while (at < end) {
        element e;
        copy_elements(&at, end, out, &to, to_end);
        if (!read_element(&at, end, &e) || e.length > to_end - to) return 0;
        if (e.distance) {
            if (e.distance > to - out) return 0;
            lf_copy_match(to, e.distance, e.length);
        } else {
            if (e.length > end - at) return 0;
            memcpy(to, at, (size_t)e.length);
            at += e.length;
        }
        to += e.length;
    }
    return to == to_end;
}
