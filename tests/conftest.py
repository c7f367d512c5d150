"""Which tests are slow: `make test` leaves them to `make test-slow`."""

from __future__ import annotations

import pytest

SLOW = (
    "tests/api/test_reproduce.py::test_training_is_equal_bit_for_bit_with_another_hash_seed",
    "tests/api/test_search.py::test_the_same_seed_gives_the_same_run_under_another_hash_seed",
    "tests/bench/test_build.py::test_the_command_builds_a_table_of_the_metrics_that_training_gives",
    "tests/bench/test_compare.py::test_the_command_line",
    "tests/bench/test_judging.py::test_methods_are_compared_by_paired_tests_with_correction",
    "tests/cli/test_finalize.py::test_the_example_is_searched_trained_in_full_and_exported",
    "tests/export/test_exported_models.py::test_an_export_that_disagrees_with_the_model_changes_nothing",
    "tests/export/test_exported_models.py::test_inputs_may_be_several_token_ids_or_dicts",
    "tests/job/test_examples.py::test_an_example_searches[funnel]",
    "tests/job/test_funnel.py::test_a_funnel_with_the_built_in_trainer_learns_and_trains_its_best_in_full",
    "tests/stats/test_rank_correlation.py::test_the_intervals_contain_the_true_correlation_often_enough",
    "tests/stats/test_rank_correlation.py::test_the_probability_is_calibrated",
    "tests/sinks/test_sinks.py::test_sinks_keep_their_contract",
    "tests/run/test_combinations.py::test_a_search_continued_from_any_prefix_of_its_journal_takes_the_same_decisions[curve",
    "tests/executors/test_data_parallel.py",
    "tests/run/test_faults_kill.py",
    "tests/run/test_faults_torch.py::test_a_search_with_rungs_and_checkpoints_survives_kills",
    "tests/run/test_faults_trials.py::test_a_thousand_trials_leak_no_descriptors_and_no_processes",
    "tests/schedule/test_curve.py::test_forecasts_from_stopped_curves_are_unbiased",
    "tests/schedule/test_curve.py::test_poor_trials_are_stopped_and_the_best_is_not",
    "tests/schedule/test_curve.py::test_probabilities_are_calibrated",
    "tests/schedule/test_schedule_conformance.py::test_every_registered_schedule_conforms",
    "tests/strategy/test_evolutionary.py::test_all_options_conform",
    "tests/strategy/test_evolutionary.py::test_nsga2_reaches_what_optunas_and_pymoos_reach",
    "tests/strategy/test_gaussian_process.py::test_finds_the_optimum_of_9216_within_50_trials",
    "tests/strategy/test_gaussian_process.py::test_gp_finds_better_cells_with_their_graph",
    "tests/strategy/test_named_pairs.py::test_bohb_and_dehb_conform_with_other_options",
    "tests/strategy/test_reinforce.py::test_the_controller_is_not_trained_again_if_no_reward_changes",
    "tests/strategy/test_reinforce.py::test_the_controller_converges_to_the_best_architecture",
    "tests/strategy/test_reinforce.py::test_torch_is_loaded_by_the_constructor_and_not_before",
    "tests/strategy/test_strategy_conformance.py::test_every_registered_strategy_conforms",
    "tests/strategy/test_tpe.py::test_conforms",
    "tests/supernet/test_relax.py::test_activated_and_extracted_architectures_have_equal_outputs_and_gradients",
    "tests/zoo/test_nasbench.py::test_parameters_equal_the_published_ones_for_all_cells",
)
"""How the names of tests begin that take long on two cores, or that have many such tests."""
WHOLE_SUITE = 1000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
    missing = [name for name in SLOW if not any(item.nodeid.startswith(name) for item in items)]
    if missing and len(items) > WHOLE_SUITE:
        raise pytest.UsageError(f"tests/conftest.py names tests that are not there: {', '.join(missing)}")
