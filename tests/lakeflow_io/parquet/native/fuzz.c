/* Damages real column chunks and footers at random, decodes them, and looks at what is called decoded. fuzz.py builds and runs it.
 *
 *     fuzz CORPUS SEED MUTATIONS
 *
 * The input ends where a page begins that can't be read; everything else is allocated in just the size that was
 * asked for, so that a sanitizer sees any step outside.
 */
#define _DEFAULT_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "parts.h"

#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#include <sanitizer/msan_interface.h>
#define CHECK_WRITTEN(at, size) __msan_check_mem_is_initialized(at, (size_t)(size))
#endif
#endif
#ifndef CHECK_WRITTEN
#define CHECK_WRITTEN(at, size) (void)0
#endif

/* As fuzz.py writes it, before each chunk's bytes. */
typedef struct {
    int64_t size, rows, limit, physical, width, codec, optional, output;
} head;

typedef struct {
    head h;
    const uint8_t *bytes;
} sample;

#define MOST_BYTES (1 << 20)
/* Instead of a physical type: the sample is a footer, and `rows` counts its leaf columns. */
#define FOOTER (-1)

static uint64_t random_state;
static uint8_t *input_end; /* where the unreadable page begins */
static uint8_t *grown;
static int64_t grown_size;

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

static uint8_t *grow(int32_t index, int64_t bytes) {
    (void)index;
    uint8_t *made = malloc((size_t)bytes);
    if (!made) return NULL;
    if (grown) memcpy(made, grown, (size_t)(grown_size < bytes ? grown_size : bytes));
    free(grown);
    grown_size = bytes;
    return grown = made;
}

/* The codec of a caller: its pages are stored as they are. */
static int copy_codec(const uint8_t *in, int64_t in_size, uint8_t *out, int64_t out_size) {
    if (in_size != out_size) return 0;
    memcpy(out, in, (size_t)out_size);
    return 1;
}

/* Where one of the page headers begins. */
static int64_t some_header(const uint8_t *bytes, int64_t size) {
    int64_t at = 0, chosen = 0, seen = 0;
    while (at < size) {
        lf_page page;
        int64_t taken = lf_page_header(bytes + at, size - at, &page);
        if (taken < 0 || page.compressed_size > size - at - taken) break;
        if (below(++seen) == 0) chosen = at;
        at += taken + page.compressed_size;
    }
    return chosen;
}

static uint8_t odd_byte(void) {
    static const uint8_t odd[] = {0, 1, 2, 3, 7, 8, 0x0f, 0x10, 0x1f, 0x20, 0x3f, 0x40, 0x7f, 0x80, 0xfe, 0xff};
    return below(3) ? odd[below(sizeof odd)] : (uint8_t)next_random();
}

/* One change of the bytes; their new size. */
static int64_t mutate(uint8_t *bytes, int64_t size, const sample *other) {
    if (size == 0) return 0;
    int64_t at = below(size), length = 1 + below(16), from;
    switch (below(8)) {
    case 0: bytes[at] ^= (uint8_t)(1 << below(8)); break;
    case 1: bytes[at] = odd_byte(); break;
    case 2: return at;
    case 3: /* a header's field, or how its page's levels, widths and counts begin */
        at = some_header(bytes, size) + below(48);
        if (at < size) bytes[at] = odd_byte();
        break;
    case 4: /* there, too: a number too large, whose last byte may be anything */
        at = some_header(bytes, size) + below(48);
        if (length > size - at) length = size - at;
        if (length > 0) memset(bytes + at, 0xff, (size_t)length);
        if (length > 1) bytes[at + length - 1] = odd_byte();
        break;
    case 5: /* a piece of another chunk */
        from = below(other->h.size);
        length = below(64);
        if (length > other->h.size - from) length = other->h.size - from;
        if (length > size - at) length = size - at;
        memcpy(bytes + at, other->bytes + from, (size_t)length);
        break;
    case 6: /* cut some out */
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

/* What the footer says, and may lie about. */
static void mutate_head(head *h) {
    switch (below(8)) {
    case 0: h->rows = below(h->rows + 100); break;
    case 1: h->rows += 1 + below(1000); break;
    case 2: h->optional = !h->optional; break;
    case 3: h->codec = (int64_t[]){LF_UNCOMPRESSED, LF_SNAPPY, LF_LZ4, 6}[below(4)]; break;
    case 4: h->physical = below(9); h->output = below(6); break;
    case 5: h->width = below(20); break;
    case 6: h->limit = below(MOST_BYTES); break;
    default: h->physical = below(9); h->width = 1 + below(16); h->optional = below(2); break;
    }
}

static int64_t values_size(const head *h) {
    static const int64_t widths[] = {0, 4, 8, 0, 4, 8};
    switch (h->output) {
    case LF_BYTES: return (h->rows + 1) * 4;
    case LF_BITS: return (h->rows + 7) / 8;
    case LF_DECIMAL: return h->rows * 16;
    case LF_NARROW: return h->rows * h->width;
    default: return h->rows * (h->physical == LF_FIXED || h->physical > 5 ? h->width : widths[h->physical]);
    }
}

static void check(const lf_chunk *c, int64_t size) {
    int64_t valid = 0;
    for (int64_t i = 0; c->optional && i < c->rows; i++) valid += lf_bit(c->validity, i);
    if (c->nulls != (c->optional ? c->rows - valid : 0)) fail("the count of nulls");
    CHECK_WRITTEN(c->values, size);
    if (c->output != LF_BYTES) return;
    const int32_t *offsets = (const int32_t *)c->values;
    if (offsets[0] != 0 || offsets[c->rows] != c->data_bytes || c->data_bytes > grown_size) fail("the ends of offsets");
    for (int64_t i = 0; i < c->rows; i++)
        if (offsets[i] > offsets[i + 1]) fail("the order of offsets");
    CHECK_WRITTEN(grown, c->data_bytes);
}

static int check_footer(const head *h, const uint8_t *bytes, int64_t size) {
    lf_leaf *leaves = malloc(sizeof(lf_leaf) * (size_t)h->rows);
    lf_fault fault;
    int kind = lf_check_footer(bytes, size, leaves, (int32_t)h->rows, &fault);
    if (kind == LF_SOUND && fault.row_group != -1) fail("a place where nothing is wrong");
    if (kind == LF_SOUND) CHECK_WRITTEN(leaves, sizeof(lf_leaf) * (size_t)h->rows);
    free(leaves);
    return kind == LF_SOUND ? LF_OK : LF_CORRUPT;
}

static int decode(const head *h, const uint8_t *bytes, int64_t size) {
    if (h->physical == FOOTER) return check_footer(h, bytes, size);
    int64_t out_size = values_size(h);
    /* As the caller does: sometimes enough, sometimes nothing. */
    int64_t capacity = below(3) ? below(4096) : 0;
    grown = h->output == LF_BYTES ? malloc((size_t)capacity) : NULL;
    grown_size = grown ? capacity : 0;
    lf_chunk c = {
        .bytes = bytes, .size = size, .rows = h->rows, .uncompressed_limit = h->limit, .physical = (int32_t)h->physical,
        .width = (int32_t)h->width, .codec = (int32_t)h->codec, .optional = (int32_t)h->optional,
        .output = (int32_t)h->output, .check_crc = below(50) == 0, .validity = malloc((size_t)(h->rows + 7) / 8),
        .values = malloc((size_t)out_size), .data = grown, .data_capacity = grown_size, .grow = grow,
        .decompress = copy_codec};
    lf_scratch *scratch = lf_scratch_new();
    int status = lf_decode_chunk(scratch, &c);
    if (status == LF_OK) check(&c, out_size);
    lf_scratch_free(scratch);
    free(c.validity);
    free(c.values);
    free(grown);
    grown = NULL;
    grown_size = 0;
    return status;
}

static sample *read_corpus(const char *path, int64_t *count) {
    FILE *file = fopen(path, "rb");
    sample *samples = malloc(sizeof(sample) * 65536);
    *count = 0;
    while (file && samples && *count < 65536) {
        sample *s = &samples[*count];
        if (fread(&s->h, sizeof s->h, 1, file) != 1) break;
        uint8_t *bytes = malloc((size_t)s->h.size + 1);
        if (!bytes || s->h.size > MOST_BYTES || fread(bytes, 1, (size_t)s->h.size, file) != (size_t)s->h.size) abort();
        s->bytes = bytes;
        ++*count;
    }
    if (file) fclose(file);
    return samples;
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    int64_t samples_count, statuses[5] = {0}, mutations = atoll(arguments[3]);
    sample *samples = read_corpus(arguments[1], &samples_count);
    random_state = (uint64_t)atoll(arguments[2]);
    if (!samples || samples_count == 0) return 2;
    int64_t page = sysconf(_SC_PAGESIZE), room = 2 * MOST_BYTES;
    uint8_t *map = mmap(NULL, (size_t)(room + page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map + room, (size_t)page, PROT_NONE)) return 2;
    input_end = map + room;
    for (int64_t i = 0; i < samples_count; i++) /* undamaged, all of them decode */
        if (decode(&samples[i].h, memcpy(input_end - samples[i].h.size, samples[i].bytes, (size_t)samples[i].h.size),
                   samples[i].h.size))
            fail("an undamaged chunk is refused");
    uint8_t *work = malloc(MOST_BYTES);
    for (int64_t i = 0; work && i < mutations; i++) {
        const sample *s = &samples[below(samples_count)];
        head h = s->h;
        int64_t size = h.size;
        memcpy(work, s->bytes, (size_t)size);
        for (int64_t changes = 1 + below(4); changes > 0; changes--) size = mutate(work, size, &samples[below(samples_count)]);
        if (h.physical != FOOTER && below(6) == 0) mutate_head(&h);
        memcpy(input_end - size, work, (size_t)size);
        statuses[decode(&h, input_end - size, size)]++;
    }
    printf("%lld ok, %lld corrupt, %lld unsupported, %lld without memory, %lld checksums\n", (long long)statuses[0],
           (long long)statuses[1], (long long)statuses[2], (long long)statuses[3], (long long)statuses[4]);
    for (int64_t i = 0; i < samples_count; i++) free((void *)samples[i].bytes);
    free(samples);
    free(work);
    return 0;
}
