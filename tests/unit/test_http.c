/* The endpoint over real sockets on free ports. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "consumer/http/server.h"

struct fixture {
    struct http_server *server;
    int ready;
    size_t fill; /* bytes of /status */
};

static int is_ready(void *context)
{
    return ((struct fixture *)context)->ready;
}

static void write_metrics(void *context, struct text_buffer *text)
{
    (void)context;
    text_add(text, "weir_records_total 5\n");
}

static void write_status(void *context, struct text_buffer *text)
{
    const struct fixture *f = context;
    for (size_t i = 0; i < f->fill; i++)
        text_add_bytes(text, "x", 1);
    text_add(text, "{}");
}

static void write_overview(void *context, struct text_buffer *text)
{
    (void)context;
    text_add(text, "{\"app_id\": \"fraud\"}");
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err err;
    if (http_server_start("127.0.0.1:0", &(struct http_handlers){f, is_ready, write_metrics, write_status, write_overview}, &f->server, &err) < 0)
        fail_msg("%s", err.msg);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    http_server_stop(f->server);
    free(f);
    return 0;
}

static int connect_to(const struct fixture *f)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)http_server_port(f->server))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval patience = {.tv_sec = 30};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static char answer[1 << 16];

/* Sends the bytes and reads until the server closes. */
static const char *exchange(const struct fixture *f, const char *request)
{
    int fd = connect_to(f);
    size_t n = 0;
    ssize_t got;
    ssize_t sent = send(fd, request, strlen(request), MSG_NOSIGNAL);
    assert_true(sent > 0);
    while (n < sizeof answer - 1 && (got = recv(fd, answer + n, sizeof answer - 1 - n, 0)) > 0)
        n += (size_t)got;
    answer[n] = 0;
    close(fd);
    return answer;
}

static const char *ask(const struct fixture *f, const char *method, const char *path)
{
    char request[256];
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path);
    return exchange(f, request);
}

static int status_of(const char *response)
{
    int status = 0;
    assert_int_equal(sscanf(response, "HTTP/1.1 %d", &status), 1);
    return status;
}

static const char *body_of(const char *response)
{
    const char *end = strstr(response, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

static void metrics_are_served(void **state)
{
    const char *response = ask(*state, "GET", "/metrics");
    assert_int_equal(status_of(response), 200);
    assert_non_null(strstr(response, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_string_equal(body_of(response), "weir_records_total 5\n");
}

static void a_query_does_not_change_the_path(void **state)
{
    assert_string_equal(body_of(ask(*state, "GET", "/metrics?name[]=x")), "weir_records_total 5\n");
}

static void live_is_always_ok(void **state)
{
    assert_int_equal(status_of(ask(*state, "GET", "/live")), 200);
}

static void ready_follows_the_shell(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(status_of(ask(f, "GET", "/ready")), 503);
    f->ready = 1;
    assert_int_equal(status_of(ask(f, "GET", "/ready")), 200);
}

static void status_is_json(void **state)
{
    const char *response = ask(*state, "GET", "/status");
    assert_non_null(strstr(response, "Content-Type: application/json\r\n"));
    assert_string_equal(body_of(response), "{}");
}

static void the_page_and_what_it_shows(void **state)
{
    const char *response = ask(*state, "GET", "/overview");
    assert_non_null(strstr(response, "Content-Type: application/json\r\n"));
    assert_string_equal(body_of(response), "{\"app_id\": \"fraud\"}");
    response = ask(*state, "GET", "/");
    assert_int_equal(status_of(response), 200);
    assert_non_null(strstr(response, "Content-Type: text/html; charset=utf-8\r\n"));
    assert_non_null(strstr(response, "Content-Security-Policy: default-src 'none';"));
    assert_non_null(strstr(response, "fetch(\"/overview\""));
    assert_null(strstr(body_of(response), "https://")); /* nothing from outside */
    size_t size = strlen(response);
    assert_string_equal(response + size - 8, "</html>\n");
}

static void head_has_no_body(void **state)
{
    const char *response = ask(*state, "HEAD", "/metrics");
    assert_int_equal(status_of(response), 200);
    assert_non_null(strstr(response, "Content-Length: 21\r\n"));
    assert_string_equal(body_of(response), "");
}

static void other_paths_are_not_found(void **state)
{
    static const char *const paths[] = {"/page", "/metric", "/metrics/", "/metrics/../status", "//metrics", "/etc/passwd"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        assert_int_equal(status_of(ask(*state, "GET", paths[i])), 404);
}

static void other_methods_are_not_allowed(void **state)
{
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const char *response = ask(*state, methods[i], "/metrics");
        assert_int_equal(status_of(response), 405);
        assert_non_null(strstr(response, "Allow: GET, HEAD\r\n"));
    }
}

static void a_body_is_not_read(void **state)
{
    const char *response = exchange(*state, "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000000000\r\n\r\nabc");
    assert_int_equal(status_of(response), 405);
}

static void an_answer_too_large_is_an_error_and_not_cut(void **state)
{
    struct fixture *f = *state;
    f->fill = HTTP_BODY_MAX + 1;
    assert_int_equal(status_of(ask(f, "GET", "/status")), 500);
    f->fill = 0;
    assert_int_equal(status_of(ask(f, "GET", "/status")), 200);
}

static void garbage_is_refused_and_the_next_one_served(void **state)
{
    static char head[HTTP_HEAD_MAX * 3];
    size_t n = (size_t)snprintf(head, sizeof head, "GET /metrics HTTP/1.1\r\nX: ");
    memset(head + n, 'a', sizeof head - n - 5);
    strcpy(head + sizeof head - 5, "\r\n\r\n");
    static const char *const requests[] = {"\r\n\r\n\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n", "GET /metrics HTTP/9.9\r\n\r\n", head};
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        int fd = connect_to(*state);
        send(fd, requests[i], strlen(requests[i]), MSG_NOSIGNAL);
        shutdown(fd, SHUT_WR);
        ssize_t got = recv(fd, answer, sizeof answer - 1, 0);
        answer[got > 0 ? got : 0] = 0;
        assert_null(strstr(answer, "weir_records_total"));
        close(fd);
    }
    assert_int_equal(status_of(ask(*state, "GET", "/metrics")), 200);
}

static void connections_are_bounded(void **state)
{
    enum { MANY = HTTP_CONNECTIONS_MAX + 8 };
    int fds[MANY];
    for (int i = 0; i < MANY; i++)
        fds[i] = connect_to(*state); /* silent ones: the last wait in the backlog or are closed */
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
    assert_int_equal(status_of(ask(*state, "GET", "/live")), 200);
}

static void a_free_port_is_told(void **state)
{
    struct fixture *f = *state;
    char wanted[64];
    assert_true(http_server_port(f->server) > 0);
    snprintf(wanted, sizeof wanted, "127.0.0.1:%d", http_server_port(f->server));
    assert_string_equal(http_server_address(f->server), wanted);
}

static void a_taken_port_is_an_error_that_says_what_to_do(void **state)
{
    struct fixture *f = *state;
    struct http_server *second = NULL;
    struct err err;
    assert_int_equal(http_server_start(http_server_address(f->server), &(struct http_handlers){0}, &second, &err), -1);
    assert_null(second);
    assert_int_equal(err.code, EADDRINUSE);
    assert_non_null(strstr(err.msg, http_server_address(f->server)));
    assert_non_null(strstr(err.msg, "`http`"));
}

static void a_port_is_free_again_after_stop(void **state)
{
    (void)state;
    struct http_server *server;
    struct err err;
    char address[64];
    assert_int_equal(http_server_start("0", &(struct http_handlers){0}, &server, &err), 0);
    strcpy(address, http_server_address(server));
    http_server_stop(server);
    assert_int_equal(http_server_start(address, &(struct http_handlers){0}, &server, &err), 0);
    http_server_stop(server);
}

static void wrong_addresses_are_refused(void **state)
{
    (void)state;
    static const char *const addresses[] = {"", ":", ":9464", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1",
                                            "127.0.0.1:123456789012", "::1:9464", "[]:1", "host name:1", "x"};
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        struct http_server *server = NULL;
        struct err err;
        assert_int_equal(http_server_start(addresses[i], &(struct http_handlers){0}, &server, &err), -1);
        assert_null(server);
        assert_non_null(strstr(err.msg, "http"));
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(metrics_are_served), TEST(a_query_does_not_change_the_path), TEST(live_is_always_ok), TEST(ready_follows_the_shell),
        TEST(status_is_json), TEST(the_page_and_what_it_shows), TEST(head_has_no_body), TEST(other_paths_are_not_found), TEST(other_methods_are_not_allowed),
        TEST(a_body_is_not_read), TEST(an_answer_too_large_is_an_error_and_not_cut), TEST(garbage_is_refused_and_the_next_one_served),
        TEST(connections_are_bounded), TEST(a_free_port_is_told), TEST(a_taken_port_is_an_error_that_says_what_to_do),
        cmocka_unit_test(a_port_is_free_again_after_stop), cmocka_unit_test(wrong_addresses_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
