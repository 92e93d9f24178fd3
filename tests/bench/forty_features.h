/* The feature file that benchmarks take: 40 columns over five windows of a minute to a week. */
#pragma once
#include "tests/unit/feature_file.h"

#define ALL "1m 5m 1h 24h 7d"

static const struct entry entries[] = {
    {.name = "amount", .op = OP_VALUE, .field = "amount_minor", .scale = 0.01},
    {.name = "mcc", .op = OP_VALUE, .field = "mcc"},
    {.name = "entry_mode", .op = OP_VALUE, .field = "pos_entry_mode"},
    {.name = "channel", .op = OP_CODE, .field = "channel", .values = "POS ECOM ATM MOTO"},
    {.name = "currency", .op = OP_CODE, .field = "currency", .values = "EUR USD GBP JPY CHF"},
    {.name = "hour", .op = OP_HOUR_OF_DAY},
    {.name = "weekday", .op = OP_DAY_OF_WEEK},
    {.name = "since_last", .op = OP_SINCE_LAST},
    {.name = "txn_count", .op = OP_COUNT, .windows = ALL},
    {.name = "amount_sum", .op = OP_SUM, .field = "amount_minor", .windows = ALL, .scale = 0.01},
    {.name = "amount_mean", .op = OP_MEAN, .field = "amount_minor", .windows = ALL, .scale = 0.01},
    {.name = "amount_max", .op = OP_MAX, .field = "amount_minor", .windows = ALL, .scale = 0.01},
    {.name = "merchants", .op = OP_DISTINCT, .field = "merchant_id", .windows = ALL},
    {.name = "declines", .op = OP_COUNT, .windows = ALL, .where = "response_code", .not_in = "'00'"},
    {.name = "amount_z", .op = OP_ZSCORE, .field = "amount_minor", .windows = "24h 7d"},
};
