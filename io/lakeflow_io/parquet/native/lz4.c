/* LZ4, block format: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md */
#include "parts.h"

/* A length whose nibble is full goes on in bytes, until one isn't 255; -1 where the input ends before. */
static int64_t whole_length(int64_t nibble, const uint8_t **at, const uint8_t *end) {
    if (nibble < 15) return nibble;
    int64_t length = nibble;
    while (*at < end) {
        uint8_t byte = *(*at)++;
        length += byte;
        if (byte < 255) return length;
    }
    return -1;
}

int lf_lz4(const uint8_t *in, int64_t in_size, uint8_t *out, int64_t out_size) {
    const uint8_t *at = in, *end = in + in_size;
    uint8_t *to = out, *to_end = out + out_size;
    while (at < end) {
        uint8_t token = *at++;
        int64_t literal = whole_length(token >> 4, &at, end);
        if (literal < 0 || literal > end - at || literal > to_end - to) return 0;
        if (literal <= 16 && end - at >= 16) memcpy(to, at, 16);
        else memcpy(to, at, (size_t)literal);
        at += literal;
        to += literal;
        if (at == end) return to == to_end; /* the last sequence has no match */
        if (end - at < 2) return 0;
        int64_t distance = at[0] | at[1] << 8;
        at += 2;
        int64_t length = whole_length(token & 15, &at, end) + 4;
        if (length < 4 || distance == 0 || distance > to - out || length > to_end - to) return 0;
        lf_copy_match(to, distance, length);
        to += length;
    }
    return 0;
}
