#include "consumer/commands/check_report.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const names[] = {[CHECK_OK] = "ok", [CHECK_WARNING] = "warning", [CHECK_FAILED] = "failed", [CHECK_SKIPPED] = "skipped"};

void check_say(struct check_report *report, enum check_outcome outcome, const char *step, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    report->counts[outcome]++;
    if (report->json) {
        json_array_append_new(report->steps, json_pack("{s:s, s:s, s:s}", "step", step, "outcome", names[outcome], "text", text));
        return;
    }
    fflush(stdout);
    fprintf(outcome == CHECK_FAILED ? stderr : stdout, "%-8s %-24s %s\n", names[outcome], step, text);
}
