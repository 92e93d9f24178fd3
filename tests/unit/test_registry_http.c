/* Schemas from a registry that is a thread with a socket in this very process. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "consumer/registry/registry.h"

#define ALPHA "{\"type\": \"record\", \"name\": \"Alpha\", \"fields\": [{\"name\": \"a\", \"type\": \"int\"}]}"

struct route {
    const char *request; /* "GET /path" */
    int status;
    const char *body; /* NULL: no answer at all; "huge": endless */
};

static struct server {
    int socket;
    pthread_t thread;
    char url[64];
    const struct route *routes;
    size_t route_count;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int requests; /* answered or hanging */
    int open;     /* connections */
    bool release; /* what hangs may go on */
    char last_head[4096], last_body[4096];
} server;

static void send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        data += n;
        size -= (size_t)n;
    }
}

static void hang(void)
{
    pthread_mutex_lock(&server.lock);
    while (!server.release)
        pthread_cond_wait(&server.changed, &server.lock);
    pthread_mutex_unlock(&server.lock);
}

static void answer(int fd, const struct route *route)
{
    char head[256];
    static _Thread_local char piece[1 << 16];
    if (route && !route->body) {
        hang();
        return;
    }
    bool huge = route && !strcmp(route->body, "huge");
    const char *body = route ? route->body : "{\"error_code\": 404, \"message\": \"no such route\"}";
    int n = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nConnection: close\r\n%sContent-Type: application/json\r\n\r\n", route ? route->status : 404,
                     route && route->status == 302 ? "Location: /elsewhere\r\n" : "");
    send_all(fd, head, (size_t)n);
    memset(piece, ' ', sizeof piece);
    for (int i = 0; huge && i < 100; i++)
        send_all(fd, piece, sizeof piece);
    if (!huge)
        send_all(fd, body, strlen(body));
}

static bool read_request(int fd, char *text, size_t size)
{
    size_t n = 0;
    for (;;) {
        ssize_t got = recv(fd, text + n, size - 1 - n, 0);
        if (got <= 0)
            return false;
        n += (size_t)got;
        text[n] = 0;
        const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "content-length:");
        if (end && n >= (size_t)(end + 4 - text) + (length ? strtoul(length + 15, NULL, 10) : 0))
            return true;
    }
}

static void *serve_one(void *arg)
{
    int fd = (int)(intptr_t)arg;
    static _Thread_local char text[1 << 16];
    if (read_request(fd, text, sizeof text)) {
        char *body = strstr(text, "\r\n\r\n") + 4, line[1024];
        snprintf(line, sizeof line, "%.*s", (int)(strstr(text, " HTTP/") - text), text);
        const struct route *route = NULL;
        pthread_mutex_lock(&server.lock);
        for (size_t i = 0; i < server.route_count; i++)
            if (!strcmp(server.routes[i].request, line))
                route = &server.routes[i];
        server.requests++;
        snprintf(server.last_head, sizeof server.last_head, "%.*s", (int)(body - text), text);
        snprintf(server.last_body, sizeof server.last_body, "%s", body);
        pthread_cond_broadcast(&server.changed);
        pthread_mutex_unlock(&server.lock);
        answer(fd, route);
    }
    close(fd);
    pthread_mutex_lock(&server.lock);
    server.open--;
    pthread_cond_broadcast(&server.changed);
    pthread_mutex_unlock(&server.lock);
    return NULL;
}

static void *serve(void *arg)
{
    (void)arg;
    for (int fd; (fd = accept(server.socket, NULL, NULL)) >= 0;) {
        pthread_t thread;
        pthread_mutex_lock(&server.lock);
        server.open++;
        pthread_mutex_unlock(&server.lock);
        pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)fd);
        pthread_detach(thread);
    }
    return NULL;
}

static int start_server(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server = (struct server){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    server.socket = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server.socket, (struct sockaddr *)&address, size) < 0 || listen(server.socket, 16) < 0 ||
        getsockname(server.socket, (struct sockaddr *)&address, &size) < 0)
        return -1;
    snprintf(server.url, sizeof server.url, "http://127.0.0.1:%d/base/v7/", ntohs(address.sin_port));
    return pthread_create(&server.thread, NULL, serve, NULL);
}

static int stop_server(void **state)
{
    (void)state;
    shutdown(server.socket, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    close(server.socket);
    pthread_mutex_lock(&server.lock);
    server.release = true;
    pthread_cond_broadcast(&server.changed);
    while (server.open > 0)
        pthread_cond_wait(&server.changed, &server.lock);
    pthread_mutex_unlock(&server.lock);
    return 0;
}

static void serve_routes(const struct route *routes, size_t count)
{
    pthread_mutex_lock(&server.lock);
    server.routes = routes;
    server.route_count = count;
    pthread_mutex_unlock(&server.lock);
}
#define SERVE(routes) serve_routes(routes, sizeof(routes) / sizeof *(routes))

static int request_count(void)
{
    pthread_mutex_lock(&server.lock);
    int count = server.requests;
    pthread_mutex_unlock(&server.lock);
    return count;
}

static struct registry *open_http(struct registry_options options)
{
    struct registry *registry;
    struct err err;
    options.url = server.url;
    options.timeout_ms = options.timeout_ms ? options.timeout_ms : 5000;
    if (registry_create(&options, &registry, &err) < 0)
        fail_msg("%s", err.msg);
    return registry;
}

#define QUOTED_ALPHA "\"{\\\"type\\\": \\\"record\\\", \\\"name\\\": \\\"Alpha\\\", \\\"fields\\\": []}\""

static void found_is_cached_for_ever(void **state)
{
    (void)state;
    static const struct route routes[] = {{"GET /base/v7/schemas/ids/5", 200, "{\"schema\": " QUOTED_ALPHA "}"}};
    SERVE(routes);
    struct registry *registry = open_http((struct registry_options){0});
    const struct avro_schema *schema;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(registry_schema(registry, 5, &schema, NULL), REGISTRY_FOUND);
        assert_string_equal(avro_schema_root(schema)->name, "Alpha");
    }
    assert_int_equal(request_count(), 1);
    assert_null(strcasestr(server.last_head, "authorization"));
    registry_destroy(registry);
}

static void unknown_is_asked_once(void **state)
{
    (void)state;
    static const struct route routes[] = {{"GET /base/v7/schemas/ids/5", 404, "{\"error_code\": 40403, \"message\": \"Schema not found\"}"}};
    SERVE(routes);
    struct registry *registry = open_http((struct registry_options){0});
    const struct avro_schema *schema;
    struct err err;
    for (int i = 0; i < 3; i++)
        assert_int_equal(registry_schema(registry, 5, &schema, &err), REGISTRY_UNKNOWN);
    assert_int_equal(request_count(), 1);
    registry_destroy(registry);
}

static void references_are_read_before_what_names_them(void **state)
{
    (void)state;
    static const struct route routes[] = {
        {"GET /base/v7/schemas/ids/1", 200,
         "{\"schemaType\": \"AVRO\", \"schema\": \"{\\\"type\\\": \\\"record\\\", \\\"name\\\": \\\"Top\\\", \\\"fields\\\": [{\\\"name\\\": \\\"m\\\", "
         "\\\"type\\\": \\\"x.Middle\\\"}, {\\\"name\\\": \\\"l\\\", \\\"type\\\": \\\"Leaf\\\"}]}\", \"references\": ["
         "{\"name\": \"x.Middle\", \"subject\": \"a/middle?\", \"version\": 2}, {\"name\": \"Leaf\", \"subject\": \"leaf\", \"version\": 1}]}"},
        {"GET /base/v7/subjects/a%2Fmiddle%3F/versions/2", 200,
         "{\"schema\": \"{\\\"type\\\": \\\"record\\\", \\\"name\\\": \\\"x.Middle\\\", \\\"fields\\\": [{\\\"name\\\": \\\"l\\\", \\\"type\\\": "
         "\\\"Leaf\\\"}]}\", \"references\": [{\"name\": \"Leaf\", \"subject\": \"leaf\", \"version\": 1}]}"},
        {"GET /base/v7/subjects/leaf/versions/1", 200, "{\"schema\": \"{\\\"type\\\": \\\"enum\\\", \\\"name\\\": \\\"Leaf\\\", \\\"symbols\\\": "
         "[\\\"X\\\"]}\"}"},
        {"GET /base/v7/schemas/ids/2", 200, "{\"schema\": \"\\\"Leaf\\\"\", \"references\": [{\"name\": \"Leaf\", \"subject\": \"none\", \"version\": 1}]}"},
        {"GET /base/v7/schemas/ids/3", 200, "{\"schema\": \"\\\"int\\\"\", \"references\": [{\"name\": \"A\", \"subject\": \"loop\", \"version\": 1}]}"},
        {"GET /base/v7/subjects/loop/versions/1", 200, "{\"schema\": \"\\\"int\\\"\", \"references\": [{\"name\": \"A\", \"subject\": \"loop\", "
         "\"version\": 1}]}"},
    };
    SERVE(routes);
    struct registry *registry = open_http((struct registry_options){0});
    const struct avro_schema *schema;
    struct err err;
    assert_int_equal(registry_schema(registry, 1, &schema, &err), REGISTRY_FOUND);
    const struct avro_type_node *top = avro_schema_root(schema);
    assert_string_equal(top->fields[0].type->fields[0].type->name, "Leaf");
    assert_ptr_equal(top->fields[0].type->fields[0].type, top->fields[1].type);
    assert_int_equal(request_count(), 3);
    assert_int_equal(registry_schema(registry, 2, &schema, &err), REGISTRY_AWAY);
    assert_non_null(strstr(err.msg, "/subjects/none/versions/1: HTTP 404"));
    assert_int_equal(registry_schema(registry, 3, &schema, &err), REGISTRY_FOUND);
    registry_destroy(registry);
}

static void whatever_else_is_away(void **state)
{
    (void)state;
    static const struct route routes[] = {
        {"GET /base/v7/schemas/ids/1", 500, "{\"error_code\": 50001, \"message\": \"store \\u001b[31m down\"}"},
        {"GET /base/v7/schemas/ids/2", 404, "<html>404</html>"},
        {"GET /base/v7/schemas/ids/3", 200, "huge"},
        {"GET /base/v7/schemas/ids/4", 200, "no json"},
        {"GET /base/v7/schemas/ids/5", 200, "{}"},
        {"GET /base/v7/schemas/ids/6", 200, "{\"schemaType\": \"PROTOBUF\", \"schema\": \"x\"}"},
        {"GET /base/v7/schemas/ids/7", 200, "{\"schema\": \"{\\\"type\\\": \\\"panther\\\"}\"}"},
        {"GET /base/v7/schemas/ids/8", 401, "{\"error_code\": 40101, \"message\": \"user s3cret may not\"}"},
        {"GET /base/v7/schemas/ids/9", 302, ""},
        {"GET /base/v7/schemas/ids/10", 200, NULL},
        {"GET /base/v7/schemas/ids/11", 404, "{\"title\": \"no such resource\"}"},
        {"GET /elsewhere", 200, "{\"schema\": " QUOTED_ALPHA "}"},
    };
    static const char *const errors[] = {
        "/schemas/ids/1: HTTP 500: store  [31m down",
        "/schemas/ids/2: HTTP 404 (not a registry's answer: is the path of input.schemas.url right?)",
        "/schemas/ids/3: the answer is larger than 4194304 bytes",
        "/schemas/ids/4: HTTP 200 (no JSON",
        "/schemas/ids/5: the answer has no schema",
        "/schemas/ids/6: a schema of type PROTOBUF, only AVRO can be read",
        "/schemas/ids/7: schema: unknown type \"panther\"",
        "/schemas/ids/8: HTTP 401 (check input.schemas user and password)",
        "/schemas/ids/9: HTTP 302",
        "/schemas/ids/10: Operation timed out",
        "/schemas/ids/11: HTTP 404 (not a registry's answer",
    };
    SERVE(routes);
    struct registry *registry = open_http((struct registry_options){.timeout_ms = 300, .user = "me", .password = "s3cret"});
    for (int id = 1; id <= 11; id++) {
        const struct avro_schema *schema;
        struct err err = {0};
        bool final = id == 6 || id == 7; /* a registry's word, which asking again does not change */
        assert_int_equal(registry_schema(registry, id, &schema, &err), final ? REGISTRY_UNKNOWN : REGISTRY_AWAY);
        if (!strstr(err.msg, errors[id - 1]))
            fail_msg("\"%s\" does not say \"%s\"", err.msg, errors[id - 1]);
        assert_int_equal(err.retriable, !final);
        assert_null(strstr(err.msg, "s3cret"));
    }
    registry_destroy(registry);
}

static void nobody_listens(void **state)
{
    (void)state;
    struct registry *registry;
    struct registry_options options = {.url = "http://127.0.0.1:1", .timeout_ms = 1000};
    const struct avro_schema *schema;
    struct err err;
    assert_int_equal(registry_create(&options, &registry, &err), 0);
    assert_int_equal(registry_schema(registry, 1, &schema, &err), REGISTRY_AWAY);
    assert_non_null(strstr(err.msg, "schema registry http://127.0.0.1:1: /schemas/ids/1: "));
    registry_destroy(registry);
}

static void basic_auth_is_sent(void **state)
{
    (void)state;
    static const struct route routes[] = {{"GET /base/v7/schemas/ids/5", 200, "{\"schema\": " QUOTED_ALPHA "}"}};
    SERVE(routes);
    struct registry *registry = open_http((struct registry_options){.user = "me", .password = "s3cret"});
    const struct avro_schema *schema;
    assert_int_equal(registry_schema(registry, 5, &schema, NULL), REGISTRY_FOUND);
    assert_non_null(strstr(server.last_head, "Authorization: Basic bWU6czNjcmV0\r\n"));
    registry_destroy(registry);
}

static void output_schemas_are_looked_up_then_registered(void **state)
{
    (void)state;
    static const struct route known[] = {{"POST /base/v7/subjects/predictions-value", 200, "{\"subject\": \"predictions-value\", \"id\": 12}"}};
    static const struct route fresh[] = {
        {"POST /base/v7/subjects/predictions-value", 404, "{\"error_code\": 40401, \"message\": \"Subject not found\"}"},
        {"POST /base/v7/subjects/predictions-value/versions", 200, "{\"id\": 13}"},
    };
    static const struct route refused[] = {
        {"POST /base/v7/subjects/predictions-value", 404, "{\"error_code\": 40403}"},
        {"POST /base/v7/subjects/predictions-value/versions", 409, "{\"error_code\": 409, \"message\": \"Schema is incompatible\"}"},
    };
    struct registry *registry = open_http((struct registry_options){.register_schemas = true});
    struct registry *only_looks = open_http((struct registry_options){0});
    struct err err;
    int32_t id;
    SERVE(known);
    assert_int_equal(registry_output_id(only_looks, "predictions-value", ALPHA, &id, &err), 0);
    assert_int_equal(id, 12);
    SERVE(fresh);
    assert_int_equal(registry_output_id(only_looks, "predictions-value", ALPHA, &id, &err), -1);
    assert_non_null(strstr(err.msg, "not registered under the subject predictions-value"));
    assert_int_equal(registry_output_id(registry, "predictions-value", ALPHA, &id, &err), 0);
    assert_int_equal(id, 13);
    json_t *sent = json_loads(server.last_body, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(sent, "schema")), ALPHA);
    json_decref(sent);
    SERVE(refused);
    assert_int_equal(registry_output_id(registry, "predictions-value", ALPHA, &id, &err), -1);
    assert_non_null(strstr(err.msg, "HTTP 409: Schema is incompatible"));
    assert_int_equal(err.code, 409);
    assert_false(err.retriable);
    registry_destroy(registry);
    registry_destroy(only_looks);
}

static void *fetch_nine(void *registry)
{
    const struct avro_schema *schema;
    return (void *)(intptr_t)registry_schema(registry, 9, &schema, NULL);
}

static void a_slow_fetch_does_not_delay_what_is_cached(void **state)
{
    (void)state;
    static const struct route routes[] = {{"GET /base/v7/schemas/ids/5", 200, "{\"schema\": " QUOTED_ALPHA "}"},
                                          {"GET /base/v7/schemas/ids/9", 200, NULL}};
    SERVE(routes);
    struct registry *registry = open_http((struct registry_options){0});
    const struct avro_schema *schema;
    pthread_t thread;
    void *result;
    assert_int_equal(registry_schema(registry, 5, &schema, NULL), REGISTRY_FOUND);
    pthread_create(&thread, NULL, fetch_nine, registry);
    pthread_mutex_lock(&server.lock);
    while (server.requests < 2)
        pthread_cond_wait(&server.changed, &server.lock);
    pthread_mutex_unlock(&server.lock);
    assert_int_equal(registry_schema(registry, 5, &schema, NULL), REGISTRY_FOUND); /* would wait for ever if it were held up */
    pthread_mutex_lock(&server.lock);
    server.release = true;
    pthread_cond_broadcast(&server.changed);
    pthread_mutex_unlock(&server.lock);
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, REGISTRY_AWAY);
    registry_destroy(registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(found_is_cached_for_ever, start_server, stop_server),
        cmocka_unit_test_setup_teardown(unknown_is_asked_once, start_server, stop_server),
        cmocka_unit_test_setup_teardown(references_are_read_before_what_names_them, start_server, stop_server),
        cmocka_unit_test_setup_teardown(whatever_else_is_away, start_server, stop_server),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test_setup_teardown(basic_auth_is_sent, start_server, stop_server),
        cmocka_unit_test_setup_teardown(output_schemas_are_looked_up_then_registered, start_server, stop_server),
        cmocka_unit_test_setup_teardown(a_slow_fetch_does_not_delay_what_is_cached, start_server, stop_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
