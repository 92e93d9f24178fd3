/* libmicrohttpd behind six paths.  The listening socket is ours, so that a taken port says what to do about it; one
 * thread of the library polls it and calls us. */
#include "consumer/http/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "consumer/http/embedded.h"

enum { HOST_MAX = 256 };

struct http_server {
    struct MHD_Daemon *daemon;
    struct http_handlers handlers;
    char *body; /* HTTP_BODY_MAX, for one answer at a time */
    int port;
    char address[HOST_MAX + 16];
};

/* Addresses */

struct address {
    char host[HOST_MAX], port[8];
};

static int port_parse(const char *text, char port[8])
{
    size_t n = strlen(text);
    if (n < 1 || n > 5 || strspn(text, "0123456789") != n || atoi(text) > 65535)
        return -1;
    memcpy(port, text, n + 1);
    return 0;
}

static int address_parse(const char *text, struct address *address, struct err *err)
{
    const char *colon = strrchr(text, ':'), *host = text;
    size_t size = colon ? (size_t)(colon - text) : 0;
    if (!colon) { /* a port alone */
        host = "127.0.0.1";
        size = strlen(host);
    } else if (size > 2 && host[0] == '[' && host[size - 1] == ']') {
        host++;
        size -= 2;
    } else if (memchr(host, ':', size)) {
        return err_set(err, "http: %.300s: an IPv6 address stands in brackets, [::1]:9464", text);
    }
    if (size == 0 || size >= sizeof address->host || port_parse(colon ? colon + 1 : text, address->port) < 0)
        return err_set(err, "http: %.300s: not an address; write address:port with a port of 0 to 65535, as 127.0.0.1:9464", text);
    memcpy(address->host, host, size);
    address->host[size] = 0;
    return 0;
}

/* Sockets */

static int listen_failed(struct err *err, const char *text, const char *what, int code)
{
    if (code == EADDRINUSE)
        err_set(err, "http: %s is taken by another process; stop that one, or give `http` another port (0 takes a free one)", text);
    else
        err_set(err, "http: cannot %s %s: %s; see the setting `http`", what, text, strerror(code));
    if (err)
        err->code = code;
    return -1;
}

static int socket_listen(const struct addrinfo *info, const char *text, int *out, struct err *err)
{
    int one = 1, fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return listen_failed(err, text, "open a socket for", errno);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, HTTP_CONNECTIONS_MAX) < 0) {
        int code = errno;
        close(fd);
        return listen_failed(err, text, "listen on", code);
    }
    *out = fd;
    return 0;
}

static int socket_open(const char *text, int *fd, struct err *err)
{
    struct address address;
    if (address_parse(text, &address, err) < 0)
        return -1;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
    int code = getaddrinfo(address.host, address.port, &hints, &found);
    if (code)
        return err_set(err, "http: %s: %s; see the setting `http`", address.host, gai_strerror(code));
    int result = socket_listen(found, text, fd, err);
    freeaddrinfo(found);
    return result;
}

static int socket_name(int fd, struct http_server *server)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    char host[HOST_MAX], port[8];
    if (getsockname(fd, (struct sockaddr *)&name, &size) < 0 ||
        getnameinfo((struct sockaddr *)&name, size, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV))
        return -1;
    server->port = atoi(port);
    snprintf(server->address, sizeof server->address, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
    return 0;
}

/* Answers */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type, const char *body, size_t size)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(size, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_plain(struct MHD_Connection *connection, unsigned status, const char *text)
{
    return answer(connection, status, "text/plain; charset=utf-8", text, strlen(text));
}

static enum MHD_Result answer_text(struct http_server *server, struct MHD_Connection *connection, const char *type,
                                   void (*write)(void *context, struct text_buffer *text))
{
    struct text_buffer text;
    text_init(&text, server->body, HTTP_BODY_MAX);
    write(server->handlers.context, &text);
    if (text.full)
        return answer_plain(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "the answer is larger than the endpoint sends\n");
    return answer(connection, MHD_HTTP_OK, type, text.data, text.size);
}

static enum MHD_Result answer_ready(struct http_server *server, struct MHD_Connection *connection)
{
    bool ready = !server->handlers.ready || server->handlers.ready(server->handlers.context) > 0;
    return answer_plain(connection, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, ready ? "ready\n" : "not ready\n");
}

static enum MHD_Result answer_path(struct http_server *server, struct MHD_Connection *connection, const char *path)
{
    if (!strcmp(path, "/metrics") && server->handlers.metrics)
        return answer_text(server, connection, "text/plain; version=0.0.4; charset=utf-8", server->handlers.metrics);
    if (!strcmp(path, "/live"))
        return answer_plain(connection, MHD_HTTP_OK, "live\n");
    if (!strcmp(path, "/ready"))
        return answer_ready(server, connection);
    if (!strcmp(path, "/status") && server->handlers.status)
        return answer_text(server, connection, "application/json", server->handlers.status);
    if (!strcmp(path, "/overview") && server->handlers.overview)
        return answer_text(server, connection, "application/json", server->handlers.overview);
    if (!strcmp(path, "/") && server->handlers.overview)
        return answer(connection, MHD_HTTP_OK, "text/html; charset=utf-8", http_page, strlen(http_page));
    return answer_plain(connection, MHD_HTTP_NOT_FOUND, "not found; there are /, /metrics, /live, /ready, /status and /overview\n");
}

/* Called when the head of a request is there; what a client sends behind it is not read. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **state)
{
    (void)version, (void)upload, (void)upload_size, (void)state;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return answer_plain(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    return answer_path(context, connection, url);
}

/* Start and stop */

/* The thread takes no signals: those are for the main thread. */
static struct MHD_Daemon *daemon_start(struct http_server *server, int fd)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL, NULL, on_request, server, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEAD_MAX, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

int http_server_start(const char *address, const struct http_handlers *handlers, struct http_server **out, struct err *err)
{
    int fd = -1;
    if (socket_open(address, &fd, err) < 0)
        return -1;
    struct http_server *server = calloc(1, sizeof *server);
    if (server)
        server->handlers = *handlers;
    if (server && (server->body = malloc(HTTP_BODY_MAX)) && socket_name(fd, server) == 0 && (server->daemon = daemon_start(server, fd))) {
        *out = server;
        return 0;
    }
    close(fd);
    http_server_stop(server);
    return err_set(err, "http: %s: the endpoint did not start; see the setting `http`", address);
}

void http_server_stop(struct http_server *server)
{
    if (!server)
        return;
    if (server->daemon)
        MHD_stop_daemon(server->daemon); /* closes the socket too */
    free(server->body);
    free(server);
}

int http_server_port(const struct http_server *server)
{
    return server->port;
}

const char *http_server_address(const struct http_server *server)
{
    return server->address;
}
