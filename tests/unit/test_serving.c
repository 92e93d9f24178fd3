/* The serving state of a partition goes through the changelog unchanged, and nothing else is taken for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "consumer/serving.h"

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char whole[] = "{\"before\":{\"id\":\"old\",\"sha256\":\"" HASH "\"},\"breakers\":[{\"buckets\":[[30,7,1],[-29,5,0]],\"opened_ms\":17,\"sha256\":\"" HASH
                            "\"}],\"deployment\":\"{}\",\"format\":1,\"since\":12}";

static struct buffer exported(const struct serving *s)
{
    struct buffer b = {0};
    serving_export(s, &b);
    return b;
}

static void what_was_exported_is_imported(void **state)
{
    (void)state;
    struct serving *s = serving_create();
    assert_int_equal(serving_import(s, whole, strlen(whole), NULL), 0);
    struct buffer once = exported(s);
    struct serving *other = serving_create();
    assert_int_equal(serving_import(other, once.data, once.size, NULL), 0);
    struct buffer twice = exported(other);
    assert_int_equal(once.size, twice.size);
    assert_memory_equal(once.data, twice.data, once.size);
    assert_int_equal(once.size, strlen(whole));
    serving_reset(s);
    struct buffer empty = exported(s), fresh;
    serving_destroy(other);
    other = serving_create();
    fresh = exported(other);
    assert_int_equal(empty.size, fresh.size);
    assert_memory_equal(empty.data, fresh.data, empty.size);
    serving_destroy(s);
    serving_destroy(other);
    buffer_finish(&once);
    buffer_finish(&twice);
    buffer_finish(&empty);
    buffer_finish(&fresh);
}

static void other_bytes_change_nothing(void **state)
{
    (void)state;
    static const char *const damaged[] = {
        "", "x", "[]", "null", "{}", "{\"format\":1}",
        "{\"before\":null,\"breakers\":[],\"deployment\":null,\"format\":2,\"since\":1}",
        "{\"before\":null,\"breakers\":[],\"deployment\":7,\"format\":1,\"since\":1}",
        "{\"before\":null,\"breakers\":[],\"deployment\":null,\"format\":1,\"since\":\"1\"}",
        "{\"before\":null,\"breakers\":[{}],\"deployment\":null,\"format\":1,\"since\":1}",
        "{\"before\":{\"id\":\"\",\"sha256\":\"" HASH "\"},\"breakers\":[],\"deployment\":null,\"format\":1,\"since\":1}",
        "{\"before\":{\"id\":\"a\",\"sha256\":\"00\"},\"breakers\":[],\"deployment\":null,\"format\":1,\"since\":1}",
        "{\"before\":null,\"breakers\":[{\"buckets\":[[1,2]],\"opened_ms\":null,\"sha256\":\"" HASH "\"}],\"deployment\":null,\"format\":1,\"since\":1}",
        "{\"before\":null,\"breakers\":[{\"buckets\":[[1,2,3]],\"opened_ms\":null,\"sha256\":\"" HASH "\"}],\"deployment\":null,\"format\":1,\"since\":1}",
        "{\"before\":null,\"breakers\":[{\"buckets\":[],\"opened_ms\":\"x\",\"sha256\":\"" HASH "\"}],\"deployment\":null,\"format\":1,\"since\":1}",
    };
    struct serving *s = serving_create();
    assert_int_equal(serving_import(s, whole, strlen(whole), NULL), 0);
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        struct err err = {0};
        assert_int_equal(serving_import(s, damaged[i], strlen(damaged[i]), &err), -1);
        assert_string_not_equal(err.msg, "");
    }
    struct buffer b = exported(s);
    assert_int_equal(b.size, strlen(whole));
    buffer_finish(&b);
    serving_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_exported_is_imported),
        cmocka_unit_test(other_bytes_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
