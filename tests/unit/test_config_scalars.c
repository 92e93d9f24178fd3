/* Durations, sizes and times as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "consumer/config/config.h"

#define REFUSED INT64_MIN

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool sign;
        int64_t ms;
    } cases[] = {
        {"500ms", false, 500},
        {"30s", false, 30000},
        {"5m", false, 300000},
        {"24h", false, 86400000},
        {"7d", false, 604800000},
        {"0s", false, 0},
        {"007s", false, 7000},
        {"-5h", true, -18000000},
        {"+5h", true, 18000000},
        {"9223372036854775807ms", false, INT64_MAX},
        {"9223372036854775808ms", false, REFUSED},
        {"106751991167d", false, 9223372036828800000},
        {"106751991168d", false, REFUSED},
        {"99999999999999999999d", false, REFUSED},
        {"-5h", false, REFUSED},
        {"+5h", false, REFUSED},
        {"--5h", true, REFUSED},
        {"", false, REFUSED},
        {"-", true, REFUSED},
        {"5", false, REFUSED},
        {"s", false, REFUSED},
        {"1.5h", false, REFUSED},
        {"5 m", false, REFUSED},
        {" 5m", false, REFUSED},
        {"5m ", false, REFUSED},
        {"5M", false, REFUSED},
        {"5min", false, REFUSED},
        {"1h30m", false, REFUSED},
        {"1w", false, REFUSED},
        {"0x5s", false, REFUSED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ms = REFUSED;
        duration_parse(cases[i].text, cases[i].sign, &ms);
        if (ms != cases[i].ms)
            fail_msg("'%s': %lld, not %lld", cases[i].text, (long long)ms, (long long)cases[i].ms);
    }
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {
        {"0", 0}, {"4096", 4096}, {"512KiB", 524288}, {"1MiB", 1048576}, {"1GiB", 1073741824}, {"8589934591GiB", 9223372035781033984},
        {"8589934592GiB", REFUSED}, {"1MB", REFUSED}, {"1M", REFUSED}, {"1 MiB", REFUSED}, {"-1", REFUSED}, {"1.5MiB", REFUSED}, {"", REFUSED}, {"MiB", REFUSED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t bytes = REFUSED;
        size_parse(cases[i].text, &bytes);
        if (bytes != cases[i].bytes)
            fail_msg("'%s': %lld, not %lld", cases[i].text, (long long)bytes, (long long)cases[i].bytes);
    }
}

static void times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"1970-01-01", 0},
        {"1970-01-01T00:00:00Z", 0},
        {"2000-02-29", 951782400000},
        {"2024-02-29T23:59:59.999Z", 1709251199999},
        {"2026-01-31", 1769817600000},
        {"2026-01-31T12:00:00Z", 1769860800000},
        {"2026-01-31T12:00:00", 1769860800000},
        {"2026-01-31T12:00Z", 1769860800000},
        {"2026-01-31T14:00:00+02:00", 1769860800000},
        {"2026-01-31T06:30:00-0530", 1769860800000},
        {"2026-01-31T12:00:00.5Z", 1769860800500},
        {"2026-01-31T12:00:00.123999Z", 1769860800123},
        {"9999-12-31T23:59:59.999Z", 253402300799999},
        {"1900-02-29", REFUSED},
        {"2023-02-29", REFUSED},
        {"2100-02-29", REFUSED},
        {"1969-12-31", REFUSED},
        {"1970-01-01T00:00:00+01:00", REFUSED},
        {"2026-13-01", REFUSED},
        {"2026-00-01", REFUSED},
        {"2026-04-31", REFUSED},
        {"2026-01-00", REFUSED},
        {"2026-1-31", REFUSED},
        {"20260131", REFUSED},
        {"2026-01-31T24:00:00Z", REFUSED},
        {"2026-01-31T12:60:00Z", REFUSED},
        {"2026-01-31T12:00:60Z", REFUSED},
        {"2026-01-31T12:00.5Z", REFUSED},
        {"2026-01-31T12:00:00.Z", REFUSED},
        {"2026-01-31T12:00:00.1234567890Z", REFUSED},
        {"2026-01-31T12", REFUSED},
        {"2026-01-31T", REFUSED},
        {"2026-01-31 12:00:00", REFUSED},
        {"2026-01-31Z", REFUSED},
        {"2026-01-31T12:00:00Zx", REFUSED},
        {"2026-01-31T12:00:00+2", REFUSED},
        {"2026-01-31T12:00:00+24:00", REFUSED},
        {"yesterday", REFUSED},
        {"", REFUSED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ms = REFUSED;
        time_parse(cases[i].text, &ms);
        if (ms != cases[i].ms)
            fail_msg("'%s': %lld, not %lld", cases[i].text, (long long)ms, (long long)cases[i].ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(durations), cmocka_unit_test(sizes), cmocka_unit_test(times)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
