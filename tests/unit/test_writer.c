/* The writer's two transactions: what is sent, in which order, and what an error, a lost partition or a doubt leads to. */
#include <stdlib.h>

#include "tests/unit/writer_stage.h"

static int exactly_once(void **state)
{
    (void)state;
    stage_set(DELIVERY_EXACTLY_ONCE);
    return 0;
}

static int at_least_once(void **state)
{
    (void)state;
    stage_set(DELIVERY_AT_LEAST_ONCE);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    stage_clear();
    return 0;
}

/* ---- how it goes when nothing goes wrong ---- */

static void a_transaction_is_sent_flushed_and_committed_with_its_offsets(void **state)
{
    (void)state;
    add(0, "x", 5);
    add(1, "y", 7);
    assert_script("a:begin a:x a:y");
    assert_int_equal(writer_sequence(stage.writer), 1);
    writer_end(stage.writer);
    assert_int_equal(writer_sequence(stage.writer), 2);
    settle();
    assert_script("a:flush serve group a:offsets(0=5,1=7) a:commit");
    assert_string_equal(stage.told, "1:0=5 1:1=7 ");
    assert_int_equal(writer_committed(stage.writer), 1);
}

/* Rule 3: nothing of the later one before all of the former is acknowledged; then at once, beside its end. */
static void the_next_one_sends_when_the_former_is_acknowledged_and_before_it_is_committed(void **state)
{
    (void)state;
    add(0, "x", 5);
    writer_end(stage.writer);
    turn();
    add(0, "y", 6);
    assert_script("a:begin a:x");
    let_it_run(); /* the flush */
    turn();
    assert_script("a:flush serve group b:begin b:y");
    let_it_run();
    turn();
    assert_script("a:offsets(0=5) a:commit");
}

/* Rule 3: the broker orders offsets by when they were sent. */
static void the_next_one_cannot_end_before_the_former_is_committed(void **state)
{
    (void)state;
    add(0, "x", 5);
    writer_end(stage.writer);
    turn();
    let_it_run();
    turn();
    add(0, "y", 6);
    assert_false(writer_may_end(stage.writer)); /* the commit is under way */
    let_it_run();
    turn();
    assert_true(writer_may_end(stage.writer));
    writer_end(stage.writer);
    settle();
    assert_script("a:begin a:x a:flush serve group b:begin b:y a:offsets(0=5) a:commit b:flush serve group b:offsets(0=6) b:commit");
    assert_string_equal(stage.told, "1:0=5 2:0=6 ");
}

/* Rule 2. */
static void offsets_without_records_are_a_transaction_too(void **state)
{
    (void)state;
    writer_cover(stage.writer, (struct writer_part){.partition = 3, .next_offset = 9, .metadata = {.stream_time = TIME_UNKNOWN, .history_start = TIME_UNKNOWN}});
    writer_end(stage.writer);
    settle();
    assert_script("a:flush serve group a:begin a:offsets(3=9) a:commit");
}

static void what_has_no_offset_is_no_whole_transaction(void **state)
{
    (void)state;
    struct transaction t;
    struct carrier c = {.id = "a"};
    transaction_init(&t, &c);
    transaction_add(&t, (struct outbox_record){.source = 4, .topic = "out"}, -1);
    assert_false(transaction_is_whole(&t));
    transaction_cover(&t, (struct writer_part){.partition = 4, .next_offset = 0});
    assert_true(transaction_is_whole(&t));
    transaction_finish(&t);
}

/* ---- errors ---- */

static void an_abort_takes_back_both_and_sends_them_again_in_order(void **state)
{
    (void)state;
    add(0, "x", 5);
    writer_end(stage.writer);
    turn();
    let_it_run();
    turn();
    add(0, "y", 6); /* the next one is under way already */
    stage.script[0] = 0;
    answer("a:offsets", REMEDY_ABORT);
    settle();
    assert_script("a:offsets(0=5) b:abort a:abort a:begin a:x a:flush serve group b:begin b:y a:offsets(0=5) a:commit");
}

/* Rule 4: a retriable error of the commit is answered by the commit alone. */
static void a_commit_that_times_out_is_called_again(void **state)
{
    (void)state;
    add(0, "x", 5);
    writer_end(stage.writer);
    answer("a:commit", REMEDY_RETRY);
    settle();
    assert_script("a:begin a:x a:flush serve group a:offsets(0=5) a:commit a:commit");
}

/* Rule 4: after any other the broker is asked, and what it has is not sent again. */
static void a_commit_in_doubt_that_had_worked_is_not_sent_again(void **state)
{
    (void)state;
    add(0, "x", 5);
    writer_end(stage.writer);
    turn();
    let_it_run();
    turn();
    add(0, "y", 6);
    stage.script[0] = 0;
    answer("a:commit", REMEDY_RECREATE);
    stage.broker_offset[0] = 5;
    settle();
    assert_script("a:offsets(0=5) a:commit b:abort a:renew look-up b:begin b:y");
    assert_string_equal(stage.told, "1:0=5 ");
    assert_int_equal(writer_committed(stage.writer), 1);
}

static void a_commit_in_doubt_that_had_not_worked_is_sent_again_before_the_next(void **state)
{
    (void)state;
    add(0, "x", 5);
    writer_end(stage.writer);
    turn();
    let_it_run();
    turn();
    add(0, "y", 6);
    stage.script[0] = 0;
    answer("a:commit", REMEDY_RECREATE);
    stage.broker_offset[0] = 4;
    settle();
    assert_script("a:offsets(0=5) a:commit b:abort a:renew look-up a:begin a:x a:flush serve group b:begin b:y a:offsets(0=5) a:commit");
}

/* Its offset was there before: it does not say that the transaction was committed. */
static void a_doubt_is_not_settled_by_an_offset_that_did_not_move(void **state)
{
    (void)state;
    add_unmoved(1, "k", 7);
    writer_end(stage.writer);
    answer("a:commit", REMEDY_RECREATE);
    stage.broker_offset[1] = 7;
    settle();
    assert_script("a:begin a:k a:flush serve group a:offsets(1=7) a:commit a:renew look-up a:begin a:k a:flush serve group a:offsets(1=7) a:commit");
    assert_string_equal(stage.told, "1:1=7 ");
}

/* A commit in doubt of partition 0, of which the broker has an offset, and of partition 1, which stood still. */
static void doubt_with_the_broker_at(int64_t there)
{
    add_unmoved(1, "k", 7);
    add(0, "x", 5);
    add_unmoved(0, "m", 5); /* of one that moved in this transaction */
    stage.script[0] = 0;
    writer_end(stage.writer);
    answer("a:commit", REMEDY_RECREATE);
    stage.broker_offset[0] = there;
    stage.broker_offset[1] = 7;
    settle();
}

static void what_did_not_move_is_committed_with_what_did(void **state)
{
    (void)state;
    doubt_with_the_broker_at(5);
    assert_script("a:flush serve group a:offsets(1=7,0=5) a:commit a:renew look-up");
}

static void what_did_not_move_is_sent_again_with_what_did(void **state)
{
    (void)state;
    doubt_with_the_broker_at(4);
    assert_script("a:flush serve group a:offsets(1=7,0=5) a:commit a:renew look-up a:begin a:k a:x a:m a:flush serve group a:offsets(1=7,0=5) a:commit");
}

/* The look-up fails: it is done again, and nothing is sent on a guess. */
static void a_doubt_lasts_until_the_broker_has_answered(void **state)
{
    (void)state;
    add(0, "x", 5);
    writer_end(stage.writer);
    answer("a:commit", REMEDY_RECREATE);
    answer("p:look-up", REMEDY_RETRY);
    stage.broker_offset[0] = 5;
    settle();
    assert_script("a:begin a:x a:flush serve group a:offsets(0=5) a:commit a:renew look-up a:renew look-up");
    assert_string_equal(stage.told, "1:0=5 ");
}

/* Rule 5. */
static void nothing_is_sent_without_a_generation_or_while_rejoining(void **state)
{
    (void)state;
    add(0, "x", 5);
    writer_end(stage.writer);
    stage.membership = MEMBER_WAIT;
    turn();
    let_it_run();
    turn();
    assert_script("a:begin a:x a:flush serve");
    stage.membership = MEMBER_OK;
    stage.no_generation = true;
    struct err err = {0};
    assert_int_equal(writer_settle(stage.writer, 0, &err), 1);
    stage.no_generation = false;
    stage.script[0] = 0;
    settle();
    assert_script("serve group a:offsets(0=5) a:commit");
}

static void an_old_generation_is_answered_with_new_metadata_and_what_is_still_ours(void **state)
{
    (void)state;
    add(0, "x", 5);
    add(1, "y", 7);
    writer_end(stage.writer);
    turn();
    let_it_run();
    turn();
    stage.script[0] = 0;
    answer("a:offsets", REMEDY_REFRESH);
    let_it_run();
    stage.drop_when_served = 1; /* gone in the meantime */
    settle();
    assert_script("a:offsets(0=5,1=7) a:abort a:begin a:x a:y a:flush serve a:abort a:begin a:x a:flush serve group a:offsets(0=5) a:commit");
    assert_string_equal(stage.told, "1:0=5 ");
}

static void an_error_that_nothing_mends_ends_the_process(void **state)
{
    (void)state;
    add(0, "x", 5);
    writer_end(stage.writer);
    answer("a:commit", REMEDY_STOP);
    struct err err = {0};
    assert_int_equal(writer_settle(stage.writer, 1000, &err), -1);
    assert_string_equal(err.msg, "cannot commit: a:commit was refused");
}

static void a_producer_that_cannot_abort_is_made_anew(void **state)
{
    (void)state;
    add(0, "x", 5);
    writer_end(stage.writer);
    answer("a:flush", REMEDY_ABORT);
    answer("a:abort", REMEDY_RECREATE);
    settle();
    assert_script("a:begin a:x a:flush a:abort a:renew a:begin a:x a:flush serve group a:offsets(0=5) a:commit");
}

/* ---- partitions that go ---- */

static void a_partition_lost_takes_its_records_out_of_both(void **state)
{
    (void)state;
    add(0, "x", 5);
    add(1, "y", 7);
    writer_end(stage.writer);
    turn();
    add(1, "z", 8); /* waits in the arena: the former is being flushed */
    stage.script[0] = 0;
    writer_drop(stage.writer, 1);
    settle();
    assert_script("a:flush a:abort a:begin a:x a:flush serve group a:offsets(0=5) a:commit");
    assert_false(writer_has_work(stage.writer));
    assert_string_equal(stage.told, "1:0=5 ");
}

static void when_all_is_lost_what_was_sent_is_aborted_and_nothing_committed(void **state)
{
    (void)state;
    add(0, "x", 5);
    writer_drop(stage.writer, 0);
    turn();
    settle();
    assert_script("a:begin a:x a:abort");
    assert_false(writer_has_work(stage.writer));
    assert_string_equal(stage.told, "");
}

/* The broker decides by the metadata that it was given; a partition lost meanwhile is not reported. */
static void a_commit_under_way_is_not_stopped_by_a_loss(void **state)
{
    (void)state;
    add(0, "x", 5);
    add(1, "y", 7);
    writer_end(stage.writer);
    turn();
    let_it_run();
    turn();
    stage.script[0] = 0;
    writer_drop(stage.writer, 0);
    settle();
    assert_script("a:offsets(0=5,1=7) a:commit");
    assert_string_equal(stage.told, "1:1=7 ");
}

/* ---- limits ---- */

static void a_full_producer_holds_records_in_the_arena(void **state)
{
    (void)state;
    answer("a:send", REMEDY_RETRY);
    add(0, "x", 5);
    assert_script("a:begin");
    add(0, "y", 6);
    assert_script("a:x a:y");
}

static void an_arena_says_when_it_is_full(void **state)
{
    (void)state;
    struct err err = {0};
    char *value = calloc(1, 1 << 20);
    assert_non_null(value);
    for (int i = 0; i < WRITER_BYTES_MAX >> 20; i++) {
        assert_false(writer_is_full(stage.writer));
        assert_int_equal(writer_add(stage.writer, (struct outbox_record){.source = 0, .topic = "out", .key = "k", .key_size = 1, .value = value, .value_size = 1 << 20}, -1, &err), 0);
    }
    assert_true(writer_is_full(stage.writer));
    free(value);
}

/* ---- at least once ---- */

static void at_least_once_offsets_follow_what_is_acknowledged(void **state)
{
    (void)state;
    add(0, "x", 5);
    writer_end(stage.writer);
    turn();
    add(0, "y", 6); /* waits: one producer, and what is acknowledged must be known */
    assert_script("p:x");
    let_it_run();
    turn();
    assert_script("p:flush serve p:y");
    settle();
    assert_script("p:offsets(0=5)");
    assert_string_equal(stage.told, "1:0=5 ");
}

static void at_least_once_a_refused_record_holds_its_offset_back(void **state)
{
    (void)state;
    add(0, "x", 5);
    writer_end(stage.writer);
    answer("p:flush", REMEDY_ABORT);
    answer("p:offsets", REMEDY_REFRESH);
    settle();
    assert_script("p:x p:flush p:x p:flush serve p:offsets(0=5) serve p:offsets(0=5)");
}

/* The producer reads records in place: nobody is left to commit for, and still they lie there until it is through. */
static void at_least_once_what_was_sent_is_kept_until_it_is_acknowledged(void **state)
{
    (void)state;
    add(0, "x", 5);
    answer("p:send", REMEDY_RETRY);
    add(0, "y", 6);
    writer_end(stage.writer);
    answer("p:send", REMEDY_ABORT);
    turn();
    writer_drop(stage.writer, 0);
    settle();
    assert_script("p:x p:flush");
    assert_string_equal(stage.told, "");
}

#define TEST(delivery, f) cmocka_unit_test_setup_teardown(f, delivery, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(exactly_once, a_transaction_is_sent_flushed_and_committed_with_its_offsets),
        TEST(exactly_once, the_next_one_sends_when_the_former_is_acknowledged_and_before_it_is_committed),
        TEST(exactly_once, the_next_one_cannot_end_before_the_former_is_committed),
        TEST(exactly_once, offsets_without_records_are_a_transaction_too),
        cmocka_unit_test(what_has_no_offset_is_no_whole_transaction),
        TEST(exactly_once, an_abort_takes_back_both_and_sends_them_again_in_order),
        TEST(exactly_once, a_commit_that_times_out_is_called_again),
        TEST(exactly_once, a_commit_in_doubt_that_had_worked_is_not_sent_again),
        TEST(exactly_once, a_commit_in_doubt_that_had_not_worked_is_sent_again_before_the_next),
        TEST(exactly_once, a_doubt_is_not_settled_by_an_offset_that_did_not_move),
        TEST(exactly_once, what_did_not_move_is_committed_with_what_did),
        TEST(exactly_once, what_did_not_move_is_sent_again_with_what_did),
        TEST(exactly_once, a_doubt_lasts_until_the_broker_has_answered),
        TEST(exactly_once, nothing_is_sent_without_a_generation_or_while_rejoining),
        TEST(exactly_once, an_old_generation_is_answered_with_new_metadata_and_what_is_still_ours),
        TEST(exactly_once, an_error_that_nothing_mends_ends_the_process),
        TEST(exactly_once, a_producer_that_cannot_abort_is_made_anew),
        TEST(exactly_once, a_partition_lost_takes_its_records_out_of_both),
        TEST(exactly_once, when_all_is_lost_what_was_sent_is_aborted_and_nothing_committed),
        TEST(exactly_once, a_commit_under_way_is_not_stopped_by_a_loss),
        TEST(exactly_once, a_full_producer_holds_records_in_the_arena),
        TEST(exactly_once, an_arena_says_when_it_is_full),
        TEST(at_least_once, at_least_once_offsets_follow_what_is_acknowledged),
        TEST(at_least_once, at_least_once_a_refused_record_holds_its_offset_back),
        TEST(at_least_once, at_least_once_what_was_sent_is_kept_until_it_is_acknowledged),
    };
    return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
