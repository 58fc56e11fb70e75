/* Zstandard, by functions of the system's libzstd. */
#include "parts.h"

static struct {
    lf_zstd_create create;
    lf_zstd_free release;
    lf_zstd_decompress decompress;
} zstd;

void lf_use_zstd(lf_zstd_create create, lf_zstd_free release, lf_zstd_decompress decompress) {
    zstd.create = create;
    zstd.release = release;
    zstd.decompress = decompress;
}

int lf_has_zstd(void) { return zstd.decompress != NULL; }

int lf_zstd(void **context, const uint8_t *in, int64_t in_size, uint8_t *out, int64_t out_size) {
    if (!*context) *context = zstd.create();
    /* Its errors are sizes that nothing has. */
    return *context && zstd.decompress(*context, out, (size_t)out_size, in, (size_t)in_size) == (size_t)out_size;
}

void lf_zstd_release(void *context) {
    if (context && zstd.release) zstd.release(context);
}
