/* The places and trades that synthetic cards know. */
#pragma once
#include <stdint.h>

struct country {
    const char *code, *currency;
    int16_t lat_1e2, lon_1e2;    /* centre, hundredths of a degree */
    int16_t spread_1e2;          /* merchants lie within this of it */
    int8_t utc_offset_h;
    uint8_t ip_first;
    uint16_t cards, visits;      /* weights: as a home, as a destination */
};

struct trade {
    int mcc;
    uint16_t weight;
    uint16_t amount_percent;     /* of the card's typical amount */
    uint8_t online_percent;      /* of its payments are by e-commerce */
};

enum { COUNTRY_COUNT = 20, COUNTRY_NEW = 19 }; /* the last is unknown before the drift */
enum { TRADE_COUNT = 18, TRADE_CASH = 15, TRADE_JEWELLERY = 14, TRADE_ELECTRONICS = 6, TRADE_DIGITAL = 7, TRADE_QUASI_CASH = 17 };

extern const struct country world_countries[COUNTRY_COUNT];
extern const struct trade world_trades[TRADE_COUNT];
/* Payments by hour of the day (UTC), relative. */
extern const uint8_t world_hours[24];
/* By day of the week, Monday first, relative. */
extern const uint8_t world_days[7];
