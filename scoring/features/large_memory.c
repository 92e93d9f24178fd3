#include "scoring/features/large_memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *large_alloc(size_t size)
{
    if (size < LARGE_PAGE)
        return aligned_alloc(64, size);
    size = (size + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    void *memory = aligned_alloc(LARGE_PAGE, size);
#ifdef MADV_HUGEPAGE
    if (memory)
        (void)madvise(memory, size, MADV_HUGEPAGE);
#endif
    return memory;
}

void *large_calloc(size_t size)
{
    if (size < LARGE_PAGE)
        return calloc(1, size);
    void *memory = large_alloc(size);
    if (memory)
        memset(memory, 0, size);
    return memory;
}

size_t large_next(size_t have)
{
    size_t next = 64 << 10;
    while (next < LARGE_PAGE && next < have / 8)
        next *= 2;
    return next;
}
