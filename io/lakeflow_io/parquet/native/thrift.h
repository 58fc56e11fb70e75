/* Thrift's compact protocol, read: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md */
#ifndef LAKEFLOW_THRIFT_H
#define LAKEFLOW_THRIFT_H

#include <stdint.h>

typedef struct {
    const uint8_t *at, *end;
    int failed; /* stays: what is read behind it means nothing */
} lf_reader;

enum { T_TRUE = 1, T_FALSE = 2, T_BYTE = 3, T_I16 = 4, T_I32 = 5, T_I64 = 6, T_DOUBLE = 7, T_BINARY = 8, T_LIST = 9,
       T_SET = 10, T_MAP = 11, T_STRUCT = 12 };

uint64_t lf_varint(lf_reader *r);
int64_t lf_zigzag(lf_reader *r);
/* The next field of a struct: its type, or 0 at the struct's end. */
int lf_next_field(lf_reader *r, int16_t *id);
/* How many elements a list has, and of what type. */
uint64_t lf_list(lf_reader *r, int *type);
/* The value of a field that nobody looks at. */
void lf_skip(lf_reader *r, int type);

#endif
