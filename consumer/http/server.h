/* The HTTP endpoint: GET and HEAD of /metrics, /live, /ready, /status, /overview and / (the page that shows it), one
 * thread, no other path.
 *
 * Answers: 200; /ready 503 until ready; 404, 405 (with Allow); 500 where the text does not fit HTTP_BODY_MAX (half a
 * /metrics would look like counters that vanished).  At most HTTP_CONNECTIONS_MAX connections, each closed
 * after HTTP_IDLE_S seconds of silence; request heads over HTTP_HEAD_MAX bytes are refused. */
#pragma once
#include "monitor/text_buffer.h"
#include "scoring/err.h"

enum { HTTP_BODY_MAX = 8 << 20, HTTP_CONNECTIONS_MAX = 64, HTTP_IDLE_S = 10, HTTP_HEAD_MAX = 16 << 10 };

/* Called on the server's thread, one at a time; they must not block. */
struct http_handlers {
    void *context; /* the callbacks' first argument */
    int (*ready)(void *context);                              /* 1: ready to work; NULL: always */
    void (*metrics)(void *context, struct text_buffer *text); /* Prometheus text */
    void (*status)(void *context, struct text_buffer *text);  /* JSON */
    void (*overview)(void *context, struct text_buffer *text); /* JSON, what page.html shows; NULL: neither is there */
};

struct http_server;
/* address: "127.0.0.1:9464", "[::1]:9464", "localhost:9464", or a port alone (loopback).  Port 0 takes a free one:
 * http_server_port says which.  An address that is taken is an error that names it and the setting `http`. */
int http_server_start(const char *address, const struct http_handlers *handlers, struct http_server **out, struct err *err);
void http_server_stop(struct http_server *server); /* no callback runs after it returns */
int http_server_port(const struct http_server *server);
const char *http_server_address(const struct http_server *server); /* "127.0.0.1:9464", with the real port */
