#include "consumer/commands/check_kafka.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/kafka/client.h"
#include "consumer/kafka/topics.h"
#include "consumer/registry/registry.h"

enum { ASK_TIMEOUT_MS = 15000 };

/* The last connection failure that librdkafka logged: the calls themselves only say that no broker answered. */
struct failure_note {
    pthread_mutex_t lock;
    char text[512];
};

static void note_failure(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)level;
    struct failure_note *note = rd_kafka_opaque(rk);
    if (strcmp(facility, "FAIL"))
        return;
    pthread_mutex_lock(&note->lock);
    snprintf(note->text, sizeof note->text, "%s", text);
    pthread_mutex_unlock(&note->lock);
}

/* The same client, but what it logs goes to the note and not to the log. */
static int keep_notes(rd_kafka_t **client, struct failure_note *note, struct err *err)
{
    char why[512];
    rd_kafka_type_t type = rd_kafka_type(*client);
    rd_kafka_conf_t *conf = rd_kafka_conf_dup(rd_kafka_conf(*client));
    rd_kafka_destroy(*client);
    rd_kafka_conf_set_log_cb(conf, note_failure);
    rd_kafka_conf_set_opaque(conf, note);
    if ((*client = rd_kafka_new(type, conf, why, sizeof why)))
        return 0;
    rd_kafka_conf_destroy(conf);
    return err_set(err, "kafka: %s", why);
}

/* --- the schema registry --- */

void check_schemas(const struct config *config, struct check_report *report)
{
    const char *place = config->input.schemas.url ? config->input.schemas.url : config->input.schemas.dir;
    struct registry_options options = {
        .url = config->input.schemas.url, .dir = config->input.schemas.dir, .user = config->input.schemas.user,
        .password = config->input.schemas.password, .ca_file = config->input.schemas.ca_file, .cert_file = config->input.schemas.cert_file,
        .key_file = config->input.schemas.key_file, .timeout_ms = (int)config->input.schemas.timeout_ms, .register_schemas = false,
    };
    struct registry *registry = NULL;
    const struct avro_schema *schema;
    struct err err;
    if (registry_create(&options, &registry, &err) < 0 || registry_schema(registry, 1, &schema, &err) == REGISTRY_AWAY)
        check_say(report, CHECK_FAILED, "input.schemas", "%s", err.msg);
    else
        check_say(report, CHECK_OK, "input.schemas", "%s answers", place);
    registry_destroy(registry);
}

/* --- topics --- */

static bool has_operation(const rd_kafka_AclOperation_t *operations, size_t count, rd_kafka_AclOperation_t wanted)
{
    for (size_t i = 0; i < count; i++)
        if (operations[i] == wanted)
            return true;
    return false;
}

/* The operations that we may do on a topic; NULL event: the broker did not say. */
static rd_kafka_event_t *describe_topic(rd_kafka_t *client, const char *name, const rd_kafka_TopicDescription_t **topic)
{
    rd_kafka_TopicCollection_t *names = rd_kafka_TopicCollection_of_topic_names((const char *[]){name}, 1);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_AdminOptions_set_request_timeout(options, ASK_TIMEOUT_MS, NULL, 0);
    rd_kafka_error_destroy(rd_kafka_AdminOptions_set_include_authorized_operations(options, 1));
    rd_kafka_DescribeTopics(client, names, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ASK_TIMEOUT_MS + 1000);
    size_t count = 0;
    const rd_kafka_TopicDescription_t **topics =
        event && !rd_kafka_event_error(event) ? rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event), &count) : NULL;
    *topic = count == 1 && !rd_kafka_error_code(rd_kafka_TopicDescription_error(topics[0])) ? topics[0] : NULL;
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_TopicCollection_destroy(names);
    return event;
}

/* Whether we may read the input, or write an output. */
static void check_permission(rd_kafka_t *client, const char *step, const char *name, rd_kafka_AclOperation_t wanted, struct check_report *report)
{
    const rd_kafka_TopicDescription_t *topic;
    rd_kafka_event_t *event = describe_topic(client, name, &topic);
    size_t count = 0;
    const rd_kafka_AclOperation_t *operations = topic ? rd_kafka_TopicDescription_authorized_operations(topic, &count) : NULL;
    if (operations && !has_operation(operations, count, wanted))
        check_say(report, CHECK_FAILED, step, "topic %s: no permission to %s it; allow the operation %s", name, wanted == RD_KAFKA_ACL_OPERATION_READ ? "read" : "write",
                  rd_kafka_AclOperation_name(wanted));
    if (event)
        rd_kafka_event_destroy(event);
}

/* false if the broker does not say. */
static bool setting_of(rd_kafka_t *client, const char *topic, struct topic_setting *setting)
{
    struct err err;
    return topic_read(cluster_of_command(client), topic, setting, 1, &err) == TOPIC_FOUND;
}

static bool setting_number(rd_kafka_t *client, const char *topic, const char *name, int64_t *value)
{
    struct topic_setting setting = {name, ""};
    char *end;
    if (!setting_of(client, topic, &setting))
        return false;
    *value = strtoll(setting.text, &end, 10);
    return end != setting.text && !*end;
}

/* The windows need W + L of the log to be there when state is rebuilt. */
static void check_retention(rd_kafka_t *client, const struct config *config, struct check_report *report)
{
    const char *topic = config->input.topic, *step = "input.topic";
    int64_t needed = config->spec->longest_window_ms + config->spec->lateness_ms, retention, bytes;
    struct topic_setting policy = {"cleanup.policy", ""};
    if (setting_of(client, topic, &policy) && strstr(policy.text, "compact"))
        check_say(report, CHECK_FAILED, step, "topic %s: cleanup.policy is %s: compaction removes events that windows need; set it to delete", topic, policy.text);
    if (!setting_number(client, topic, "retention.ms", &retention))
        check_say(report, CHECK_WARNING, step, "topic %s: the broker does not say retention.ms; it must be at least %" PRId64, topic, needed);
    else if (retention != -1 && retention < needed)
        check_say(report, CHECK_FAILED, step, "topic %s: retention.ms is %" PRId64 ", but the windows and lateness of %s need %" PRId64 "; raise it", topic, retention,
                  config->features, needed);
    else
        check_say(report, CHECK_OK, step, "topic %s: retention.ms is %" PRId64 ", the windows and lateness need %" PRId64, topic, retention, needed);
    if (setting_number(client, topic, "retention.bytes", &bytes) && bytes != -1)
        check_say(report, CHECK_WARNING, step, "topic %s: retention.bytes is %" PRId64 ": events may go before %" PRId64 " ms have passed", topic, bytes, needed);
}

/* A record's timestamp is what `future` is measured against: nothing but the topic guards it. */
static void check_clock(rd_kafka_t *client, const struct config *config, struct check_report *report)
{
    const char *topic = config->input.topic;
    struct topic_setting type = {"message.timestamp.type", ""};
    int64_t ahead;
    if (setting_of(client, topic, &type) && !strcmp(type.text, "LogAppendTime"))
        return;
    if (!setting_number(client, topic, "message.timestamp.after.max.ms", &ahead))
        check_say(report, CHECK_WARNING, "input.topic", "topic %s: the broker does not say message.timestamp.after.max.ms; timestamps of the far future may be accepted", topic);
    else if (ahead > INT64_C(86400000))
        check_say(report, CHECK_WARNING, "input.topic",
                  "topic %s: message.timestamp.after.max.ms is %" PRId64 ": one record with a timestamp of the far future moves the stream time on and makes all others late; set it to 3600000 or less",
                  topic, ahead);
    else
        check_say(report, CHECK_OK, "input.topic", "topic %s: message.timestamp.after.max.ms is %" PRId64, topic, ahead);
}

static void check_output(rd_kafka_t *client, const char *setting, const char *topic, int32_t inputs, struct check_report *report)
{
    char step[64];
    int32_t partitions;
    struct err err;
    snprintf(step, sizeof step, "outputs.%s", setting);
    if (topic_partitions(cluster_of_command(client), topic, &partitions, &err) < 0) {
        check_say(report, CHECK_FAILED, step, "%s", err.msg);
        return;
    }
    if (partitions < inputs)
        check_say(report, CHECK_WARNING, step, "topic %s: %d partitions, the input has %d: records go by the hash of their key; order per entity holds, partition numbers do not", topic,
                  partitions, inputs);
    else
        check_say(report, CHECK_OK, step, "topic %s, partitions: %d", topic, partitions);
    check_permission(client, step, topic, RD_KAFKA_ACL_OPERATION_WRITE, report);
}

static void check_changelog(rd_kafka_t *client, const struct config *config, int32_t inputs, struct check_report *report)
{
    struct changelog_topic topic;
    struct err err;
    char name[TOPIC_NAME_MAX];
    int32_t partitions;
    changelog_name(config, name);
    if (topic_partitions(cluster_of_command(client), name, &partitions, &err) < 0) {
        check_say(report, CHECK_OK, "state", "topic %s: not there yet; `run` creates it, or do so with %d partitions, cleanup.policy=compact and min.compaction.lag.ms=%d", name, inputs,
                  MIN_COMPACTION_LAG_MS);
        return;
    }
    if (changelog_describe(cluster_of_command(client), config, inputs, MISSING_IS_AN_ERROR, &topic, &err) < 0)
        check_say(report, CHECK_FAILED, "state", "%s", err.msg);
    else
        check_say(report, CHECK_OK, "state", "topic %s, partitions: %d, compacted", name, topic.partitions);
    check_permission(client, "state", name, RD_KAFKA_ACL_OPERATION_READ, report);
    check_permission(client, "state", name, RD_KAFKA_ACL_OPERATION_WRITE, report);
}

/* Labels find the predictions that they belong to as long as the horizon only if the topics keep them. */
static void check_labels(rd_kafka_t *client, const struct config *config, struct check_report *report)
{
    const char *step = "monitor.label_topic", *topic = config->monitor.label_topic;
    int64_t needed = config->monitor.label_horizon_ms + config->monitor.label_window_ms, retention;
    int32_t partitions;
    struct err err;
    if (topic_partitions(cluster_of_command(client), topic, &partitions, &err) < 0) {
        check_say(report, CHECK_FAILED, step, "%s", err.msg);
        return;
    }
    check_say(report, CHECK_OK, step, "topic %s, partitions: %d", topic, partitions);
    check_permission(client, step, topic, RD_KAFKA_ACL_OPERATION_READ, report);
    check_permission(client, step, config->outputs.predictions, RD_KAFKA_ACL_OPERATION_READ, report);
    if (setting_number(client, config->outputs.predictions, "retention.ms", &retention) && retention != -1 && retention < needed)
        check_say(report, CHECK_WARNING, step, "topic %s: retention.ms is %" PRId64 ", but labels are joined to predictions for %" PRId64 " (label_horizon and label_window); after a restart older ones are missing", config->outputs.predictions, retention, needed);
}

static void check_topics(rd_kafka_t *client, const struct config *config, struct check_report *report)
{
    int32_t inputs;
    struct err err;
    if (topic_partitions(cluster_of_command(client), config->input.topic, &inputs, &err) < 0) {
        check_say(report, CHECK_FAILED, "input.topic", "%s", err.msg);
        inputs = 0;
    } else {
        check_say(report, CHECK_OK, "input.topic", "topic %s, partitions: %d", config->input.topic, inputs);
        check_permission(client, "input.topic", config->input.topic, RD_KAFKA_ACL_OPERATION_READ, report);
        check_retention(client, config, report);
        check_clock(client, config, report);
    }
    check_output(client, "predictions", config->outputs.predictions, inputs, report);
    if (config->models.shadow_count)
        check_output(client, "shadows", config->outputs.shadows, inputs, report);
    check_output(client, "dead_letters", config->outputs.dead_letters, inputs, report);
    check_output(client, "monitoring", config->outputs.monitoring, 0, report);
    if (config->monitor.label_topic)
        check_labels(client, config, report);
    if (inputs)
        check_changelog(client, config, inputs, report);
}

/* --- the group and transactions --- */

static void check_group(rd_kafka_t *client, const struct config *config, struct check_report *report)
{
    const char *group = kafka_group_id(config);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_AdminOptions_set_request_timeout(options, ASK_TIMEOUT_MS, NULL, 0);
    rd_kafka_error_destroy(rd_kafka_AdminOptions_set_include_authorized_operations(options, 1));
    rd_kafka_DescribeConsumerGroups(client, (const char *[]){group}, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ASK_TIMEOUT_MS + 1000);
    size_t count = 0, operation_count = 0;
    const rd_kafka_ConsumerGroupDescription_t **groups =
        event && !rd_kafka_event_error(event)
            ? rd_kafka_DescribeConsumerGroups_result_groups(rd_kafka_event_DescribeConsumerGroups_result(event), &count)
            : NULL;
    rd_kafka_resp_err_t code = count == 1 ? rd_kafka_error_code(rd_kafka_ConsumerGroupDescription_error(groups[0])) : RD_KAFKA_RESP_ERR_NO_ERROR;
    const rd_kafka_AclOperation_t *operations = count == 1 && !code ? rd_kafka_ConsumerGroupDescription_authorized_operations(groups[0], &operation_count) : NULL;
    bool forbidden = code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED || (operations && !has_operation(operations, operation_count, RD_KAFKA_ACL_OPERATION_READ));
    if (forbidden)
        check_say(report, CHECK_FAILED, "app_id", "group %s: no permission to read it; allow the operation READ on it", group);
    else if (count == 1 && !code && rd_kafka_ConsumerGroupDescription_state(groups[0]) != RD_KAFKA_CONSUMER_GROUP_STATE_DEAD)
        check_say(report, CHECK_OK, "app_id", "group %s: %s, members: %zu", group, rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupDescription_state(groups[0])),
                  rd_kafka_ConsumerGroupDescription_member_count(groups[0]));
    else
        check_say(report, CHECK_OK, "app_id", "group %s: not there yet; input.start holds", group);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
}

/* Opening a transactional id is the only way to learn whether it is allowed; no worker uses this one. */
static void check_transactions(const struct config *config, struct failure_note *note, struct check_report *report)
{
    char id[256];
    rd_kafka_t *producer;
    struct err err;
    if (config->delivery != DELIVERY_EXACTLY_ONCE)
        return;
    snprintf(id, sizeof id, "%s-check", config->app_id);
    if (kafka_producer(config, id, NULL, NULL, &producer, &err) < 0 || keep_notes(&producer, note, &err) < 0) {
        check_say(report, CHECK_FAILED, "delivery", "%s", err.msg);
        return;
    }
    rd_kafka_error_t *error = rd_kafka_init_transactions(producer, ASK_TIMEOUT_MS);
    if (error) {
        kafka_take_error(error, "transactions", &err);
        check_say(report, CHECK_FAILED, "delivery", "%s; exactly_once needs WRITE and DESCRIBE on transactional ids that begin with %s-, or set delivery: at_least_once", err.msg,
                  config->app_id);
    } else {
        check_say(report, CHECK_OK, "delivery", "transactions are allowed (id %s)", id);
    }
    rd_kafka_destroy(producer);
}

static bool check_brokers(rd_kafka_t *client, struct failure_note *note, struct check_report *report)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code = rd_kafka_metadata(client, 0, NULL, &metadata, ASK_TIMEOUT_MS);
    if (code) {
        pthread_mutex_lock(&note->lock);
        check_say(report, CHECK_FAILED, "kafka", "no broker answers: %s; is bootstrap.servers right and reachable from here?", *note->text ? note->text : rd_kafka_err2str(code));
        pthread_mutex_unlock(&note->lock);
        return false;
    }
    check_say(report, CHECK_OK, "kafka", "%d broker%s", metadata->broker_cnt, metadata->broker_cnt == 1 ? "" : "s");
    rd_kafka_metadata_destroy(metadata);
    return true;
}

void check_kafka(const struct config *config, struct check_report *report)
{
    rd_kafka_t *client;
    struct err err;
    struct failure_note note = {.lock = PTHREAD_MUTEX_INITIALIZER};
    if (kafka_plain_consumer(config, &client, &err) < 0 || keep_notes(&client, &note, &err) < 0) {
        check_say(report, CHECK_FAILED, "kafka", "%s", err.msg);
        return;
    }
    if (check_brokers(client, &note, report)) {
        check_topics(client, config, report);
        check_group(client, config, report);
        check_transactions(config, &note, report);
    }
    rd_kafka_destroy(client);
}
