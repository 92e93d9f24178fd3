/* Synthetic events and labels as Avro. */
#include "consumer/avro/encode.h"
#include "consumer/generate/traffic.h"

static void put_optional_text(struct buffer *out, const char *text)
{
    put_long(out, text && *text);
    if (text && *text)
        put_string(out, text);
}

static void put_optional_double(struct buffer *out, bool there, double value)
{
    put_long(out, there);
    if (there)
        put_double(out, value);
}

void put_transaction(struct buffer *out, const struct transaction *t)
{
    put_string(out, t->transaction_id);
    put_long(out, t->event_time_ms);
    put_string(out, t->card_token);
    put_string(out, t->account_id);
    put_long(out, t->amount_minor);
    put_string(out, t->currency);
    put_long(out, t->mcc);
    put_string(out, t->merchant_id);
    put_string(out, t->merchant_country);
    put_optional_double(out, t->has_location, t->lat);
    put_optional_double(out, t->has_location, t->lon);
    put_long(out, t->pos_entry_mode);
    put_long(out, t->channel);
    put_optional_text(out, t->device_id);
    put_optional_text(out, t->ip);
    put_string(out, t->response_code);
}

void put_label(struct buffer *out, const struct transaction *t)
{
    put_string(out, t->transaction_id);
    put_string(out, t->card_token);
    put_long(out, t->label);
    put_optional_text(out, t->fraud_type);
    put_long(out, t->reported_ms);
}
