/* The part of `weir check` that asks the brokers. */
#pragma once
#include "consumer/commands/check_report.h"
#include "consumer/config/config.h"

/* Brokers, the group's and topics' permissions, topics and their partition counts, retention, clocks, transactions.
 * Changes nothing but that it opens and closes a transactional id of its own, <app_id>-check. */
void check_kafka(const struct config *config, struct check_report *report);
/* The schema registry or directory; registers nothing. */
void check_schemas(const struct config *config, struct check_report *report);
