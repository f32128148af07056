//! What every adapter must do, as tests over the contracts. An adapter takes all of them on with one line for each
//! contract: the macros make a test of every function, each with a store of its own.
//!
//! ```text
//! yado_store::conformance::events!(open_events("sqlite::memory:", &Options::default()).await.unwrap());
//! ```

#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "every function is a test, and its name is the sentence it proves"
)]

mod aggregate;
pub mod answers;
mod append;
mod claims;
mod each;
pub(crate) mod fixtures;
mod groups;
mod journal;
mod kinds;
mod log;
mod marks;
mod ordered;
mod parked;
mod random;
mod related;
mod repetition;
mod rows;
mod searching;
mod selection;
mod snapshots;
mod steps;
mod tables;
mod unique;
mod uses;

pub mod concurrency;

pub use aggregate::*;
pub use append::*;
pub use claims::*;
pub use each::*;
pub use fixtures::{counted, record, stream, tenant};
pub use groups::*;
pub use journal::*;
pub use kinds::*;
pub use log::*;
pub use marks::*;
pub use ordered::*;
pub use parked::*;
pub use random::*;
pub use related::*;
pub use repetition::*;
pub use rows::*;
pub use searching::*;
pub use selection::*;
pub use snapshots::*;
pub use steps::*;
pub use tables::*;
pub use unique::*;
pub use uses::*;

/// Makes a test of each function named, with a store that the expression opens.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($open:expr; $($name:ident)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                let store = $open;
                $crate::conformance::$name(&*store).await;
                store.close().await;
            }
        )+
    };
}

/// Holds an adapter to the contract of [`crate::EventStore`]. The expression opens an empty store.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_events {
    ($open:expr) => {
        $crate::conformance_tests! { $open;
            an_empty_batch_records_nothing
            what_is_appended_is_read_back_as_it_was
            a_payload_keeps_every_digit
            revisions_and_positions_are_counted_from_one
            an_append_that_expects_another_revision_loses
            a_losing_append_leaves_no_trace_and_its_batch_mates_commit
            two_appends_of_a_batch_go_to_one_stream_in_order
            what_is_built_on_a_losing_append_loses_with_it
            a_batch_of_many_events_goes_down_whole
            an_append_without_events_is_refused
            a_payload_that_is_no_json_is_refused_and_nothing_is_recorded
            streams_of_one_name_in_two_tenants_are_two
            a_stream_is_read_page_by_page
            the_log_is_read_page_by_page
            reading_beyond_the_end_gives_nothing
            a_page_over_the_limit_is_refused
            a_repeated_key_gets_the_first_answer
            a_key_used_twice_in_one_batch_counts_once
            keys_belong_to_their_tenant
            a_key_of_a_lost_request_is_free
            old_answers_are_forgotten
            a_value_is_held_by_one_stream
            a_value_can_be_let_go_and_taken_by_another
            a_value_passes_on_within_one_batch
            claims_of_a_losing_append_do_not_count
            claims_belong_to_their_tenant_and_constraint
            a_claim_over_the_limit_is_refused
            the_kinds_of_events_are_noted_with_their_first_positions
            claims_are_the_fold_of_the_log
            claims_of_a_long_log_are_folded_page_by_page
            a_large_event_ends_its_page
            an_expectation_ahead_of_the_log_loses_whoever_wrote_before
            many_old_answers_are_forgotten_piece_by_piece
            a_snapshot_is_kept_for_each_encoding
            an_older_snapshot_does_not_replace_a_newer_one
            a_snapshot_says_that_the_thing_is_gone
            snapshots_that_nobody_reads_any_more_are_forgotten
            many_snapshots_are_forgotten_piece_by_piece
            a_build_keeps_its_number
            builds_are_listed_latest_first
            the_database_answers
        }
    };
}

/// Holds an adapter to the contract of [`crate::ReadStore`]. The expression opens an empty store.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_reads {
    ($open:expr) => {
        $crate::conformance_tests! { $open;
            a_table_is_made_once_and_listed
            a_table_with_other_columns_is_told_from_the_one_meant
            a_dropped_table_is_gone_and_can_be_made_anew
            only_tables_of_read_models_can_be_dropped
            a_table_takes_names_that_sql_has_a_meaning_for
            every_kind_of_value_comes_back_as_it_was
            a_decimal_keeps_its_digits
            what_is_missing_in_a_row_is_null
            a_put_replaces_the_whole_row
            a_deleted_row_is_gone
            rows_of_one_key_in_two_tenants_are_two
            rows_are_found_by_many_keys_at_once
            a_value_that_does_not_fit_is_refused_and_nothing_is_written
            a_row_written_twice_at_once_is_refused
            many_rows_go_down_at_once
            comparisons_are_those_of_the_kind
            decimals_compare_as_numbers
            a_list_of_values_is_met_by_each_of_them
            nothing_is_not_equal_to_any_value
            conditions_combine
            texts_are_searched_without_regard_to_case
            what_looks_like_a_pattern_is_searched_for_as_it_is
            rows_are_put_in_order_with_nothing_last
            pages_do_not_overlap
            a_page_begins_after_one_place_and_ends_before_another
            a_place_that_can_not_be_is_refused
            of_rows_only_what_is_asked_for_is_read
            pages_show_each_row_once_while_others_come_and_go
            each_word_of_a_search_is_in_some_of_the_fields
            a_search_that_can_not_be_is_refused
            what_is_not_searched_is_looked_through_as_it_is
            what_is_unique_is_shared_by_no_two_rows
            what_is_unique_passes_from_row_to_row_in_one_step
            indexes_come_and_go_and_rows_stay
            a_filter_is_data_and_never_sql
            a_selection_of_what_is_not_there_is_refused
            limits_on_selections_are_kept
            each_value_gets_a_page_of_its_own
            the_rows_of_each_value_are_filtered_and_in_order
            rows_of_each_value_come_as_any_rows_do
            limits_on_selections_for_each_value_are_kept
            rows_are_found_by_what_they_belong_to
            rows_are_found_by_what_belongs_to_them
            relations_lead_on_from_one_to_the_next
            relations_do_not_leave_their_tenant
            a_relation_of_what_does_not_fit_is_refused
            limits_on_relations_are_kept
            rows_are_put_in_order_by_what_they_lead_to
            an_order_by_what_rows_lead_to_begins_and_ends_at_marks
            what_rows_are_put_in_order_by_stands_beside_them
            what_rows_lead_to_puts_them_in_order_for_each_value
            orders_do_not_leave_their_tenant
            an_order_that_can_not_be_is_refused
            rows_are_counted_and_computed_all_together
            what_holds_nothing_has_no_sum
            rows_are_computed_in_groups
            each_value_has_groups_of_its_own
            sums_and_averages_are_exact
            random_sums_are_those_of_whole_numbers
            random_groups_are_those_of_the_naive_model
            a_sum_out_of_range_is_refused
            what_can_not_be_computed_is_refused
            random_selections_are_those_of_the_naive_model
            changes_are_handed_out_as_they_were_told
            a_page_of_changes_ends_at_its_limits_and_says_so
            changes_of_a_step_that_is_not_taken_are_not_told
            a_journal_begins_anew_where_it_was_left_off
            a_replay_leaves_a_gap_although_the_position_stays
            changes_out_of_order_are_refused
            old_changes_are_forgotten_piece_by_piece
            whoever_begins_anew_has_told_nothing
            many_changes_go_down_in_one_step
            a_projection_begins_at_zero_and_goes_on_where_it_was
            a_step_from_elsewhere_writes_nothing
            a_step_without_rows_moves_the_checkpoint
            a_step_goes_to_many_tables_or_to_none
            a_forgotten_checkpoint_is_at_zero
            checkpoints_are_found_in_the_order_in_which_they_are_asked_for
            what_a_projection_has_left_goes_together_or_not_at_all
            a_checkpoint_knows_its_event
            a_stream_is_parked_by_the_step_that_passes_its_event
            a_replay_tells_others_that_rows_have_changed_where_the_checkpoint_stands
            a_stream_that_fails_again_stays_parked_with_the_new_reason
            a_tenant_that_waits_as_a_whole_is_told_from_its_streams
            tables_that_nobody_uses_are_found_and_dropped
            what_a_process_has_said_that_is_gone_is_forgotten
            what_is_parked_goes_with_what_a_projection_has_left
            the_state_of_a_projection_is_kept_by_its_name
            a_projection_begins_anew_once
            a_step_that_is_given_up_leaves_the_next_one_alone
            two_who_take_the_same_step_are_told_apart
            the_read_database_answers
        }
    };
}

pub use crate::{conformance_events as events, conformance_reads as reads};
