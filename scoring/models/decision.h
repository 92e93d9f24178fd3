/* From a score to a decision. */
#pragma once

enum decision { DECISION_APPROVE, DECISION_REVIEW, DECISION_DECLINE, DECISION_COUNT };
enum confidence { CONFIDENCE_NORMAL, CONFIDENCE_DEGRADED, CONFIDENCE_NONE };
enum role { ROLE_CHAMPION, ROLE_CANARY, ROLE_FALLBACK };

struct thresholds {
    double review, decline;
};

/* The float32 score widened to double: >= decline DECLINE, else >= review REVIEW, else APPROVE. */
static inline enum decision decide(struct thresholds t, float score)
{
    return (double)score >= t.decline ? DECISION_DECLINE : (double)score >= t.review ? DECISION_REVIEW : DECISION_APPROVE;
}

static inline const char *decision_name(enum decision d)
{
    return (const char *const[]){"APPROVE", "REVIEW", "DECLINE"}[d];
}
