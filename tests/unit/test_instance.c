/* The name of a process among its like: given, or the first slot that nobody holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "consumer/instance.h"

static char scene[] = "/tmp/weir-instance-XXXXXX";

static int make_scene(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(scene));
    return setenv("XDG_RUNTIME_DIR", scene, 1);
}

static int remove_scene(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", scene);
    return system(command);
}

static struct config config_of(char *app_id, char *instance)
{
    return (struct config){.app_id = app_id, .instance = instance};
}

static char app[] = "fraud", other_app[] = "aml", name[] = "node/7", client[] = "client.id", client_name[] = "from-client-id";

static void a_given_name_is_held_by_one_process_of_an_app(void **state)
{
    (void)state;
    struct config config = config_of(app, name), other = config_of(other_app, name);
    struct instance first, second;
    struct err err = {0};
    assert_int_equal(instance_acquire(&config, &first, &err), 0);
    assert_string_equal(first.name, "node/7");
    assert_int_equal(instance_acquire(&config, &second, &err), -1);
    assert_string_equal(err.msg, "instance node/7 of fraud runs already on this host; give each process its own `instance`");
    assert_int_equal(instance_acquire(&other, &second, &err), 0); /* names are an app's own */
    instance_release(&second);
    instance_release(&first);
    assert_int_equal(instance_acquire(&config, &first, &err), 0); /* free again */
    instance_release(&first);
}

static void without_one_it_is_the_client_id(void **state)
{
    (void)state;
    struct kafka_property property = {.name = client, .value = client_name};
    struct config config = config_of(app, NULL);
    struct instance instance;
    struct err err = {0};
    config.kafka = &property;
    config.kafka_count = 1;
    assert_int_equal(instance_acquire(&config, &instance, &err), 0);
    assert_string_equal(instance.name, "from-client-id");
    instance_release(&instance);
}

static void else_it_is_the_host_and_the_first_free_slot(void **state)
{
    (void)state;
    struct config config = config_of(app, NULL);
    struct instance instances[3], again;
    struct err err = {0};
    char host[200], expected[256];
    assert_int_equal(gethostname(host, sizeof host), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(instance_acquire(&config, &instances[i], &err), 0);
        snprintf(expected, sizeof expected, "%s-%d", host, i);
        assert_string_equal(instances[i].name, expected);
    }
    instance_release(&instances[1]); /* whoever comes next takes its place, and its transactional ids */
    assert_int_equal(instance_acquire(&config, &again, &err), 0);
    snprintf(expected, sizeof expected, "%s-1", host);
    assert_string_equal(again.name, expected);
    instance_release(&again);
    instance_release(&instances[0]);
    instance_release(&instances[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_given_name_is_held_by_one_process_of_an_app),
        cmocka_unit_test(without_one_it_is_the_client_id),
        cmocka_unit_test(else_it_is_the_host_and_the_first_free_slot),
    };
    return cmocka_run_group_tests_name("instance", tests, make_scene, remove_scene);
}
