/* Memory that is about to be written: its pages made in one system call, not one fault each. */
#if defined(__linux__)
#define _DEFAULT_SOURCE
#include <sys/mman.h>
#include <unistd.h>
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; older kernels refuse it, and all goes on as without */
#endif
#endif
#include "parts.h"

/* Below, a system call costs as much as the faults. */
#define LEAST_BYTES (64 * 1024)
/* Above, they are made when they are touched: a footer may lie about rows, and memory that nobody touches is free. */
#define MOST_BYTES (16 * 1024 * 1024)

void lf_make_pages(void *memory, int64_t size) {
#if defined(__linux__)
    if (size > MOST_BYTES) size = MOST_BYTES;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)memory;
    uintptr_t first = (start + page - 1) / page * page, end = (start + (uintptr_t)size) / page * page;
    if (size >= LEAST_BYTES && first < end) (void)madvise((void *)first, end - first, MADV_POPULATE_WRITE);
#else
    (void)memory, (void)size;
#endif
}
