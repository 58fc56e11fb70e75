/* What the files of this folder share; not for callers. */
#ifndef LAKEFLOW_RECORDS_H
#define LAKEFLOW_RECORDS_H

#include <stdlib.h>

#include "../../../parquet/native/parts.h"
#include "avro.h"

struct lf_avro {
    int32_t *program;
    lf_slot *slots;
    int32_t count;
    int64_t *tally;
    int64_t rows, capacity;
    lf_bytes block; /* decompressed */
    /* while records are read */
    const uint8_t *at, *end;
    int failed; /* one of the results; what is read behind it means nothing */
    int32_t key, hint;
};

/* What is read from now on means nothing. */
static inline void fail(lf_avro *d, int why) {
    if (!d->failed) d->failed = why;
    d->at = d->end;
}

/* An int or long of more than one byte. */
int64_t lf_long_varint(lf_avro *d);

static inline int64_t varint(lf_avro *d) {
    if (d->at < d->end && *d->at < 0x80) {
        uint8_t byte = *d->at++;
        return (int64_t)(byte >> 1) ^ -(int64_t)(byte & 1);
    }
    return lf_long_varint(d);
}

/* Run the program for one record, which begins at `at`. */
void lf_avro_record(lf_avro *d);

#endif
