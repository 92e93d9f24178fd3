#include <arpa/inet.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "consumer/alerting/webhooks.h"
#include "consumer/clock.h"

static const struct alert_rule rule = {.name = "drift", .playbook = PLAYBOOK_INPUT};

static struct alert alert_of(enum severity severity, enum alert_state state)
{
    return (struct alert){.rule = &rule, .state = state, .severity = severity, .subject = "amount", .statistic = "psi", .value = 0.3};
}

/* ---- bodies ---- */

static json_t *body_of(int format, const struct alert *alert, const char *line)
{
    struct webhook_entry entry = {.format = format, .routing_key = (char *)(uintptr_t)"key"};
    char *text = webhook_body(&entry, "fraud", alert, line, "{\"rule\": \"drift\", \"value\": 0.3}");
    assert_non_null(text);
    json_t *body = json_loads(text, 0, NULL);
    assert_non_null(body);
    free(text);
    return body;
}

static void slack_gets_text(void **state)
{
    (void)state;
    struct alert alert = alert_of(SEVERITY_CRITICAL, ALERT_FIRING);
    json_t *body = body_of(WEBHOOK_SLACK, &alert, "psi of amount is \"0.3\"");
    assert_string_equal(json_string_value(json_object_get(body, "text")), ":red_circle: psi of amount is \"0.3\"");
    assert_int_equal(json_object_size(body), 1);
    json_decref(body);
}

static void pagerduty_gets_an_event_that_can_be_resolved(void **state)
{
    (void)state;
    struct alert alert = alert_of(SEVERITY_WARNING, ALERT_FIRING);
    json_t *fired = body_of(WEBHOOK_PAGERDUTY, &alert, "line");
    alert.state = ALERT_RESOLVED;
    json_t *over = body_of(WEBHOOK_PAGERDUTY, &alert, "line"), *payload = json_object_get(fired, "payload");
    assert_string_equal(json_string_value(json_object_get(fired, "event_action")), "trigger");
    assert_string_equal(json_string_value(json_object_get(over, "event_action")), "resolve");
    assert_string_equal(json_string_value(json_object_get(fired, "dedup_key")), "weir/fraud/drift//amount/psi");
    assert_true(json_equal(json_object_get(fired, "dedup_key"), json_object_get(over, "dedup_key")));
    assert_string_equal(json_string_value(json_object_get(fired, "routing_key")), "key");
    assert_string_equal(json_string_value(json_object_get(payload, "severity")), "warning");
    assert_string_equal(json_string_value(json_object_get(payload, "source")), "fraud");
    assert_string_equal(json_string_value(json_object_get(json_object_get(payload, "custom_details"), "rule")), "drift");
    json_decref(fired);
    json_decref(over);
}

static void a_key_is_never_longer_than_pagerduty_takes(void **state)
{
    (void)state;
    char subject[250], other[250];
    memset(subject, 's', sizeof subject);
    subject[sizeof subject - 1] = 0;
    memcpy(other, subject, sizeof other);
    other[240] = 't';
    struct alert a = alert_of(SEVERITY_WARNING, ALERT_FIRING), b = a;
    a.subject = subject;
    b.subject = other;
    json_t *of_a = body_of(WEBHOOK_PAGERDUTY, &a, "line"), *again = body_of(WEBHOOK_PAGERDUTY, &a, "other line"), *of_b = body_of(WEBHOOK_PAGERDUTY, &b, "line");
    assert_true(json_string_length(json_object_get(of_a, "dedup_key")) <= 255);
    assert_true(json_equal(json_object_get(of_a, "dedup_key"), json_object_get(again, "dedup_key")));
    assert_false(json_equal(json_object_get(of_a, "dedup_key"), json_object_get(of_b, "dedup_key")));
    json_decref(of_a);
    json_decref(again);
    json_decref(of_b);
}

static void a_long_line_is_cut_between_characters(void **state)
{
    (void)state;
    char line[1500];
    struct alert alert = alert_of(SEVERITY_WARNING, ALERT_FIRING);
    memset(line, 'a', sizeof line);
    memcpy(line + 1023, "\xc3\xa4", 2);
    line[sizeof line - 1] = 0;
    json_t *body = body_of(WEBHOOK_PAGERDUTY, &alert, line);
    assert_int_equal(json_string_length(json_object_get(json_object_get(body, "payload"), "summary")), 1023);
    json_decref(body);
}

/* ---- a receiver: answers with each status in turn and keeps the last for ever; 0 hangs ---- */

struct fake {
    int listening, port;
    pthread_t thread;
    const int *statuses;
    size_t count;
    atomic_int requests, taken;
    atomic_bool closing;
    char last[4096];
};

static void answer(struct fake *f, int connection)
{
    char request[8192];
    size_t size = 0;
    while (size + 1 < sizeof request) {
        ssize_t n = read(connection, request + size, sizeof request - 1 - size);
        if (n <= 0)
            return;
        size += (size_t)n;
        request[size] = 0;
        const char *body = strstr(request, "\r\n\r\n"), *length = strstr(request, "Content-Length: ");
        if (body && length && size - (size_t)(body + 4 - request) >= strtoul(length + 16, NULL, 10))
            break;
    }
    size_t i = (size_t)atomic_fetch_add(&f->requests, 1);
    int status = f->statuses[i < f->count ? i : f->count - 1];
    while (!status && !atomic_load(&f->closing))
        usleep(10000);
    if (!status)
        return;
    snprintf(f->last, sizeof f->last, "%.4000s", strstr(request, "\r\n\r\n") + 4);
    dprintf(connection, "HTTP/1.1 %d x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status);
    atomic_fetch_add(&f->taken, status == 200);
}

static void *run_fake(void *context)
{
    struct fake *f = context;
    for (;;) {
        int connection = accept(f->listening, NULL, NULL);
        if (connection < 0)
            return NULL;
        answer(f, connection);
        close(connection);
    }
}

static void fake_start(struct fake *f, const int *statuses, size_t count)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    *f = (struct fake){.statuses = statuses, .count = count};
    f->listening = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(f->listening, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(f->listening, 8), 0);
    assert_int_equal(getsockname(f->listening, (struct sockaddr *)&address, &size), 0);
    f->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&f->thread, NULL, run_fake, f), 0);
}

static void fake_stop(struct fake *f)
{
    atomic_store(&f->closing, true);
    shutdown(f->listening, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    close(f->listening);
}

struct run {
    struct config config;
    struct webhook_entry entries[2];
    char urls[2][64];
    struct webhooks *webhooks;
};

static void run_start(struct run *run, const int *ports, size_t count)
{
    struct err err;
    *run = (struct run){.config = {.app_id = (char *)(uintptr_t)"fraud"}};
    for (size_t i = 0; i < count; i++) {
        snprintf(run->urls[i], sizeof run->urls[i], "http://127.0.0.1:%d/hook", ports[i]);
        run->entries[i] = (struct webhook_entry){.url = run->urls[i], .timeout_ms = 300};
    }
    run->config.monitor.webhooks = run->entries;
    run->config.monitor.webhook_count = count;
    assert_int_equal(webhooks_create(&run->config, &run->webhooks, &err), 0);
}

static void send_alert(struct run *run, enum severity severity, const char *line)
{
    struct alert alert = alert_of(severity, ALERT_FIRING);
    webhooks_send(run->webhooks, &alert, line, "{}");
}

static void what_fails_is_delivered_later_and_in_order(void **state)
{
    (void)state;
    struct fake fake;
    struct run run;
    fake_start(&fake, (int[]){500, 200}, 2);
    run_start(&run, &fake.port, 1);
    send_alert(&run, SEVERITY_WARNING, "first");
    send_alert(&run, SEVERITY_WARNING, "second");
    webhooks_destroy(run.webhooks, 20000);
    fake_stop(&fake);
    assert_int_equal(fake.requests, 3);
    assert_int_equal(fake.taken, 2);
    assert_non_null(strstr(fake.last, "second"));
}

static void what_is_refused_for_good_is_given_up(void **state)
{
    (void)state;
    struct fake fake;
    struct run run;
    fake_start(&fake, (int[]){400, 200}, 2);
    run_start(&run, &fake.port, 1);
    send_alert(&run, SEVERITY_WARNING, "first");
    send_alert(&run, SEVERITY_WARNING, "second");
    while (webhooks_count(run.webhooks).queued)
        usleep(5000);
    struct webhook_counts counts = webhooks_count(run.webhooks);
    webhooks_destroy(run.webhooks, 0);
    fake_stop(&fake);
    assert_int_equal(counts.refused, 1);
    assert_int_equal(counts.sent, 1);
    assert_int_equal(fake.requests, 2);
}

static void a_receiver_that_hangs_holds_up_nobody(void **state)
{
    (void)state;
    struct fake hanging, good;
    struct run run;
    fake_start(&hanging, (int[]){0}, 1);
    fake_start(&good, (int[]){200}, 1);
    run_start(&run, (int[]){hanging.port, good.port}, 2);
    int64_t began = clock_monotonic_ns();
    for (int i = 0; i < WEBHOOK_QUEUE_MAX + 50; i++)
        send_alert(&run, SEVERITY_WARNING, "alert");
    assert_true(clock_monotonic_ns() - began < INT64_C(5000000000)); /* and not 1,050 time-outs */
    struct webhook_counts counts;
    do {
        counts = webhooks_count(run.webhooks);
        usleep(5000);
    } while (counts.queued > WEBHOOK_QUEUE_MAX);
    assert_true(counts.dropped >= 50);
    while (!atomic_load(&good.taken))
        usleep(5000);
    webhooks_destroy(run.webhooks, 0);
    fake_stop(&hanging);
    fake_stop(&good);
}

static void severity_routes_and_silence_is_kept(void **state)
{
    (void)state;
    struct fake fake;
    struct run run;
    fake_start(&fake, (int[]){200}, 1);
    run_start(&run, &fake.port, 1);
    run.entries[0].least_severity = 1;
    send_alert(&run, SEVERITY_WARNING, "minor");
    struct alert silenced = alert_of(SEVERITY_CRITICAL, ALERT_FIRING);
    silenced.silenced = true;
    webhooks_send(run.webhooks, &silenced, "silenced", "{}");
    send_alert(&run, SEVERITY_CRITICAL, "major");
    webhooks_destroy(run.webhooks, 20000);
    fake_stop(&fake);
    assert_int_equal(fake.requests, 1);
    assert_non_null(strstr(fake.last, "major"));
}

static void without_receivers_nothing_happens(void **state)
{
    (void)state;
    struct run run;
    run_start(&run, NULL, 0);
    assert_null(run.webhooks);
    send_alert(&run, SEVERITY_CRITICAL, "x");
    webhooks_destroy(run.webhooks, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slack_gets_text), cmocka_unit_test(pagerduty_gets_an_event_that_can_be_resolved), cmocka_unit_test(a_key_is_never_longer_than_pagerduty_takes),
        cmocka_unit_test(a_long_line_is_cut_between_characters),
        cmocka_unit_test(what_fails_is_delivered_later_and_in_order), cmocka_unit_test(what_is_refused_for_good_is_given_up), cmocka_unit_test(a_receiver_that_hangs_holds_up_nobody),
        cmocka_unit_test(severity_routes_and_silence_is_kept), cmocka_unit_test(without_receivers_nothing_happens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
