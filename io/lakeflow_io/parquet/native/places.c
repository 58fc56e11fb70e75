/* Where a footer says that column chunks lie: what a read without a filter needs of it. */
#include "parts.h"
#include "thrift.h"

/* Ids of parquet.thrift's ColumnMetaData. */
enum { CODEC = 4, UNCOMPRESSED_SIZE = 6, COMPRESSED_SIZE = 7, DATA_PAGE = 9, DICTIONARY_PAGE = 11 };

/* Whether all that has to be there is. */
static int column_metadata(lf_reader *r, lf_place *place) {
    int16_t id = 0;
    int kind, sizes = 0;
    int64_t data = -1, dictionary = 0;
    place->codec = -1;
    while (!r->failed && (kind = lf_next_field(r, &id))) {
        if (kind == T_I32 && id == CODEC) place->codec = lf_zigzag(r);
        else if (kind != T_I64) lf_skip(r, kind);
        else if (id == UNCOMPRESSED_SIZE) place->uncompressed = lf_zigzag(r), sizes |= 1;
        else if (id == COMPRESSED_SIZE) place->length = lf_zigzag(r), sizes |= 2;
        else if (id == DATA_PAGE) data = lf_zigzag(r), sizes |= 4;
        else if (id == DICTIONARY_PAGE) dictionary = lf_zigzag(r);
        else lf_skip(r, kind);
    }
    /* Some writers leave a dictionary offset of 0 where there is no dictionary. */
    place->start = dictionary && dictionary < data ? dictionary : data;
    return !r->failed && sizes == 7 && place->codec >= 0;
}

static int column_chunk(lf_reader *r, lf_place *place) {
    int16_t id = 0;
    int kind, there = 0;
    while (!r->failed && (kind = lf_next_field(r, &id))) {
        if (kind == T_STRUCT && id == 3) there = column_metadata(r, place);
        else lf_skip(r, kind);
    }
    return there;
}

static int row_group(lf_reader *r, uint64_t columns, int64_t *rows, lf_place *places) {
    int16_t id = 0;
    int kind, element, counted = 0;
    uint64_t found = 0;
    while (!r->failed && (kind = lf_next_field(r, &id))) {
        if (kind == T_LIST && id == 1) {
            found = lf_list(r, &element);
            if (found != columns || element != T_STRUCT) return 0;
            for (uint64_t i = 0; i < found; i++)
                if (!column_chunk(r, places + i)) return 0;
        } else if (kind == T_I64 && id == 3) {
            *rows = lf_zigzag(r);
            counted = 1;
        } else {
            lf_skip(r, kind);
        }
    }
    return !r->failed && counted && found == columns;
}

int64_t lf_list_chunks(const uint8_t *in, int64_t size, int32_t columns, int64_t most, int64_t *rows,
                       lf_place *places) {
    lf_reader r = {in, in + size, 0};
    int16_t id = 0;
    int kind, element;
    int64_t groups = -1;
    while (!r.failed && (kind = lf_next_field(&r, &id))) {
        if (kind != T_LIST || id != 4) {
            lf_skip(&r, kind);
            continue;
        }
        uint64_t count = lf_list(&r, &element);
        if (columns <= 0 || count > (uint64_t)most || (count && element != T_STRUCT)) return -1;
        groups = (int64_t)count;
        for (int64_t i = 0; i < groups; i++)
            if (!row_group(&r, (uint64_t)columns, rows + i, places + i * columns)) return -1;
    }
    return r.failed ? -1 : groups;
}
