/* CRC-32, as zlib has it. */
#ifndef LF_CRC_H
#define LF_CRC_H

#include <stdint.h>

uint32_t lf_crc32(const uint8_t *in, int64_t size);

#endif
