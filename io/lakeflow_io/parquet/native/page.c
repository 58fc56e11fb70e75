/* Page headers, which are structs in Thrift's compact protocol. */
#include "parts.h"

/* ---- Thrift compact: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md ---- */

typedef struct {
    const uint8_t *at, *end;
    int failed;
} reader;

enum { T_TRUE = 1, T_FALSE = 2, T_BYTE = 3, T_I16 = 4, T_I32 = 5, T_I64 = 6, T_DOUBLE = 7, T_BINARY = 8, T_LIST = 9,
       T_SET = 10, T_MAP = 11, T_STRUCT = 12 };

#define MOST_NESTING 16

static uint64_t varint(reader *r) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && r->at < r->end; shift += 7) {
        uint8_t byte = *r->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
    r->failed = 1;
    return 0;
}

static int64_t zigzag(reader *r) {
    uint64_t value = varint(r);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static void skip_bytes(reader *r, uint64_t count) {
    if (count > (uint64_t)(r->end - r->at)) r->failed = 1;
    else r->at += count;
}

static void skip(reader *r, int type, int depth);

/* The next field of a struct: its type, or 0 at the struct's end. */
static int next_field(reader *r, int16_t *id) {
    if (r->at >= r->end) {
        r->failed = 1;
        return 0;
    }
    uint8_t head = *r->at++;
    if (head == 0) return 0;
    if (head >> 4) *id = (int16_t)(*id + (head >> 4));
    else *id = (int16_t)zigzag(r);
    return head & 0x0f;
}

static void skip_struct(reader *r, int depth) {
    int16_t id = 0;
    int type;
    while (!r->failed && (type = next_field(r, &id))) skip(r, type, depth);
}

/* `in_list`: a boolean in a list takes a byte; as a field it is told by its type. */
static void skip_value(reader *r, int type, int depth, int in_list) {
    if (type == T_TRUE || type == T_FALSE) {
        if (in_list) skip_bytes(r, 1);
    } else {
        skip(r, type, depth);
    }
}

static void skip(reader *r, int type, int depth) {
    if (depth > MOST_NESTING) {
        r->failed = 1;
        return;
    }
    switch (type) {
    case T_TRUE: case T_FALSE: return;
    case T_BYTE: skip_bytes(r, 1); return;
    case T_I16: case T_I32: case T_I64: varint(r); return;
    case T_DOUBLE: skip_bytes(r, 8); return;
    case T_BINARY: skip_bytes(r, varint(r)); return;
    case T_LIST: case T_SET: {
        if (r->at >= r->end) { r->failed = 1; return; }
        uint8_t head = *r->at++;
        uint64_t count = head >> 4 == 15 ? varint(r) : head >> 4;
        for (uint64_t i = 0; i < count && !r->failed; i++) skip_value(r, head & 0x0f, depth + 1, 1);
        return;
    }
    case T_MAP: {
        uint64_t count = varint(r);
        if (count == 0 || r->failed) return;
        if (r->at >= r->end) { r->failed = 1; return; }
        uint8_t kinds = *r->at++;
        for (uint64_t i = 0; i < count && !r->failed; i++) {
            skip_value(r, kinds >> 4, depth + 1, 1);
            skip_value(r, kinds & 0x0f, depth + 1, 1);
        }
        return;
    }
    case T_STRUCT: skip_struct(r, depth + 1); return;
    default: r->failed = 1;
    }
}

static int is_integer(int type) { return type == T_I32 || type == T_I16 || type == T_I64; }

/* The header of a data page (5), a dictionary page (7) or a data page v2 (8). */
static void kind_header(reader *r, int kind, lf_page *page) {
    int16_t id = 0;
    int type;
    while (!r->failed && (type = next_field(r, &id))) {
        if (kind == 8 && id == 7 && (type == T_TRUE || type == T_FALSE)) {
            page->is_compressed = type == T_TRUE;
            continue;
        }
        if (!is_integer(type)) {
            skip(r, type, 1);
            continue;
        }
        int32_t value = (int32_t)zigzag(r);
        if (id == 1) page->num_values = value;
        else if (kind == 8 && id == 4) page->encoding = value;
        else if (kind == 8 && id == 5) page->def_bytes = value;
        else if (kind == 8 && id == 6) page->rep_bytes = value;
        else if (kind != 8 && id == 2) page->encoding = value;
        else if (kind == 5 && id == 3) page->levels_encoding = value;
    }
}

int64_t lf_page_header(const uint8_t *in, int64_t size, lf_page *page) {
    reader r = {in, in + size, 0};
    int16_t id = 0;
    int type;
    memset(page, 0, sizeof *page);
    page->type = page->compressed_size = page->uncompressed_size = page->num_values = -1;
    page->is_compressed = 1;
    while (!r.failed && (type = next_field(&r, &id))) {
        if (type == T_STRUCT && (id == 5 || id == 7 || id == 8)) {
            kind_header(&r, id, page);
        } else if (is_integer(type)) {
            int32_t value = (int32_t)zigzag(&r);
            if (id == 1) page->type = value;
            else if (id == 2) page->uncompressed_size = value;
            else if (id == 3) page->compressed_size = value;
            else if (id == 4) { page->has_crc = 1; page->crc = (uint32_t)value; }
        } else {
            skip(&r, type, 1);
        }
    }
    if (r.failed || page->type < 0 || page->compressed_size < 0 || page->uncompressed_size < 0) return -1;
    return r.at - in;
}

int lf_struct_field(const uint8_t *in, int64_t size, int32_t wanted, int64_t *start, int64_t *length) {
    reader r = {in, in + size, 0};
    int16_t id = 0;
    int type;
    *start = *length = 0;
    while (!r.failed && (type = next_field(&r, &id))) {
        const uint8_t *before = r.at;
        skip(&r, type, 1);
        if (id == wanted) {
            *start = before - in;
            *length = r.at - before;
        }
    }
    return r.failed ? -1 : 0;
}
