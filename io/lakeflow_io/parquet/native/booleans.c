/* Booleans, which are bits in Arrow as well. */
#include "parts.h"

static int from_hybrid(state *st, const uint8_t *in, int64_t size, uint8_t *flags, int64_t count) {
    uint32_t bytes;
    lf_hybrid h;
    if (size < 4) return LF_CORRUPT;
    memcpy(&bytes, in, 4);
    if (bytes > size - 4 || lf_hybrid_init(&h, in + 4, bytes, 1)) return LF_CORRUPT;
    for (int64_t done = 0; done < count;) {
        int32_t repeat;
        uint32_t value = 0;
        int32_t got = lf_next_indices(&h, st->s->indices, count - done, 2, &repeat, &value);
        if (got < 0) return LF_CORRUPT;
        for (int32_t i = 0; i < got; i++) flags[done + i] = (uint8_t)(repeat ? value : st->s->indices[i]);
        done += got;
    }
    return LF_OK;
}

int lf_boolean_values(state *st, int32_t encoding, const uint8_t *in, int64_t size, int64_t rows, int64_t dense) {
    uint8_t *flags = lf_room(&st->s->dense, dense);
    if (!flags) return LF_NO_MEMORY;
    if (encoding == LF_PLAIN) {
        if (size < (dense + 7) / 8) return LF_CORRUPT;
        for (int64_t i = 0; i < dense; i++) flags[i] = (uint8_t)lf_bit(in, i);
    } else if (encoding == LF_RLE) {
        int status = from_hybrid(st, in, size, flags, dense);
        if (status) return status;
    } else {
        return LF_UNSUPPORTED;
    }
    for (int64_t i = 0, from = 0; i < rows; i++) {
        int64_t at = st->row + i;
        if (dense < rows && !lf_bit(st->c->validity, at)) continue;
        st->c->values[at >> 3] |= (uint8_t)(flags[from++] << (at & 7));
    }
    return LF_OK;
}
