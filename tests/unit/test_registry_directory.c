/* Schemas from a directory. */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "consumer/file.h"
#include "consumer/registry/registry.h"

#define ALPHA "{\"type\": \"record\", \"name\": \"Alpha\", \"fields\": [{\"name\": \"a\", \"type\": \"int\"}]}"
#define ALPHA_DOC "{\"name\":\"Alpha\",\"type\":\"record\",\"doc\":\"x\",\"fields\":[{\"name\":\"a\",\"type\":\"int\",\"doc\":\"y\"}]}"
#define BETA "{\"type\": \"record\", \"name\": \"Beta\", \"fields\": []}"

static char dir[] = "/tmp/weir-registry-XXXXXX";

static void put_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(file_write(path, text, strlen(text), NULL), 0);
}

static int make_dir(void **state)
{
    (void)state;
    memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
    return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
    (void)state;
    DIR *list = opendir(dir);
    char path[512];
    for (const struct dirent *entry; (entry = readdir(list));) {
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        unlink(path);
    }
    closedir(list);
    return rmdir(dir);
}

static int files_in_dir(void)
{
    int count = 0;
    DIR *list = opendir(dir);
    for (const struct dirent *entry; (entry = readdir(list));)
        count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
    closedir(list);
    return count;
}

static struct registry *open_dir(void)
{
    struct registry *registry;
    struct registry_options options = {.dir = dir};
    struct err err;
    if (registry_create(&options, &registry, &err) < 0)
        fail_msg("%s", err.msg);
    return registry;
}

static void a_directory_finds_schemas_by_id(void **state)
{
    (void)state;
    put_file("7.avsc", ALPHA);
    put_file("8.avsc", "{\"type\": \"panther\"}");
    struct registry *registry = open_dir();
    const struct avro_schema *schema, *again;
    struct err err;
    assert_int_equal(registry_schema(registry, 7, &schema, &err), REGISTRY_FOUND);
    assert_string_equal(avro_schema_root(schema)->name, "Alpha");
    assert_int_equal(registry_schema(registry, 7, &again, &err), REGISTRY_FOUND);
    assert_ptr_equal(schema, again);
    assert_int_equal(registry_schema(registry, 8, &schema, &err), REGISTRY_AWAY);
    assert_non_null(strstr(err.msg, "8.avsc: schema: unknown type \"panther\""));
    assert_true(err.retriable);
    static const int32_t none[] = {9, 0, -1, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(registry_schema(registry, none[i], &schema, &err), REGISTRY_UNKNOWN);
    put_file("9.avsc", BETA); /* still remembered as unknown */
    assert_int_equal(registry_schema(registry, 9, &schema, &err), REGISTRY_UNKNOWN);
    registry_destroy(registry);
}

static void many_ids_stay_apart(void **state)
{
    (void)state;
    char text[128], name[32];
    for (int i = 1; i <= 300; i++) {
        snprintf(name, sizeof name, "%d.avsc", i * 7919);
        snprintf(text, sizeof text, "{\"type\": \"record\", \"name\": \"R%d\", \"fields\": []}", i * 7919);
        put_file(name, text);
    }
    struct registry *registry = open_dir();
    for (int round = 0; round < 2; round++) {
        for (int i = 1; i <= 300; i++) {
            const struct avro_schema *schema;
            assert_int_equal(registry_schema(registry, i * 7919, &schema, NULL), REGISTRY_FOUND);
            snprintf(name, sizeof name, "R%d", i * 7919);
            assert_string_equal(avro_schema_root(schema)->name, name);
        }
    }
    registry_destroy(registry);
}

static void a_directory_that_is_gone_is_away(void **state)
{
    (void)state;
    struct registry *registry = open_dir();
    const struct avro_schema *schema;
    struct err err;
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(registry_schema(registry, 1, &schema, &err), REGISTRY_AWAY);
    assert_int_equal(mkdir(dir, 0755), 0);
    assert_int_equal(registry_schema(registry, 1, &schema, &err), REGISTRY_UNKNOWN);
    registry_destroy(registry);
}

static void output_schemas_are_found_or_added(void **state)
{
    (void)state;
    put_file("3.avsc", ALPHA_DOC);
    put_file("5.avsc", ALPHA);
    put_file("07.avsc", BETA); /* no id */
    put_file("9.avsc.partial", BETA);
    put_file("2147483648.avsc", BETA);
    struct registry *registry = open_dir();
    struct err err;
    int32_t id;
    assert_int_equal(registry_output_id(registry, "t-value", ALPHA, &id, &err), 0);
    assert_int_equal(id, 3);
    assert_int_equal(registry_output_id(registry, "t-value", BETA, &id, &err), 0);
    assert_int_equal(id, 6);
    assert_int_equal(registry_output_id(registry, "t-value", BETA, &id, &err), 0);
    assert_int_equal(id, 6);
    char path[128], *text;
    size_t size;
    snprintf(path, sizeof path, "%s/6.avsc", dir);
    assert_int_equal(file_read(path, 1000, &text, &size, NULL), 0);
    assert_string_equal(text, BETA);
    free(text);
    const struct avro_schema *schema;
    assert_int_equal(registry_schema(registry, 6, &schema, &err), REGISTRY_FOUND);
    assert_int_equal(files_in_dir(), 6); /* nothing temporary is left */
    registry_destroy(registry);
}

static void no_id_is_left(void **state)
{
    (void)state;
    put_file("2147483647.avsc", ALPHA);
    struct registry *registry = open_dir();
    struct err err;
    int32_t id;
    assert_int_equal(registry_output_id(registry, "t-value", BETA, &id, &err), -1);
    assert_non_null(strstr(err.msg, "no id is left for the schema of t-value"));
    registry_destroy(registry);
}

static void a_read_only_directory_names_schema_and_directory(void **state)
{
    (void)state;
    struct registry *registry = open_dir();
    struct err err;
    int32_t id;
    assert_int_equal(chmod(dir, 0555), 0);
    if (geteuid() == 0)
        assert_int_equal(seteuid(65534), 0); /* root may write everywhere */
    int result = registry_output_id(registry, "predictions-value", ALPHA, &id, &err);
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(result, -1);
    assert_non_null(strstr(err.msg, "the schema of predictions-value is not in it and cannot be added (Permission denied)"));
    assert_non_null(strstr(err.msg, dir));
    assert_non_null(strstr(err.msg, "1.avsc"));
    registry_destroy(registry);
}

struct writer_thread {
    struct registry *registry;
    const char *text;
    int32_t id;
};

static void *add_schema(void *arg)
{
    struct writer_thread *w = arg;
    struct err err;
    w->id = registry_output_id(w->registry, "t-value", w->text, &w->id, &err) == 0 ? w->id : -1;
    return NULL;
}

static void writers_at_once_agree(void **state)
{
    (void)state;
    enum { THREADS = 12, SCHEMAS = 3 };
    static char texts[SCHEMAS][100];
    struct writer_thread writers[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        snprintf(texts[i % SCHEMAS], sizeof texts[0], "{\"type\": \"record\", \"name\": \"N%d\", \"fields\": []}", i % SCHEMAS);
        writers[i] = (struct writer_thread){open_dir(), texts[i % SCHEMAS], 0};
    }
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, add_schema, &writers[i]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) {
        assert_in_range(writers[i].id, 1, SCHEMAS);
        assert_int_equal(writers[i].id, writers[i % SCHEMAS].id);
        registry_destroy(writers[i].registry);
    }
    assert_int_equal(files_in_dir(), SCHEMAS);
}

static void options_are_checked(void **state)
{
    (void)state;
    static const struct {
        struct registry_options options;
        const char *error;
    } cases[] = {
        {{0}, "input.schemas: give either url or dir"},
        {{.url = "http://a", .dir = "/tmp"}, "input.schemas: give either url or dir"},
        {{.dir = "/nowhere/at/all"}, "input.schemas.dir: /nowhere/at/all is no directory"},
        {{.url = "ftp://a"}, "input.schemas.url: not an http:// or https:// address"},
        {{.url = "file:///etc/passwd"}, "input.schemas.url: not an http:// or https:// address"},
        {{.url = "127.0.0.1"}, "input.schemas.url: not an http:// or https:// address"},
        {{.url = "http://me:s3cret@a"}, "input.schemas.url: holds a user"},
        {{.url = "http://a/?x=1"}, "may not hold ? or #"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct registry *registry;
        struct err err = {0};
        assert_int_equal(registry_create(&cases[i].options, &registry, &err), -1);
        if (!strstr(err.msg, cases[i].error))
            fail_msg("\"%s\" does not say \"%s\"", err.msg, cases[i].error);
        assert_null(strstr(err.msg, "s3cret"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_directory_finds_schemas_by_id, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(many_ids_stay_apart, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_directory_that_is_gone_is_away, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(output_schemas_are_found_or_added, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(no_id_is_left, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_read_only_directory_names_schema_and_directory, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(writers_at_once_agree, make_dir, drop_dir),
        cmocka_unit_test(options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
