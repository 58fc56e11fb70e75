/* Page headers, which are structs in Thrift's compact protocol. */
#include "parts.h"
#include "thrift.h"

static int is_integer(int type) { return type == T_I32 || type == T_I16 || type == T_I64; }

/* The header of a data page (5), a dictionary page (7) or a data page v2 (8). */
static void kind_header(lf_reader *r, int kind, lf_page *page) {
    int16_t id = 0;
    int type;
    while (!r->failed && (type = lf_next_field(r, &id))) {
        if (kind == 8 && id == 7 && (type == T_TRUE || type == T_FALSE)) {
            page->is_compressed = type == T_TRUE;
            continue;
        }
        if (!is_integer(type)) {
            lf_skip(r, type);
            continue;
        }
        int32_t value = (int32_t)lf_zigzag(r);
        if (id == 1) page->num_values = value;
        else if (kind == 8 && id == 4) page->encoding = value;
        else if (kind == 8 && id == 5) page->def_bytes = value;
        else if (kind == 8 && id == 6) page->rep_bytes = value;
        else if (kind != 8 && id == 2) page->encoding = value;
        else if (kind == 5 && id == 3) page->levels_encoding = value;
    }
}

int64_t lf_page_header(const uint8_t *in, int64_t size, lf_page *page) {
    lf_reader r = {in, in + size, 0};
    int16_t id = 0;
    int type;
    memset(page, 0, sizeof *page);
    page->type = page->compressed_size = page->uncompressed_size = page->num_values = -1;
    page->is_compressed = 1;
    while (!r.failed && (type = lf_next_field(&r, &id))) {
        if (type == T_STRUCT && (id == 5 || id == 7 || id == 8)) {
            kind_header(&r, id, page);
        } else if (is_integer(type)) {
            int32_t value = (int32_t)lf_zigzag(&r);
            if (id == 1) page->type = value;
            else if (id == 2) page->uncompressed_size = value;
            else if (id == 3) page->compressed_size = value;
            else if (id == 4) { page->has_crc = 1; page->crc = (uint32_t)value; }
        } else {
            lf_skip(&r, type);
        }
    }
    if (r.failed || page->type < 0 || page->compressed_size < 0 || page->uncompressed_size < 0) return -1;
    return r.at - in;
}
