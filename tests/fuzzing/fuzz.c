/* Damages real input at random, decodes it, and looks at what is called decoded. fuzz.py builds and runs it.
 *
 *     fuzz chunks|manifests CORPUS SEED MUTATIONS
 *
 * The input ends where a page begins that can't be read; everything else is allocated in just the size that was
 * asked for, so that a sanitizer sees any step outside.
 */
#define _DEFAULT_SOURCE

#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#define MOST_SAMPLES 65536
#define LONGEST_CHANGE 16

uint8_t *input_end;
static uint64_t random_state;

/* SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t next_random(void) {
    uint64_t z = random_state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

int64_t below(int64_t limit) { return limit > 0 ? (int64_t)(next_random() % (uint64_t)limit) : 0; }

uint8_t odd_byte(void) {
    static const uint8_t odd[] = {0, 1, 2, 3, 4, 7, 8, 0x0f, 0x10, 0x1f, 0x20, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xfe, 0xff};
    return below(3) ? odd[below(sizeof odd)] : (uint8_t)next_random();
}

void fail(const char *why) {
    fprintf(stderr, "wrong: %s\n", why);
    abort();
}

void *read_some(FILE *corpus, int64_t size) {
    void *made = size <= MOST_BYTES ? malloc((size_t)size + 1) : NULL;
    if (!made || fread(made, 1, (size_t)size, corpus) != (size_t)size) fail("the corpus is cut");
    return made;
}

void put_too_large(uint8_t *bytes, int64_t size, int64_t at) {
    int64_t length = 1 + below(LONGEST_CHANGE);
    if (length > size - at) length = size - at;
    if (length > 0) memset(bytes + at, 0xff, (size_t)length);
    if (length > 1) bytes[at + length - 1] = odd_byte();
}

int64_t mutate(uint8_t *bytes, int64_t size) {
    if (size == 0) return 0;
    int64_t at = below(size), length = 1 + below(LONGEST_CHANGE);
    switch (below(7)) {
    case 0: bytes[at] ^= (uint8_t)(1 << below(8)); break;
    case 1: case 2: bytes[at] = odd_byte(); break;
    case 3: return below(4) ? size : at;
    case 4: put_too_large(bytes, size, at); break;
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

static char *read_corpus(const driver *d, const char *path, int64_t *count) {
    FILE *corpus = fopen(path, "rb");
    char *samples = malloc(d->sample_size * MOST_SAMPLES);
    if (!corpus || !samples) fail("the corpus can't be read");
    for (*count = 0; *count < MOST_SAMPLES; ++*count)
        if (!d->read(corpus, samples + (size_t)*count * d->sample_size)) break;
    fclose(corpus);
    return samples;
}

static void make_input(void) {
    int64_t page = sysconf(_SC_PAGESIZE), room = 4 * MOST_BYTES;
    uint8_t *map = mmap(NULL, (size_t)(room + page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map + room, (size_t)page, PROT_NONE)) fail("no memory for the input");
    input_end = map + room;
}

int main(int count, char **arguments) {
    if (count != 5) return 2;
    const driver *d = strcmp(arguments[1], "chunks") ? &manifests : &chunks;
    int64_t samples_count, met[5] = {0}, mutations = atoll(arguments[4]);
    char *samples = read_corpus(d, arguments[2], &samples_count);
    random_state = (uint64_t)atoll(arguments[3]);
    uint8_t *work = malloc(MOST_BYTES);
    if (!work || samples_count == 0) return 2;
    make_input();
    for (int64_t i = 0; i < samples_count; i++)
        if (d->whole(samples + (size_t)i * d->sample_size, i)) fail("what is undamaged is refused");
    for (int64_t i = 0; i < mutations; i++) {
        const char *sample = samples + (size_t)below(samples_count) * d->sample_size;
        const char *other = samples + (size_t)below(samples_count) * d->sample_size;
        met[d->damaged(sample, other, work)]++;
    }
    for (int i = 0; i < 5 && d->outcomes[i]; i++)
        printf("%s%lld %s", i ? ", " : "", (long long)met[i], d->outcomes[i]);
    printf("\n");
    return 0;
}
