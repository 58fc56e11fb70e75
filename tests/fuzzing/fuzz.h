/* What the drivers share: luck, damage, and input that ends where a page begins that can't be read. */
#ifndef LAKEFLOW_FUZZ_H
#define LAKEFLOW_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of one sample, damaged or not. */
#define MOST_BYTES (1 << 20)

typedef struct {
    size_t sample_size;
    /* Reads the next sample of the corpus; 0 at its end. */
    int (*read)(FILE *corpus, void *sample);
    /* Decodes it as it is; 0 if it is accepted, as it has to be. */
    int (*whole)(const void *sample, int64_t index);
    /* Decodes it damaged in `work`, of MOST_BYTES, maybe with parts of another; the number of an outcome. */
    int (*damaged)(const void *sample, const void *other, uint8_t *work);
    const char *outcomes[5];
} driver;

extern const driver chunks, manifests;

/* Where the unreadable page begins; before it there is room for 4 * MOST_BYTES. */
extern uint8_t *input_end;

int64_t below(int64_t limit); /* at random; 0 where there is nothing below it */
uint8_t odd_byte(void);
void fail(const char *why);
void *read_some(FILE *corpus, int64_t size);
int64_t mutate(uint8_t *bytes, int64_t size); /* one change; their new size */
/* From `at` on, a number too large, whose last byte may be anything. */
void put_too_large(uint8_t *bytes, int64_t size, int64_t at);

#endif
