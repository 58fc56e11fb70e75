/* Damages records of manifests at random, decodes them, and looks at what is called decoded. fuzz.py builds and runs it.
 *
 *     fuzz CORPUS SEED MUTATIONS
 *
 * The input ends where a page begins that can't be read; everything else is allocated in just the size that was
 * asked for, so that a sanitizer sees any step outside.
 */
#define _DEFAULT_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "avro.h"

#define MOST_BYTES (1 << 20)
#define MOST_SAMPLES 256
#define SYNC 16

/* As fuzz.py writes it, before the program, the columns and the block. */
typedef struct {
    int64_t words, slots, tally, codec, count, size;
} head;

typedef struct {
    head h;
    const int32_t *program, *slots;
    const uint8_t *bytes;
} sample;

static uint64_t random_state;
static uint8_t *input_end; /* where the unreadable page begins */

/* SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t next_random(void) {
    uint64_t z = random_state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static int64_t below(int64_t limit) { return limit > 0 ? (int64_t)(next_random() % (uint64_t)limit) : 0; }

static void fail(const char *why) {
    fprintf(stderr, "wrong: %s\n", why);
    abort();
}

static uint8_t odd_byte(void) {
    static const uint8_t odd[] = {0, 1, 2, 3, 4, 0x0f, 0x10, 0x7f, 0x80, 0x81, 0xfe, 0xff};
    return below(3) ? odd[below(sizeof odd)] : (uint8_t)next_random();
}

/* One change of the bytes; their new size. */
static int64_t mutate(uint8_t *bytes, int64_t size) {
    if (size == 0) return 0;
    int64_t at = below(size), length = 1 + below(16);
    switch (below(7)) {
    case 0: bytes[at] ^= (uint8_t)(1 << below(8)); break;
    case 1: case 2: bytes[at] = odd_byte(); break;
    case 3: return below(4) ? size : at;
    case 4: /* a number too large, whose last byte may be anything */
        if (length > size - at) length = size - at;
        memset(bytes + at, 0xff, (size_t)length);
        bytes[at + length - 1] = odd_byte();
        break;
    case 5: /* cut some out */
        if (length > size - at) length = size - at;
        memmove(bytes + at, bytes + at + length, (size_t)(size - at - length));
        return size - length;
    default: /* put some in */
        if (size + length > MOST_BYTES) break;
        memmove(bytes + at + length, bytes + at, (size_t)(size - at));
        memset(bytes + at, odd_byte(), (size_t)length);
        return size + length;
    }
    return size;
}

static int put_long(uint8_t *to, int64_t value) {
    uint64_t rest = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    int length = 0;
    for (; rest > 0x7f; rest >>= 7) to[length++] = (uint8_t)(rest | 0x80);
    to[length++] = (uint8_t)rest;
    return length;
}

static void check(const lf_avro *d, const sample *s) {
    int64_t rows = lf_avro_rows(d);
    for (int32_t i = 0; i < s->h.slots; i++) {
        const lf_slot *slot = lf_avro_slot(d, i);
        int64_t valid = 0;
        for (int64_t row = 0; row < rows; row++) valid += slot->validity[row >> 3] >> (row & 7) & 1;
        if (valid != slot->valid) fail("the count of values");
        if (slot->kind == LF_NUMBERS) continue;
        const int32_t *offsets = (const int32_t *)(const void *)slot->values;
        int64_t unit = slot->kind == LF_LISTS ? 8 : 1;
        if (offsets[0] != 0 || offsets[rows] * unit != slot->data_size) fail("the ends of offsets");
        for (int64_t row = 0; row < rows; row++)
            if (offsets[row] > offsets[row + 1]) fail("the order of offsets");
    }
}

/* Frames the bytes as a file's only block, or as two. */
static int decode(const sample *s, const uint8_t *bytes, int64_t size, int64_t count, int twice) {
    static const uint8_t sync[SYNC] = {7, 1, 2, 3};
    uint8_t lengths[32];
    int head_size = put_long(lengths, count);
    head_size += put_long(lengths + head_size, size);
    int64_t whole = (head_size + size + SYNC) * (1 + twice);
    uint8_t *start = input_end - whole, *to = start;
    for (int i = 0; i <= twice; i++) {
        memcpy(to, lengths, (size_t)head_size);
        memcpy(to + head_size, bytes, (size_t)size);
        memcpy(to + head_size + size, sync, SYNC);
        to += head_size + size + SYNC;
    }
    lf_avro *d = lf_avro_new(s->program, s->h.words, s->slots, (int32_t)s->h.slots, (int32_t)s->h.tally);
    if (!d) return LF_AVRO_NO_MEMORY;
    int status = lf_avro_decode(d, start, whole, (int32_t)s->h.codec, sync);
    if (status == LF_AVRO_OK) {
        if (lf_avro_rows(d) != count * (1 + twice)) fail("the count of records");
        check(d, s);
    }
    lf_avro_free(d);
    return status;
}

static void *read_some(FILE *file, int64_t size) {
    void *made = malloc((size_t)size + 1);
    if (!made || size > MOST_BYTES || fread(made, 1, (size_t)size, file) != (size_t)size) abort();
    return made;
}

static sample *read_corpus(const char *path, int64_t *count) {
    FILE *file = fopen(path, "rb");
    sample *samples = malloc(sizeof(sample) * MOST_SAMPLES);
    *count = 0;
    while (file && samples && *count < MOST_SAMPLES) {
        sample *s = &samples[*count];
        if (fread(&s->h, sizeof s->h, 1, file) != 1) break;
        s->program = read_some(file, s->h.words * 4);
        s->slots = read_some(file, s->h.slots * 8);
        s->bytes = read_some(file, s->h.size);
        ++*count;
    }
    if (file) fclose(file);
    return samples;
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    int64_t samples_count, statuses[4] = {0}, mutations = atoll(arguments[3]);
    sample *samples = read_corpus(arguments[1], &samples_count);
    random_state = (uint64_t)atoll(arguments[2]);
    if (!samples || samples_count == 0) return 2;
    int64_t page = sysconf(_SC_PAGESIZE), room = 4 * MOST_BYTES;
    uint8_t *map = mmap(NULL, (size_t)(room + page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map + room, (size_t)page, PROT_NONE)) return 2;
    input_end = map + room;
    for (int64_t i = 0; i < samples_count; i++) /* undamaged, all of them decode */
        if (decode(&samples[i], samples[i].bytes, samples[i].h.size, samples[i].h.count, i & 1))
            fail("an undamaged block is refused");
    uint8_t *work = malloc(MOST_BYTES);
    for (int64_t i = 0; work && i < mutations; i++) {
        const sample *s = &samples[below(samples_count)];
        int64_t size = s->h.size, records = s->h.count;
        memcpy(work, s->bytes, (size_t)size);
        for (int64_t changes = 1 + below(3); changes > 0; changes--) size = mutate(work, size);
        if (below(12) == 0) records = below(4) ? below(3 * records) : INT64_MAX >> below(40);
        statuses[decode(s, work, size, records, below(4) == 0)]++;
    }
    printf("%lld ok, %lld corrupt, %lld too large, %lld without memory\n", (long long)statuses[0],
           (long long)statuses[1], (long long)statuses[2], (long long)statuses[3]);
    for (int64_t i = 0; i < samples_count; i++) {
        free((void *)samples[i].program);
        free((void *)samples[i].slots);
        free((void *)samples[i].bytes);
    }
    free(samples);
    free(work);
    return 0;
}
