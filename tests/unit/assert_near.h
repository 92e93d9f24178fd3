/* Doubles that should be equal to within a tolerance (0: the same number). */
#pragma once
#include <math.h>

#define assert_near(found, wanted, tolerance)                                                                              \
    do {                                                                                                                   \
        double found_ = (found), wanted_ = (wanted);                                                                       \
        if (!(fabs(found_ - wanted_) <= (tolerance)))                                                                      \
            fail_msg("%s is %.17g, not %.17g", #found, found_, wanted_);                                                   \
    } while (0)
