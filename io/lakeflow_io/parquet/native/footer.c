/* What is in a footer, as far as it has to be known before anybody else reads it: parquet.thrift's FileMetaData. */
#include "parts.h"
#include "thrift.h"

/* Groups within groups; schemas have a handful. */
#define MOST_DEPTH 200

enum { REQUIRED = 0, REPEATED = 2 };
enum { DECIMAL = 5 }; /* among the older, "converted" types */

int lf_struct_field(const uint8_t *in, int64_t size, int32_t wanted, int64_t *start, int64_t *length) {
    lf_reader r = {in, in + size, 0};
    int16_t id = 0;
    int type;
    *start = *length = 0;
    while (!r.failed && (type = lf_next_field(&r, &id))) {
        const uint8_t *before = r.at;
        lf_skip(&r, type);
        if (id == wanted) {
            *start = before - in;
            *length = r.at - before;
        }
    }
    return r.failed ? -1 : 0;
}

/* ---- the schema: a tree, its nodes in the order of a walk ---- */

typedef struct {
    lf_reader r;
    lf_leaf *leaves;
    int32_t count, found;
    lf_fault *fault;
} walk;

static void failed(walk *w, int kind) {
    if (w->fault->kind == LF_SOUND) w->fault->kind = kind;
    w->r.failed = 1;
}

/* Bytes of a bound that is whole; 0 where it may be cut: texts' and, by some writers, those of fixed bytes. */
static int32_t bound_width(int32_t type, int32_t decimal_length) {
    switch (type) {
    case LF_BOOLEAN: return 1;
    case LF_INT32: case LF_FLOAT: return 4;
    case LF_INT64: case LF_DOUBLE: return 8;
    case LF_INT96: return 12;
    case LF_FIXED: return decimal_length;
    default: return 0;
    }
}

/* A logical type, which is a union: whether it is a decimal. */
static int is_decimal(lf_reader *r) {
    int16_t id = 0;
    int kind, found = 0;
    while (!r->failed && (kind = lf_next_field(r, &id))) {
        found |= id == 5;
        lf_skip(r, kind);
    }
    return found;
}

/* One element and all beneath it; `left` elements follow in the list. */
static void schema_element(walk *w, int depth, int32_t levels, int32_t repeats, uint64_t *left) {
    int16_t id = 0;
    int kind, decimal = 0;
    int32_t type = -1, length = 0, repetition = REQUIRED;
    int64_t children = 0;
    if (depth > MOST_DEPTH || *left == 0) {
        failed(w, LF_NO_TREE);
        return;
    }
    --*left;
    while (!w->r.failed && (kind = lf_next_field(&w->r, &id))) {
        if (kind == T_STRUCT && id == 10) decimal |= is_decimal(&w->r);
        else if (kind != T_I32) lf_skip(&w->r, kind);
        else if (id == 1) type = (int32_t)lf_zigzag(&w->r);
        else if (id == 2) length = (int32_t)lf_zigzag(&w->r);
        else if (id == 3) repetition = (int32_t)lf_zigzag(&w->r);
        else if (id == 5) children = lf_zigzag(&w->r);
        else if (id == 6) decimal |= lf_zigzag(&w->r) == DECIMAL;
        else lf_skip(&w->r, kind);
    }
    if (depth > 0) {
        if (repetition < REQUIRED || repetition > REPEATED) failed(w, LF_NO_TREE);
        levels += repetition != REQUIRED;
        repeats += repetition == REPEATED;
    }
    if (children <= 0 && type >= 0) {
        if (w->found == w->count) failed(w, LF_NO_TREE);
        else w->leaves[w->found++] = (lf_leaf){type, bound_width(type, decimal ? length : 0), levels, repeats};
    }
    for (; children > 0 && !w->r.failed; children--) schema_element(w, depth + 1, levels, repeats, left);
}

/* ---- column chunks ---- */

static void statistics(walk *w, const lf_leaf *leaf) {
    int16_t id = 0;
    int kind;
    while (!w->r.failed && (kind = lf_next_field(&w->r, &id))) {
        const uint8_t *before = w->r.at;
        if (kind == T_BINARY && (id == 1 || id == 2 || id == 5 || id == 6)) {
            uint64_t length = lf_varint(&w->r);
            if (length < (uint64_t)leaf->bound) failed(w, LF_BAD_BOUND);
            w->r.at = before;
        }
        lf_skip(&w->r, kind);
    }
}

/* Histograms of levels, which may be missing, and a size that only texts have. */
static void size_statistics(walk *w, const lf_leaf *leaf) {
    int16_t id = 0;
    int kind;
    while (!w->r.failed && (kind = lf_next_field(&w->r, &id))) {
        const uint8_t *before = w->r.at;
        if (kind == T_LIST && (id == 2 || id == 3)) {
            int element;
            uint64_t count = lf_list(&w->r, &element);
            if (count && count != (uint64_t)(id == 2 ? leaf->repeats : leaf->levels) + 1) failed(w, LF_BAD_LEVELS);
            w->r.at = before;
        } else if (kind == T_I64 && id == 1 && leaf->type != LF_BYTE_ARRAY) {
            failed(w, LF_BAD_LEVELS);
        }
        lf_skip(&w->r, kind);
    }
}

static void column_metadata(walk *w, const lf_leaf *leaf) {
    int16_t id = 0;
    int kind;
    int64_t type = -1, codec = -1;
    while (!w->r.failed && (kind = lf_next_field(&w->r, &id))) {
        if (kind == T_STRUCT && id == 12) statistics(w, leaf);
        else if (kind == T_STRUCT && id == 16) size_statistics(w, leaf);
        else if (kind == T_I32 && id == 1) type = lf_zigzag(&w->r);
        else if (kind == T_I32 && id == 4) codec = lf_zigzag(&w->r);
        else lf_skip(&w->r, kind);
    }
    if (w->r.failed) return;
    if (type != leaf->type) failed(w, LF_BAD_TYPE);
    else if (codec < 0 || codec > LF_LAST_CODEC) failed(w, LF_BAD_CODEC);
}

static void column_chunk(walk *w, const lf_leaf *leaf) {
    int16_t id = 0;
    int kind, described = 0;
    while (!w->r.failed && (kind = lf_next_field(&w->r, &id))) {
        if (kind == T_STRUCT && id == 3) {
            column_metadata(w, leaf);
            described = 1;
        } else if (kind == T_STRUCT && id == 8) {
            failed(w, LF_ENCRYPTED);
        } else {
            lf_skip(&w->r, kind);
        }
    }
    if (!w->r.failed && !described) failed(w, LF_NO_METADATA);
}

static void row_group(walk *w) {
    int16_t id = 0;
    int kind;
    int64_t found = 0;
    while (!w->r.failed && (kind = lf_next_field(&w->r, &id))) {
        if (kind != T_LIST || id != 1) {
            lf_skip(&w->r, kind);
            continue;
        }
        int element;
        uint64_t count = lf_list(&w->r, &element);
        if (count > (uint64_t)w->count || (count && element != T_STRUCT)) {
            failed(w, LF_NO_METADATA);
            return;
        }
        found = (int64_t)count;
        for (uint64_t i = 0; i < count && !w->r.failed; i++) {
            w->fault->column = (int32_t)i;
            column_chunk(w, w->leaves + i);
        }
    }
    if (!w->r.failed && found != w->count) failed(w, LF_NO_METADATA);
}

int lf_check_footer(const uint8_t *in, int64_t size, lf_leaf *leaves, int32_t count, lf_fault *fault) {
    walk w = {{in, in + size, 0}, leaves, count, 0, fault};
    int16_t id = 0;
    int kind, element;
    *fault = (lf_fault){LF_SOUND, -1, -1};
    while (!w.r.failed && (kind = lf_next_field(&w.r, &id))) {
        if (kind != T_LIST || (id != 2 && id != 4)) {
            lf_skip(&w.r, kind);
            continue;
        }
        uint64_t left = lf_list(&w.r, &element);
        if (left && element != T_STRUCT) failed(&w, LF_NO_TREE);
        if (id == 2) {
            w.found = 0;
            schema_element(&w, 0, 0, 0, &left);
            if (!w.r.failed && (left || w.found != count)) failed(&w, LF_NO_TREE);
        } else if (w.found != count) {
            failed(&w, LF_NO_TREE); /* the schema comes first */
        } else {
            for (uint64_t i = 0; i < left && !w.r.failed; i++) {
                fault->row_group = (int32_t)i;
                row_group(&w);
            }
            fault->row_group = w.r.failed ? fault->row_group : -1;
        }
    }
    if (w.r.failed && fault->kind == LF_SOUND) fault->kind = LF_NO_TREE;
    return fault->kind;
}
