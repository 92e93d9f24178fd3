#include "consumer/model_info.h"

#include <string.h>

#include "consumer/hash.h"
#include "monitor/exposition.h"

static void expose_model(const char *role, const struct deployed_model *model, struct text_buffer *text)
{
    char hex[65];
    if (!model->id)
        return;
    sha256_hex(model->sha256, hex);
    struct label labels[] = {{"model_version", model->id}, {"role", role}, {"engine", model_engine(model->model)}, {"sha256", hex}};
    exposition_sample_integer(text, "ml_model_info", labels, 4, 1);
}

void model_info_expose(const struct deployment *d, const struct feature_spec *spec, struct text_buffer *text)
{
    uint8_t digest[32];
    char hex[65];
    exposition_family(text, "ml_model_info", EXPOSITION_GAUGE, "The models of the deployment in force; always 1.");
    expose_model("champion", &d->champion, text);
    expose_model("canary", &d->canary, text);
    expose_model("fallback", &d->fallback, text);
    for (size_t i = 0; i < d->shadow_count; i++)
        expose_model("shadow", &d->shadows[i], text);
    sha256(spec->canonical, strlen(spec->canonical), digest);
    sha256_hex(digest, hex);
    exposition_family(text, "ml_feature_spec_info", EXPOSITION_GAUGE, "The feature file in force, by its hash; always 1.");
    exposition_sample_integer(text, "ml_feature_spec_info", &(struct label){"sha256", hex}, 1, 1);
}
