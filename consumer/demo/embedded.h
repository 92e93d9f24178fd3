/* The texts of features.yaml and weir.yaml here, embedded by the build. */
#pragma once

extern const char demo_features[], demo_weir[];
