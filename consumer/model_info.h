/* What serves and by what features, as Prometheus information: families whose value is always 1. */
#pragma once
#include "consumer/deployment.h"
#include "monitor/text_buffer.h"

void model_info_expose(const struct deployment *deployment, const struct feature_spec *spec, struct text_buffer *text);
