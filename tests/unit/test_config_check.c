/* weir check without a network: its exit status and what it says. */
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "consumer/commands/command.h"
#include "consumer/file.h"

static char scene[] = "/tmp/weir-check-XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[128];
    struct err err;
    snprintf(path, sizeof path, "%s/%s", scene, name);
    if (file_write(path, text, strlen(text), &err) < 0)
        fail_msg("%s", err.msg);
}

static int make_scene(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(scene));
    write_file("features.yaml", "version: 1\nid: id\nentity: card\ntime: at\nlateness: 1m\nfuture_skew: 0s\n"
                                "features:\n  - {name: n, op: count, windows: [1m, 1h]}\n");
    write_file("good.yaml", "app_id: fraud\nfeatures: features.yaml\n");
    write_file("bad.yaml", "app_id: fraud\nfeatures: features.yaml\nlanes: 65\n");
    write_file("nofeatures.yaml", "app_id: fraud\nfeatures: none.yaml\n");
    write_file("nomodel.yaml", "app_id: fraud\nfeatures: features.yaml\nmodels: {champion: {id: m, file: none.ubj}}\n");
    return 0;
}

static int remove_scene(void **state)
{
    (void)state;
    const char *names[] = {"features.yaml", "good.yaml", "bad.yaml", "nofeatures.yaml", "nomodel.yaml", "out"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", scene, names[i]);
        unlink(path);
    }
    return rmdir(scene);
}

/* Runs `weir check` with up to three flags on a file of the scene (NULL: none); *said is all that it wrote. */
static int run(const char *file, const char *const flags[3], char **said)
{
    char out[64], config[64];
    char *argv[8] = {(char[]){"check"}};
    int argc = 1;
    char dash_c[] = "-c";
    if (file) {
        snprintf(config, sizeof config, "%s/%s", scene, file);
        argv[argc++] = dash_c;
        argv[argc++] = config;
    }
    for (size_t i = 0; i < 3 && flags[i]; i++)
        argv[argc++] = (char *)(uintptr_t)flags[i];
    snprintf(out, sizeof out, "%s/out", scene);

    fflush(stdout);
    int kept_out = dup(1), kept_err = dup(2);
    FILE *f = fopen(out, "w");
    assert_non_null(f);
    dup2(fileno(f), 1);
    dup2(fileno(f), 2);
    fclose(f);
    optind = 0; /* getopt starts anew */
    int status = command_check(argc, argv);
    fflush(stdout);
    dup2(kept_out, 1);
    dup2(kept_err, 2);
    close(kept_out);
    close(kept_err);

    size_t size;
    struct err err;
    if (file_read(out, 1 << 20, said, &size, &err) < 0)
        fail_msg("%s", err.msg);
    return status;
}

static void each_ending_has_its_status(void **state)
{
    (void)state;
    static const struct {
        const char *file, *flags[3];
        int status;
        const char *says;
    } cases[] = {
        {NULL, {NULL}, 2, "usage: weir check"},
        {NULL, {"--help"}, 0, "usage: weir check"},
        {NULL, {"--nonsense"}, 2, "usage: weir check"},
        {"good.yaml", {"--offline", "more"}, 2, "usage: weir check"},
        {NULL, {"--reference"}, 0, "| `commit_interval_ms` | whole number | `100` | 10..60000 |"},
        {"good.yaml", {"--offline"}, 0, "ready: 0 failed, 0 warnings\n"},
        {"good.yaml", {"--offline"}, 0, "skipped  models"},
        {"good.yaml", {"--offline", "--features"}, 0, "   1  n_1h "},
        {"good.yaml", {"--offline", "--effective"}, 0, "commit_interval_ms: 100\n"},
        {"bad.yaml", {"--offline"}, 2, "bad.yaml:3: lanes: 65 is out of range 1..64\n"},
        {"none.yaml", {"--offline"}, 2, "none.yaml: cannot open: No such file or directory\n"},
        {"nofeatures.yaml", {"--offline"}, 2, "failed   features"},
        {"nomodel.yaml", {"--offline"}, 1, "nomodel.yaml:3: models.champion: "},
        {"good.yaml", {NULL}, 2, "good.yaml:1: kafka: missing: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *said;
        int status = run(cases[i].file, cases[i].flags, &said);
        if (status != cases[i].status || !strstr(said, cases[i].says))
            fail_msg("case %zu: status %d, said: %s", i, status, said);
        free(said);
    }
}

static void json_is_one_object(void **state)
{
    (void)state;
    char *said;
    assert_int_equal(run("good.yaml", (const char *const[3]){"--offline", "--json"}, &said), 0);
    json_error_t why;
    json_t *whole = json_loads(said, 0, &why);
    if (!whole)
        fail_msg("%s: %s", why.text, said);
    assert_true(json_is_true(json_object_get(whole, "ok")));
    assert_int_equal(strlen(json_string_value(json_object_get(whole, "feature_spec_sha256"))), 64);
    assert_int_equal(json_array_size(json_object_get(whole, "columns")), 2);
    assert_string_equal(json_string_value(json_object_get(json_object_get(whole, "config"), "app_id")), "fraud");
    for (const char *const *name = (const char *const[]){"state_bytes_worst", "lane_queue_bytes_worst", "monitor_lane_bytes_worst", "aggregator_bytes_worst", NULL}; *name; name++)
        assert_true(json_integer_value(json_object_get(whole, *name)) > 0);
    json_decref(whole);
    free(said);

    assert_int_equal(run("bad.yaml", (const char *const[3]){"--offline", "--json"}, &said), 2);
    whole = json_loads(said, 0, &why);
    assert_non_null(whole);
    assert_true(json_is_false(json_object_get(whole, "ok")));
    json_t *step = json_array_get(json_object_get(whole, "steps"), 0);
    assert_string_equal(json_string_value(json_object_get(step, "outcome")), "failed");
    json_decref(whole);
    free(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_ending_has_its_status), cmocka_unit_test(json_is_one_object)};
    return cmocka_run_group_tests(tests, make_scene, remove_scene);
}
