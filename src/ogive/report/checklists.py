"""The checklists of a search, filled in from its journal: each item with yes, no or not applicable, and the evidence.

The first four are what a careful team looks at. The others follow the best-practice checklist of Lindauer and Hutter, "Best
Practices for Scientific Research on Neural Architecture Search" (JMLR 21, 2020), in other words; what it asks of a
publication is asked here of a run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ogive.report import checklist_answers as ask
from ogive.report.checklist_answers import Answer
from ogive.report.subject import Subject


@dataclass(frozen=True)
class ChecklistItem:
    """A question whose good answer is yes, and where the journal has the answer."""

    text: str
    ask: Callable[[Subject], Answer]


CHECKLISTS: Mapping[str, Sequence[ChecklistItem]] = {
    "Before": (
        ChecklistItem("The data and their split are fixed and known", ask.split_known),
        ChecklistItem("No decision of the space is a learning rate or an augmentation", ask.no_training_in_space),
        ChecklistItem("A trial has a time and a memory limit", ask.limits),
        ChecklistItem("The search has a budget", ask.budget),
        ChecklistItem("Success criteria were set", ask.criteria),
        ChecklistItem("Somebody or something hears of alerts", ask.routes),
        ChecklistItem("Trials can go on after an interruption", ask.checkpoints),
    ),
    "During": (
        ChecklistItem("At most a fifth of the trials failed", ask.few_failures),
        ChecklistItem("No alternative makes trials fail more often than others", ask.no_traps),
        ChecklistItem("No critical alert was raised", ask.no_critical),
        ChecklistItem("The workers were busy for four fifths of the time", ask.busy),
        ChecklistItem("The recent population is diverse", ask.diverse),
        ChecklistItem("Few proposals repeat an earlier network", ask.few_repeats),
        ChecklistItem("The code did not change between sessions", ask.same_code),
    ),
    "After": (
        ChecklistItem("The search came to its end", ask.ended),
        ChecklistItem("A stop rule finds that it converged", ask.converged),
        ChecklistItem("The best does not lie at the edge of the space", ask.inside),
        ChecklistItem("The best were trained from scratch and compared on other data", ask.finalized),
        ChecklistItem("The search's order predicts that of full training", ask.predicts),
        ChecklistItem("The test split was read once at most", ask.test_once),
        ChecklistItem("The winner was compared with a network drawn by hand", ask.baseline),
    ),
    "Cost": (
        ChecklistItem("The price of an hour is known", ask.price),
        ChecklistItem("What was spent lies within the budget", ask.within_budget),
        ChecklistItem("The projection held", ask.projection_held),
        ChecklistItem("Less than a tenth of the compute went into failures", ask.little_wasted),
        ChecklistItem("The cost of a point of the objective is known", ask.cost_of_point),
    ),
    "Best practice of NAS research: code": (
        ChecklistItem("The training pipeline of the final networks is identified", ask.final_pipeline),
        ChecklistItem("The search space is identified", ask.space_known),
        ChecklistItem("The hyperparameters and seeds of the final training are recorded", ask.final_seeds),
        ChecklistItem("The search method is identified by version", ask.method_known),
        ChecklistItem("The hyperparameters and the seed of the search method are recorded", ask.method_options),
    ),
    "Best practice of NAS research: comparison": (
        ChecklistItem("What is compared has the same data, split, space and training code", ask.same_benchmark),
        ChecklistItem("Hardware, versions and run time are the same for what is compared", ask.same_conditions),
        ChecklistItem("Parts of the method were left out in turn (ablation)", ask.ablation),
        ChecklistItem("What is compared was evaluated by the same protocol", ask.same_protocol),
        ChecklistItem("Performance is shown over time", ask.over_time),
        ChecklistItem("There is a comparison with random search", ask.random_search),
        ChecklistItem("The search was repeated with other seeds", ask.repeated),
        ChecklistItem("A tabular or surrogate benchmark was used where one exists", ask.benchmark),
    ),
    "Best practice of NAS research: reporting": (
        ChecklistItem("How hyperparameters were tuned, and what that took, is reported", ask.tuning),
        ChecklistItem("The time of the whole method is reported, not of the search alone", ask.whole_time),
        ChecklistItem("Every detail of the set-up is reported", ask.setup),
    ),
}


def fill_in_checklists(subject: Subject) -> dict[str, list[tuple[str, Answer]]]:
    """Every checklist with its answers."""
    return {title: [(item.text, item.ask(subject)) for item in items] for title, items in CHECKLISTS.items()}
