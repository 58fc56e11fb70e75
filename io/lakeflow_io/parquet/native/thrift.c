/* Thrift's compact protocol, read. */
#include "thrift.h"

#define MOST_NESTING 24

uint64_t lf_varint(lf_reader *r) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && r->at < r->end; shift += 7) {
        uint8_t byte = *r->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
    r->failed = 1;
    return 0;
}

int64_t lf_zigzag(lf_reader *r) {
    uint64_t value = lf_varint(r);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static uint8_t one_byte(lf_reader *r) {
    if (r->at < r->end) return *r->at++;
    r->failed = 1;
    return 0;
}

int lf_next_field(lf_reader *r, int16_t *id) {
    uint8_t head = one_byte(r);
    if (head == 0) return 0;
    if (head >> 4) *id = (int16_t)(*id + (head >> 4));
    else *id = (int16_t)lf_zigzag(r);
    return head & 0x0f;
}

uint64_t lf_list(lf_reader *r, int *type) {
    uint8_t head = one_byte(r);
    *type = head & 0x0f;
    return head >> 4 == 15 ? lf_varint(r) : head >> 4;
}

static void skip_bytes(lf_reader *r, uint64_t count) {
    if (count > (uint64_t)(r->end - r->at)) r->failed = 1;
    else r->at += count;
}

static void skip(lf_reader *r, int type, int depth);

/* An element: a boolean takes a byte in a list, as a field it is told by its type. */
static void skip_element(lf_reader *r, int type, int depth) {
    if (type == T_TRUE || type == T_FALSE) skip_bytes(r, 1);
    else skip(r, type, depth);
}

static void skip(lf_reader *r, int type, int depth) {
    if (depth > MOST_NESTING) {
        r->failed = 1;
        return;
    }
    switch (type) {
    case T_TRUE: case T_FALSE: return;
    case T_BYTE: skip_bytes(r, 1); return;
    case T_I16: case T_I32: case T_I64: lf_varint(r); return;
    case T_DOUBLE: skip_bytes(r, 8); return;
    case T_BINARY: skip_bytes(r, lf_varint(r)); return;
    case T_LIST: case T_SET: {
        int kind;
        uint64_t count = lf_list(r, &kind);
        for (uint64_t i = 0; i < count && !r->failed; i++) skip_element(r, kind, depth + 1);
        return;
    }
    case T_MAP: {
        uint64_t count = lf_varint(r);
        uint8_t kinds = count && !r->failed ? one_byte(r) : 0;
        for (uint64_t i = 0; i < count && !r->failed; i++) {
            skip_element(r, kinds >> 4, depth + 1);
            skip_element(r, kinds & 0x0f, depth + 1);
        }
        return;
    }
    case T_STRUCT: {
        int16_t id = 0;
        int kind;
        while (!r->failed && (kind = lf_next_field(r, &id))) skip(r, kind, depth + 1);
        return;
    }
    default: r->failed = 1;
    }
}

void lf_skip(lf_reader *r, int type) { skip(r, type, 0); }
