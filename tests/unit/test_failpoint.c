/* Failpoints: what the configuration may ask for, and when each acts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "consumer/clock.h"
#include "consumer/config/config.h"
#include "consumer/failpoint.h"
#include "consumer/file.h"

static struct failpoint_order parsed(const char *text)
{
    struct failpoint_order order;
    struct err err = {0};
    if (failpoint_parse(text, &order, &err) < 0)
        fail_msg("%s", err.msg);
    return order;
}

static void arm(const char *text)
{
    struct failpoint_order order = parsed(text);
    failpoint_arm(&order);
}

static void orders_are_name_action_and_time(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct failpoint_order order;
    } cases[] = {
        {"before_commit:kill", {FAILPOINT_before_commit, FAILPOINT_KILL, 0, 1, false}},
        {"before_commit:error@3", {FAILPOINT_before_commit, FAILPOINT_ERROR, 0, 3, false}},
        {"after_decode:pause=1500@20+", {FAILPOINT_after_decode, FAILPOINT_PAUSE, 1500, 20, true}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct failpoint_order order = parsed(cases[i].text), expected = cases[i].order;
        assert_int_equal(order.place, expected.place);
        assert_int_equal(order.action, expected.action);
        assert_int_equal(order.pause_ms, expected.pause_ms);
        assert_int_equal(order.hit, expected.hit);
        assert_int_equal(order.onward, expected.onward);
    }
}

static void each_wrong_order_has_its_answer(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "'' is no failpoint; weir run --failpoints lists them"},
        {"before_commi:kill", "'before_commi:kill' is no failpoint; weir run --failpoints lists them"},
        {"before_commit", "'before_commit' needs an action: kill, pause=MS or error"},
        {"before_commit:die", "'before_commit:die' needs an action: kill, pause=MS or error"},
        {"before_commit:pause=", "'before_commit:pause=' needs an action: kill, pause=MS or error"},
        {"before_commit:pause=-5", "'before_commit:pause=-5' needs an action: kill, pause=MS or error"},
        {"before_commit:kill@0", "'before_commit:kill@0': behind the @ stands which time it acts, 1..1000000"},
        {"before_commit:kill@3x", "'before_commit:kill@3x' ends in 'x'; it is written name:action or name:action@N"},
        {"before_commit:kill+", "'before_commit:kill+' ends in '+'; it is written name:action or name:action@N"},
        {"after_decode:error", "after_decode cannot fail, there is no call; it can kill and pause"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct failpoint_order order;
        struct err err = {0};
        assert_int_equal(failpoint_parse(cases[i].text, &order, &err), -1);
        assert_string_equal(err.msg, cases[i].message);
    }
}

static void an_order_acts_at_its_time_and_no_other(void **state)
{
    (void)state;
    arm("before_commit:error@2");
    assert_false(failpoint_reach(FAILPOINT_after_commit)); /* another place */
    assert_false(failpoint_reach(FAILPOINT_before_commit));
    assert_true(failpoint_reach(FAILPOINT_before_commit));
    assert_false(failpoint_reach(FAILPOINT_before_commit));
    arm("before_commit:error@2+");
    assert_false(failpoint_reach(FAILPOINT_before_commit));
    assert_true(failpoint_reach(FAILPOINT_before_commit));
    assert_true(failpoint_reach(FAILPOINT_before_commit));
}

static void a_pause_lasts_its_time(void **state)
{
    (void)state;
    arm("in_revoke:pause=30");
    int64_t began = clock_monotonic_ns();
    assert_false(failpoint_reach(FAILPOINT_in_revoke));
    assert_true(clock_monotonic_ns() - began >= 30000000);
}

static void a_kill_ends_the_process_at_once(void **state)
{
    (void)state;
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        arm("in_stop:kill");
        failpoint_reach(FAILPOINT_in_stop);
        _exit(0);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == 9);
}

/* ---- the configuration key ---- */

#define REST "app_id: fraud\nfeatures: features.yaml\n"

static void assert_config_says(const char *text, const char *message)
{
    char scene[] = "/tmp/weir-failpoint-XXXXXX", path[64];
    static const char features[] = "version: 1\nid: id\nentity: card\ntime: at\nlateness: 1m\nfuture_skew: 0s\nfeatures:\n  - {name: n, op: count, windows: [1m]}\n";
    struct config *config = NULL;
    struct err err = {0};
    assert_non_null(mkdtemp(scene));
    snprintf(path, sizeof path, "%s/features.yaml", scene);
    assert_int_equal(file_write(path, features, strlen(features), &err), 0);
    int result = config_parse("weir.yaml", scene, text, strlen(text), 0, &config, &err);
    unlink(path);
    rmdir(scene);
    config_destroy(config);
    assert_int_equal(result, message ? -1 : 0);
    if (message)
        assert_string_equal(err.msg, message);
}

#ifndef WEIR_FAILPOINTS
static void the_build_has_none_and_refuses_the_key(void **state)
{
    (void)state;
    assert_config_says(REST "failpoints: [before_commit:kill]\n", "weir.yaml:3: failpoints: this build has none; remove the key, or build weir with -Dfailpoints=true");
    assert_config_says(REST "failpoints: []\n", NULL);
    assert_false(FAILPOINT_FAILS(before_commit));
}

#else
static void the_configuration_is_checked_at_once(void **state)
{
    (void)state;
    assert_config_says(REST "failpoints: ['before_commit:kill@3', 'in_lost:pause=5']\n", NULL);
    assert_config_says(REST "failpoints: ['before_comit:kill']\n", "weir.yaml:3: failpoints: 'before_comit:kill' is no failpoint; weir run --failpoints lists them");
    assert_config_says(REST "failpoints: ['in_lost:kill', 'in_lost:kill@2']\n", "weir.yaml:3: failpoints: in_lost stands here twice");
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_are_name_action_and_time),
        cmocka_unit_test(each_wrong_order_has_its_answer),
        cmocka_unit_test(an_order_acts_at_its_time_and_no_other),
        cmocka_unit_test(a_pause_lasts_its_time),
        cmocka_unit_test(a_kill_ends_the_process_at_once),
#ifndef WEIR_FAILPOINTS
        cmocka_unit_test(the_build_has_none_and_refuses_the_key),
#else
        cmocka_unit_test(the_configuration_is_checked_at_once),
#endif
    };
    return cmocka_run_group_tests_name("failpoint", tests, NULL, NULL);
}
