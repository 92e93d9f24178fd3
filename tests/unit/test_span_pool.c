/* Large blocks in huge pages: they never overlap, and what is given back is given again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "scoring/features/large_memory.h"
#include "scoring/features/span_pool.h"

enum { BLOCKS = 64, STEPS = 20000 };

struct block {
    unsigned char *at;
    size_t size;
    unsigned char mark;
};

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Both ends of a block say whose it is. */
static void mark(const struct block *b)
{
    memset(b->at, b->mark, 64);
    memset(b->at + b->size - 64, b->mark, 64);
}

static void assert_marked(const struct block *b)
{
    assert_int_equal(b->at[0], b->mark);
    assert_int_equal(b->at[63], b->mark);
    assert_int_equal(b->at[b->size - 64], b->mark);
    assert_int_equal(b->at[b->size - 1], b->mark);
}

static void blocks_that_come_and_go_keep_what_they_hold(void **state)
{
    (void)state;
    struct span_pool pool = {0};
    struct block blocks[BLOCKS] = {0};
    uint64_t chance = 1, sizes = 0;
    for (int i = 0; i < STEPS; i++) {
        struct block *b = &blocks[next(&chance) % BLOCKS];
        if (b->at) {
            assert_marked(b);
            span_put(&pool, b->size, b->at);
            sizes -= b->size;
            b->at = NULL;
            continue;
        }
        *b = (struct block){.size = 65536 + next(&chance) % (SPAN_BLOCK_MAX - 65535), .mark = (unsigned char)i};
        b->at = span_take(&pool, b->size);
        assert_non_null(b->at);
        assert_int_equal((uintptr_t)b->at % 64, 0);
        mark(b);
        sizes += b->size;
        assert_true(sizes <= pool.bytes);
    }
    for (int i = 0; i < BLOCKS; i++)
        if (blocks[i].at) {
            assert_marked(&blocks[i]);
            span_put(&pool, blocks[i].size, blocks[i].at);
        }
    assert_int_equal(pool.bytes, LARGE_PAGE);
    span_pool_finish(&pool);
    assert_int_equal(pool.bytes, 0);
}

static void neighbours_grow_together_again(void **state)
{
    (void)state;
    struct span_pool pool = {0};
    void *blocks[16];
    for (int i = 0; i < 16; i++)
        blocks[i] = span_take(&pool, 120000);
    assert_int_equal(pool.bytes, LARGE_PAGE);
    for (int i = 4; i < 12; i++)
        span_put(&pool, 120000, blocks[i]);
    void *large = span_take(&pool, 900000);
    assert_ptr_equal(large, blocks[4]);
    assert_int_equal(pool.bytes, LARGE_PAGE);
    span_put(&pool, 900000, large);
    for (int i = 0; i < 16; i++)
        if (i < 4 || i >= 12)
            span_put(&pool, 120000, blocks[i]);
    span_pool_finish(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_that_come_and_go_keep_what_they_hold),
        cmocka_unit_test(neighbours_grow_together_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
