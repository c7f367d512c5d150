"""The checklists of a search, which are filled in from its journal: each answer has a verdict and its evidence.

The first four lists are about the run. The others follow the best-practice checklist of Lindauer and Hutter, "Best
Practices for Scientific Research on Neural Architecture Search" (JMLR 21, 2020), which is about publications.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ogive.report import checklist_answers as answers
from ogive.report import research_answers as research
from ogive.report.checklist_answers import Answer
from ogive.report.subject import Subject


@dataclass(frozen=True)
class ChecklistItem:
    """A statement that should be true, and the function that checks it."""

    text: str
    check: Callable[[Subject], Answer]


CHECKLISTS: Mapping[str, Sequence[ChecklistItem]] = {
    "Before": (
        ChecklistItem("The data and their split are identified by fingerprints", answers.check_fingerprints),
        ChecklistItem(
            "No decision of the space is a learning rate or an augmentation",
            answers.check_space_without_training_decisions,
        ),
        ChecklistItem("A trial has a time and a memory limit", answers.check_limits),
        ChecklistItem("The search has a budget", answers.check_budget_is_set),
        ChecklistItem("Success criteria were set", answers.check_criteria),
        ChecklistItem("Alerts are sent somewhere", answers.check_alert_routes),
        ChecklistItem(
            "Trials save checkpoints, so that they can continue after an interruption", answers.check_checkpoints
        ),
    ),
    "During": (
        ChecklistItem("At most 20% of the trials failed", answers.check_failure_share),
        ChecklistItem("No alternative makes trials fail more often", answers.check_failure_causes),
        ChecklistItem("No critical alert was raised", answers.check_critical_alerts),
        ChecklistItem("The workers were busy for at least 80% of the time", answers.check_utilisation),
        ChecklistItem("The last proposals are diverse", answers.check_diversity),
        ChecklistItem("At most 10% of the proposals repeat an earlier network", answers.check_repeats),
        ChecklistItem("The code did not change between sessions", answers.check_code_changes),
    ),
    "After": (
        ChecklistItem("The search has ended", answers.check_ended),
        ChecklistItem("The stop rule `converged` is satisfied", answers.check_converged),
        ChecklistItem("No number of the best network is at the edge of the space", answers.check_range_ends),
        ChecklistItem("The best networks were trained in full and compared on new data", answers.check_full_training),
        ChecklistItem("The ranks in the search predict those of full training", answers.check_rank_correlation),
        ChecklistItem("The test split was read at most once", answers.check_test_reads),
        ChecklistItem("The winner was compared with a hand-drawn baseline", answers.check_baseline),
    ),
    "Cost": (
        ChecklistItem("The price of an hour is known", answers.check_price),
        ChecklistItem("The search stayed within its budget", answers.check_budget_is_kept),
        ChecklistItem("The projections of the time were correct", answers.check_projections),
        ChecklistItem("Failed trials took less than 10% of the compute time", answers.check_failed_compute),
        ChecklistItem("The cost of an improvement of 0.01 is known", answers.check_cost_of_gain),
    ),
    "Best practice of NAS research: code": (
        ChecklistItem("The training pipeline of the final networks is identified", research.check_final_pipeline),
        ChecklistItem("The search space is identified", research.check_space),
        ChecklistItem("The hyperparameters and seeds of the final training are recorded", research.check_final_seeds),
        ChecklistItem("The version of the search method is recorded", research.check_method_version),
        ChecklistItem("The options and the seed of the search method are recorded", research.check_method_options),
    ),
    "Best practice of NAS research: comparison": (
        ChecklistItem(
            "Compared networks have the same data, split, space and training code", research.check_same_benchmark
        ),
        ChecklistItem("Hardware, versions and threads are the same for all of them", research.check_same_conditions),
        ChecklistItem("Parts of the method were removed in turn (ablation)", research.check_ablation),
        ChecklistItem("All of them were evaluated by the same protocol", research.check_same_protocol),
        ChecklistItem("Performance is shown over time", research.check_performance_over_time),
        ChecklistItem("There is a comparison with random search", research.check_random_search),
        ChecklistItem("The search was repeated with other seeds", research.check_repetition),
        ChecklistItem("A tabular or surrogate benchmark was used if one exists", research.check_tabular_benchmark),
    ),
    "Best practice of NAS research: reporting": (
        ChecklistItem("The tuning of hyperparameters, and its cost, is reported", research.check_tuning_of_recipe),
        ChecklistItem(
            "The time of the whole method is reported, not only that of the search", research.check_total_time
        ),
        ChecklistItem("All details of the set-up are reported", research.check_setup),
    ),
}


def fill_in_checklists(subject: Subject) -> dict[str, list[tuple[str, Answer]]]:
    """Return every checklist by its title, as the text and the answer of each item."""
    return {title: [(item.text, item.check(subject)) for item in items] for title, items in CHECKLISTS.items()}
