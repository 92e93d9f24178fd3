/* A Confluent-compatible schema registry over HTTP (Confluent, Apicurio's ccompat, Karapace).
 *
 * Each request is a connection handle of its own: bounded in time and size, no redirects, http and https only.
 * A schema's references are fetched depth first, so that each text comes after those that it names. */
#include "consumer/registry/source.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "consumer/avro/encode.h"
#include "consumer/stop.h"

enum { REFERENCE_BYTES_MAX = 16 << 20, REFERENCE_DEPTH_MAX = 32 };

struct http_source {
    struct schema_source source;
    char *url; /* without a slash at the end, without user and password */
    char *user, *password, *ca_file, *cert_file, *key_file;
    long timeout_ms;
    bool register_schemas;
    const atomic_bool *stop;
};

/* An answer: status and JSON (NULL if the body is none). */
struct answer {
    long status;
    json_t *body;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void curl_start(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t take_body(char *data, size_t size, size_t count, void *to)
{
    struct buffer *body = to;
    if (size * count > REGISTRY_RESPONSE_MAX - body->size)
        return 0; /* curl ends the transfer */
    put_bytes_raw(body, data, size * count);
    return size * count;
}

/* Called about once a second while nothing comes. */
static int must_end(void *of, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
    const struct http_source *h = of;
    (void)down_all, (void)down, (void)up_all, (void)up;
    return stop_is_set(h->stop);
}

static void set_security(const struct http_source *h, CURL *curl)
{
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    if (h->user) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERNAME, h->user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, h->password ? h->password : "");
    }
    if (h->ca_file)
        curl_easy_setopt(curl, CURLOPT_CAINFO, h->ca_file);
    if (h->cert_file)
        curl_easy_setopt(curl, CURLOPT_SSLCERT, h->cert_file);
    if (h->key_file)
        curl_easy_setopt(curl, CURLOPT_SSLKEY, h->key_file);
}

static int perform(const struct http_source *h, CURL *curl, const char *what, struct answer *answer, struct err *err)
{
    struct buffer body = {0};
    char reason[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    CURLcode code = curl_easy_perform(curl);
    if (code == CURLE_OK) {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
        answer->body = body.size ? json_loadb((const char *)body.data, body.size, JSON_REJECT_DUPLICATES, NULL) : NULL;
    } else if (code == CURLE_WRITE_ERROR) {
        err_set(err, "schema registry %s: %s: the answer is larger than %d bytes", h->url, what, REGISTRY_RESPONSE_MAX);
    } else {
        err_set(err, "schema registry %s: %s: %s", h->url, what, *reason ? reason : curl_easy_strerror(code));
    }
    buffer_finish(&body);
    if (code != CURLE_OK && err)
        err->retriable = true;
    return code == CURLE_OK ? 0 : -1;
}

/* One request; `path` as it stands in the URL, `post` the body or NULL.  -1: no answer. */
static int request(const struct http_source *h, const char *path, const char *post, struct answer *answer, struct err *err)
{
    char url[4096];
    *answer = (struct answer){0};
    if ((size_t)snprintf(url, sizeof url, "%s%s", h->url, path) >= sizeof url)
        return err_set(err, "schema registry %s: the name of a subject is too long", h->url);
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/vnd.schemaregistry.v1+json, application/json");
    if (post && headers) {
        curl_slist_append(headers, "Content-Type: application/vnd.schemaregistry.v1+json");
        curl_slist_append(headers, "Expect:");
    }
    int result;
    if (curl && headers) {
        set_security(h, curl);
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(curl, CURLOPT_USERAGENT, "weir/" WEIR_VERSION);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, h->timeout_ms);
        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, h->timeout_ms);
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, must_end);
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, h);
        if (post)
            curl_easy_setopt(curl, CURLOPT_POSTFIELDS, post);
        result = perform(h, curl, path, answer, err);
    } else {
        result = err_set(err, "schema registry %s: out of memory", h->url);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return result;
}

/* A 404 with an error_code is the registry's own word that there is no such thing.  One without comes from something
 * before it (a proxy, a wrong path): that is no answer, and must not send records to the dead letters. */
static bool says_absent(const struct answer *answer)
{
    return answer->status == 404 && json_is_integer(json_object_get(answer->body, "error_code"));
}

/* An answer that is not what was asked for.  Quotes what the registry says, but never a secret. */
static int refuse(const struct http_source *h, const char *path, const struct answer *answer, struct err *err)
{
    char quoted[200] = "";
    const char *message = json_string_value(json_object_get(answer->body, "message"));
    if (message && !(h->password && *h->password && strstr(message, h->password)))
        snprintf(quoted, sizeof quoted, ": %s", message);
    for (char *c = quoted; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    const char *mend = answer->status == 401 || answer->status == 403 ? " (check input.schemas user and password)"
                       : answer->status == 404 && !says_absent(answer) ? " (not a registry's answer: is the path of input.schemas.url right?)"
                       : !answer->body                                 ? " (no JSON)"
                                                                       : "";
    err_set(err, "schema registry %s: %s: HTTP %ld%s%s", h->url, path, answer->status, quoted, mend);
    if (err) {
        err->code = (int)answer->status;
        err->retriable = answer->status >= 500 || answer->status == 429 || answer->status == 408;
    }
    return -1;
}

/* The schemas that one refers to, in the order in which they must be read. */
struct references {
    struct avro_reference texts[REGISTRY_REFERENCES_MAX];
    json_t *bodies[REGISTRY_REFERENCES_MAX];
    json_t *seen; /* "<version> <subject>" */
    size_t count, bytes;
};

/* What build and its parts return beside 0 and -1 (ask again): the registry's last word, and weir cannot read it. */
enum { UNREADABLE = -2 };

static int unreadable(int failed)
{
    return failed < 0 ? UNREADABLE : 0;
}

static int check_avro(const char *url, const char *path, const json_t *body, struct err *err)
{
    const char *type = json_string_value(json_object_get(body, "schemaType"));
    if (type && strcmp(type, "AVRO"))
        return unreadable(err_set(err, "schema registry %s: %s: a schema of type %.40s, only AVRO can be read", url, path, type));
    if (!json_string_value(json_object_get(body, "schema")))
        return err_set(err, "schema registry %s: %s: the answer has no schema", url, path);
    return 0;
}

static int fetch_references(const struct http_source *h, const json_t *body, struct references *all, int depth, struct err *err);

static int fetch_reference(const struct http_source *h, const json_t *reference, struct references *all, int depth, struct err *err)
{
    const char *subject = json_string_value(json_object_get(reference, "subject"));
    const json_t *version = json_object_get(reference, "version");
    if (!subject || !json_is_integer(version))
        return unreadable(err_set(err, "schema registry %s: a reference without subject or version", h->url));
    char key[1100], path[3300];
    snprintf(key, sizeof key, "%lld %.1000s", (long long)json_integer_value(version), subject);
    if (json_object_get(all->seen, key))
        return 0;
    json_object_set_new(all->seen, key, json_true());
    if (strlen(subject) > 1000 || json_object_size(all->seen) > REGISTRY_REFERENCES_MAX || depth > REFERENCE_DEPTH_MAX)
        return unreadable(err_set(err, "schema registry %s: references beyond limits (%d in all, %d deep)", h->url, REGISTRY_REFERENCES_MAX,
                                  REFERENCE_DEPTH_MAX));
    char *escaped = curl_easy_escape(NULL, subject, 0);
    snprintf(path, sizeof path, "/subjects/%s/versions/%lld", escaped ? escaped : "", (long long)json_integer_value(version));
    curl_free(escaped);
    struct answer answer;
    if (request(h, path, NULL, &answer, err) < 0)
        return -1;
    int result = answer.status != 200 || !answer.body ? refuse(h, path, &answer, err) : check_avro(h->url, path, answer.body, err);
    if (result == 0)
        result = fetch_references(h, answer.body, all, depth + 1, err);
    const char *text = json_string_value(json_object_get(answer.body, "schema"));
    if (result < 0 || (all->bytes += strlen(text)) > REFERENCE_BYTES_MAX) {
        json_decref(answer.body);
        return result < 0 ? result : unreadable(err_set(err, "schema registry %s: more than %d bytes of referenced schemas", h->url, REFERENCE_BYTES_MAX));
    }
    all->bodies[all->count] = answer.body;
    all->texts[all->count++].text = text;
    return 0;
}

static int fetch_references(const struct http_source *h, const json_t *body, struct references *all, int depth, struct err *err)
{
    const json_t *list = json_object_get(body, "references");
    int result = 0;
    for (size_t i = 0; result == 0 && i < json_array_size(list); i++)
        result = fetch_reference(h, json_array_get(list, i), all, depth, err);
    return result;
}

static int build(const struct http_source *h, const char *path, const json_t *body, struct avro_schema **schema, struct err *err)
{
    int checked = check_avro(h->url, path, body, err);
    if (checked < 0)
        return checked;
    struct references *all = calloc(1, sizeof *all);
    if (!all)
        return err_set(err, "schema registry %s: out of memory", h->url);
    all->seen = json_object();
    const char *text = json_string_value(json_object_get(body, "schema"));
    int result = fetch_references(h, body, all, 1, err);
    if (result == 0 && avro_schema_create(text, strlen(text), all->texts, all->count, schema, err) < 0)
        result = unreadable(err_prefix(err, "schema registry %s: %s", h->url, path));
    for (size_t i = 0; i < all->count; i++)
        json_decref(all->bodies[i]);
    json_decref(all->seen);
    free(all);
    return result;
}

static enum registry_answer http_fetch(struct schema_source *source, int32_t id, struct avro_schema **schema, struct err *err)
{
    const struct http_source *h = (const struct http_source *)source;
    struct answer answer;
    char path[64];
    snprintf(path, sizeof path, "/schemas/ids/%d", id);
    if (request(h, path, NULL, &answer, err) < 0)
        return REGISTRY_AWAY;
    enum registry_answer result = REGISTRY_AWAY;
    int built = answer.status == 200 && answer.body ? build(h, path, answer.body, schema, err) : refuse(h, path, &answer, err);
    if (built == 0)
        result = REGISTRY_FOUND;
    else if (built == UNREADABLE)
        result = REGISTRY_UNKNOWN;
    if (says_absent(&answer))
        result = REGISTRY_UNKNOWN;
    if (result == REGISTRY_AWAY && err)
        err->retriable = true; /* the lane waits and asks again, whatever it was */
    json_decref(answer.body);
    return result;
}

static int id_of(const struct http_source *h, const char *path, const struct answer *answer, int32_t *id, struct err *err)
{
    json_int_t value = json_integer_value(json_object_get(answer->body, "id"));
    if (answer->status != 200 || !answer->body)
        return refuse(h, path, answer, err);
    if (value < 1 || value > INT32_MAX)
        return err_set(err, "schema registry %s: %s: the answer has no schema id", h->url, path);
    *id = (int32_t)value;
    return 0;
}

static int http_output_id(struct schema_source *source, const char *subject, const char *schema_text, int32_t *id, struct err *err)
{
    const struct http_source *h = (const struct http_source *)source;
    struct answer answer;
    char path[4096];
    char *escaped = curl_easy_escape(NULL, subject, 0);
    json_t *question = json_pack("{s:s}", "schema", schema_text);
    char *post = question ? json_dumps(question, JSON_COMPACT) : NULL;
    json_decref(question);
    int result = escaped && post ? 0 : err_set(err, "schema registry %s: the schema of %.200s is no text", h->url, subject);
    bool absent = false;
    if (result == 0) {
        snprintf(path, sizeof path, "/subjects/%.3000s", escaped);
        result = request(h, path, post, &answer, err);
    }
    if (result == 0) {
        absent = says_absent(&answer);
        result = absent ? 0 : id_of(h, path, &answer, id, err);
        json_decref(answer.body);
    }
    if (result == 0 && absent && !h->register_schemas)
        result = err_set(err, "schema registry %s: the output schema is not registered under the subject %.200s: register it, or let weir do so "
                              "(input.schemas)", h->url, subject);
    if (result == 0 && absent) {
        snprintf(path, sizeof path, "/subjects/%.3000s/versions", escaped);
        result = request(h, path, post, &answer, err);
        if (result == 0) {
            result = id_of(h, path, &answer, id, err);
            json_decref(answer.body);
        }
    }
    free(post);
    curl_free(escaped);
    return result;
}

static void http_destroy(struct schema_source *source)
{
    struct http_source *h = (struct http_source *)source;
    if (h->password)
        explicit_bzero(h->password, strlen(h->password));
    char *texts[] = {h->url, h->user, h->password, h->ca_file, h->cert_file, h->key_file};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    free(h);
}

/* Only a scheme, a host and a path: user and password have their own settings, so that URLs can be printed. */
static int check_url(const char *url, struct err *err)
{
    CURLU *parts = curl_url();
    char *scheme = NULL, *user = NULL, *query = NULL, *fragment = NULL;
    int result = 0;
    if (!parts || curl_url_set(parts, CURLUPART_URL, url, 0) != CURLUE_OK || curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        (strcmp(scheme, "http") && strcmp(scheme, "https")))
        result = err_set(err, "input.schemas.url: not an http:// or https:// address");
    else if (curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_OK)
        result = err_set(err, "input.schemas.url: holds a user: give user and password by their own settings");
    else if (curl_url_get(parts, CURLUPART_QUERY, &query, 0) == CURLUE_OK || curl_url_get(parts, CURLUPART_FRAGMENT, &fragment, 0) == CURLUE_OK)
        result = err_set(err, "input.schemas.url: %.300s: may not hold ? or #", url);
    curl_free(scheme);
    curl_free(user);
    curl_free(query);
    curl_free(fragment);
    curl_url_cleanup(parts);
    return result;
}

static char *copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

int http_source_create(const struct registry_options *options, struct schema_source **out, struct err *err)
{
    pthread_once(&curl_once, curl_start);
    if (check_url(options->url, err) < 0)
        return -1;
    struct http_source *h = calloc(1, sizeof *h);
    if (!h || !(h->url = strdup(options->url))) {
        free(h);
        return err_set(err, "schema registry: out of memory");
    }
    for (size_t n = strlen(h->url); n && h->url[n - 1] == '/'; n--)
        h->url[n - 1] = 0;
    h->source = (struct schema_source){http_fetch, http_output_id, http_destroy};
    h->user = copy(options->user);
    h->password = copy(options->password);
    h->ca_file = copy(options->ca_file);
    h->cert_file = copy(options->cert_file);
    h->key_file = copy(options->key_file);
    h->stop = options->stop;
    h->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : 5000;
    h->register_schemas = options->register_schemas;
    *out = &h->source;
    return 0;
}
