#include "consumer/alerting/webhooks.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/clock.h"
#include "consumer/hash.h"
#include "consumer/log.h"

struct receiver {
    const struct webhook_entry *entry;
    size_t number; /* in the configuration, from 1 */
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    char *queue[WEBHOOK_QUEUE_MAX]; /* a ring of bodies */
    size_t first, count;
    bool sending;  /* the oldest is under way */
    bool pushed;   /* it was pushed out meanwhile */
    atomic_bool closing;
    struct webhook_counts counts;
    bool failing; /* logged once a cause */
};

struct webhooks {
    const struct config *config;
    size_t count;
    struct receiver *receivers;
};

/* ---- bodies ---- */

static char *slack_body(const struct alert *alert, const char *line)
{
    const char *mark = alert->state == ALERT_RESOLVED ? ":white_check_mark:" : alert->severity == SEVERITY_CRITICAL ? ":red_circle:" : ":warning:";
    json_t *text = json_sprintf("%s %s", mark, line), *body = text ? json_pack("{s:o}", "text", text) : NULL;
    char *dumped = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return dumped;
}

enum { SUMMARY_MAX = 1024, DEDUP_KEY_MAX = 255 }; /* of PagerDuty */

/* So many bytes of the text that no character is cut. */
static size_t cut_at(const char *text, size_t most)
{
    size_t size = strlen(text);
    if (size <= most)
        return size;
    while (most && ((unsigned char)text[most] & 0xc0) == 0x80)
        most--;
    return most;
}

/* One incident for each rule, model, subject and statistic.  What is too long is known by its hash. */
static json_t *dedup_key(const char *app_id, const struct alert *alert)
{
    json_t *key = json_sprintf("weir/%s/%s/%s/%s/%s", app_id, alert->rule->name, alert->model_id ? alert->model_id : "", alert->subject, alert->statistic);
    if (!key || json_string_length(key) <= DEDUP_KEY_MAX)
        return key;
    uint8_t digest[32];
    char hex[65];
    sha256(json_string_value(key), json_string_length(key), digest);
    sha256_hex(digest, hex);
    json_decref(key);
    return json_sprintf("weir/%s", hex);
}

/* Events API v2. */
static char *pagerduty_body(const struct webhook_entry *receiver, const char *app_id, const struct alert *alert, const char *line, const char *json)
{
    json_t *details = json_loads(json, 0, NULL);
    json_t *key = dedup_key(app_id, alert);
    json_t *body = json_pack("{s:s, s:s, s:o, s:{s:s%, s:s, s:s, s:o*}}", "routing_key", receiver->routing_key, "event_action", alert->state == ALERT_RESOLVED ? "resolve" : "trigger",
        "dedup_key", key, "payload", "summary", line, cut_at(line, SUMMARY_MAX), "source", app_id,
        "severity", alert->severity == SEVERITY_CRITICAL ? "critical" : "warning", "custom_details", details);
    char *dumped = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return dumped;
}

static char *plain_body(const char *app_id, const char *line, const char *json)
{
    json_t *alert = json_loads(json, 0, NULL), *body = json_pack("{s:s, s:s, s:o*}", "app_id", app_id, "text", line, "alert", alert);
    char *dumped = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return dumped;
}

char *webhook_body(const struct webhook_entry *receiver, const char *app_id, const struct alert *alert, const char *line, const char *json)
{
    switch ((enum webhook_format)receiver->format) {
    case WEBHOOK_SLACK:
        return slack_body(alert, line);
    case WEBHOOK_PAGERDUTY:
        return pagerduty_body(receiver, app_id, alert, line, json);
    case WEBHOOK_JSON:
        break;
    }
    return plain_body(app_id, line, json);
}

/* ---- one attempt ---- */

static size_t ignore_answer(char *data, size_t size, size_t count, void *to)
{
    (void)data;
    (void)to;
    return size * count;
}

/* Lets the thread end in time whatever the receiver does. */
static int stop_when_closing(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct receiver *r = context;
    (void)a, (void)b, (void)c, (void)d;
    return atomic_load(&r->closing);
}

/* The HTTP status, or 0 with the reason. */
static long post(struct receiver *r, const char *body, char reason[CURL_ERROR_SIZE])
{
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    long status = 0;
    assert(curl && headers && "memory is short");
    *reason = 0;
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_URL, r->entry->url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "weir/" WEIR_VERSION);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)r->entry->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)r->entry->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore_answer);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, stop_when_closing);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, r);
    CURLcode code = curl_easy_perform(curl);
    if (code == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    else if (!*reason)
        strncat(reason, curl_easy_strerror(code), CURL_ERROR_SIZE - 1);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return status;
}

/* ---- a receiver's thread ---- */

static void pop(struct receiver *r)
{
    free(r->queue[r->first]);
    r->queue[r->first] = NULL;
    r->first = (r->first + 1) % WEBHOOK_QUEUE_MAX;
    r->count--;
}

/* What is over: taken, or refused for good.  Under the lock. */
static void settle(struct receiver *r, long status, const char *reason)
{
    bool taken = status >= 200 && status < 300;
    bool refused = status >= 400 && status < 500 && status != 408 && status != 429;
    r->counts.sent += taken;
    r->counts.refused += refused;
    r->counts.failed_attempts += !taken;
    if (taken || refused) {
        if (!r->pushed)
            pop(r);
        if (refused)
            log_warning("webhook %zu refuses an alert with HTTP %ld; it is given up", r->number, status);
        else if (r->failing)
            log_info("webhook %zu takes alerts again", r->number);
        r->failing = false;
    } else if (!r->failing && !atomic_load(&r->closing)) {
        r->failing = true;
        if (status)
            log_warning("webhook %zu answers with HTTP %ld; alerts wait for it", r->number, status);
        else
            log_warning("webhook %zu does not answer: %s; alerts wait for it", r->number, reason);
    }
}

static void wait_ms(struct receiver *r, int64_t ms)
{
    struct timespec until = clock_wall_after(ms);
    while (!atomic_load(&r->closing) && pthread_cond_timedwait(&r->woken, &r->lock, &until) != ETIMEDOUT)
        ;
}

static void *deliver(void *context)
{
    struct receiver *r = context;
    int64_t pause_ms = 1000;
    pthread_mutex_lock(&r->lock);
    while (!atomic_load(&r->closing)) {
        if (!r->count) {
            pthread_cond_wait(&r->woken, &r->lock);
            continue;
        }
        char reason[CURL_ERROR_SIZE], *body = strdup(r->queue[r->first]);
        assert(body && "memory is short");
        r->sending = true;
        r->pushed = false;
        pthread_mutex_unlock(&r->lock);
        long status = post(r, body, reason);
        free(body);
        pthread_mutex_lock(&r->lock);
        r->sending = false;
        settle(r, status, reason);
        if (r->failing)
            wait_ms(r, pause_ms);
        pause_ms = !r->failing ? 1000 : pause_ms * 2 < WEBHOOK_PAUSE_MS_MAX ? pause_ms * 2 : WEBHOOK_PAUSE_MS_MAX;
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static void enqueue(struct receiver *r, char *body)
{
    pthread_mutex_lock(&r->lock);
    if (r->count == WEBHOOK_QUEUE_MAX) {
        r->pushed = r->sending;
        pop(r);
        if (!r->counts.dropped++)
            log_warning("webhook %zu: more than %d alerts wait; the oldest are dropped", r->number, WEBHOOK_QUEUE_MAX);
    }
    r->queue[(r->first + r->count++) % WEBHOOK_QUEUE_MAX] = body;
    pthread_cond_signal(&r->woken);
    pthread_mutex_unlock(&r->lock);
}

/* ---- all of them ---- */

int webhooks_create(const struct config *config, struct webhooks **out, struct err *err)
{
    *out = NULL;
    if (!config->monitor.webhook_count)
        return 0;
    curl_global_init(CURL_GLOBAL_DEFAULT); /* counted by the library: once more does no harm */
    struct webhooks *w = calloc(1, sizeof *w);
    assert(w);
    w->config = config;
    w->receivers = calloc(config->monitor.webhook_count, sizeof *w->receivers);
    assert(w->receivers);
    for (; w->count < config->monitor.webhook_count; w->count++) {
        struct receiver *r = &w->receivers[w->count];
        r->entry = &config->monitor.webhooks[w->count];
        r->number = w->count + 1;
        pthread_mutex_init(&r->lock, NULL);
        pthread_cond_init(&r->woken, NULL);
        r->started = pthread_create(&r->thread, NULL, deliver, r) == 0;
        if (!r->started) {
            w->count++;
            webhooks_destroy(w, 0);
            return err_set(err, "cannot start a thread for webhook %zu", r->number);
        }
    }
    *out = w;
    return 0;
}

static size_t waiting(struct receiver *r)
{
    pthread_mutex_lock(&r->lock);
    size_t count = r->count;
    pthread_mutex_unlock(&r->lock);
    return count;
}

static void finish(struct receiver *r, int64_t until_ns)
{
    while (r->started && waiting(r) && clock_monotonic_ns() < until_ns)
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    pthread_mutex_lock(&r->lock);
    atomic_store(&r->closing, true);
    pthread_cond_signal(&r->woken);
    pthread_mutex_unlock(&r->lock);
    if (r->started)
        pthread_join(r->thread, NULL);
    if (r->count)
        log_warning("webhook %zu: %zu alerts were not delivered; they stand on the monitoring topic", r->number, r->count);
    while (r->count)
        pop(r);
    pthread_cond_destroy(&r->woken);
    pthread_mutex_destroy(&r->lock);
}

void webhooks_destroy(struct webhooks *w, int64_t drain_ms)
{
    if (!w)
        return;
    int64_t until_ns = clock_monotonic_ns() + drain_ms * 1000000;
    for (size_t i = 0; i < w->count; i++)
        finish(&w->receivers[i], until_ns);
    free(w->receivers);
    free(w);
}

void webhooks_send(struct webhooks *w, const struct alert *alert, const char *line, const char *json)
{
    for (size_t i = 0; w && !alert->silenced && i < w->count; i++) {
        struct receiver *r = &w->receivers[i];
        if ((int)alert->severity < (int)SEVERITY_WARNING + r->entry->least_severity)
            continue;
        char *body = webhook_body(r->entry, w->config->app_id, alert, line, json);
        if (body)
            enqueue(r, body);
        else
            log_warning("webhook %zu: an alert cannot be written as JSON; it stands on the monitoring topic", r->number);
    }
}

struct webhook_counts webhooks_count(struct webhooks *w)
{
    struct webhook_counts sum = {0};
    for (size_t i = 0; w && i < w->count; i++) {
        struct receiver *r = &w->receivers[i];
        pthread_mutex_lock(&r->lock);
        sum.sent += r->counts.sent;
        sum.failed_attempts += r->counts.failed_attempts;
        sum.refused += r->counts.refused;
        sum.dropped += r->counts.dropped;
        sum.queued += (int64_t)r->count;
        pthread_mutex_unlock(&r->lock);
    }
    return sum;
}
