/* The texts of schemas/<name>.avsc, embedded by the build. */
#pragma once

extern const char schema_prediction[], schema_shadow[], schema_report[], schema_dead_letter[], schema_transaction[], schema_label[],
    schema_changelog[];
extern const char schema_sketch[];
