"""The answers of the best-practice checklists: each function checks one statement of `checklists.py` for a run.

The statements are those of Lindauer and Hutter, "Best Practices for Scientific Research on Neural Architecture Search" (JMLR
21, 2020), as far as the journal of one run can answer them.
"""

from __future__ import annotations

from ogive.formatting import duration_of_hours, plural
from ogive.report.checklist_answers import NO, NOT_APPLICABLE, YES, Answer, yes_or_no
from ogive.report.subject import Subject
from ogive.run.spending import compute_spending

MIN_RANDOM_TRIALS = 10
"""At least this many random trials of the run itself count as a comparison with random search."""


# -- code ------------------------------------------------------------------------------------------------------------


def check_final_pipeline(subject: Subject) -> Answer:
    if subject.full_training is None:
        return Answer(NOT_APPLICABLE, "no network was trained in full")
    has_recipe = bool(subject.full_training.recipe.keys() - {"settings"})
    return yes_or_no(
        has_recipe,
        "the recipe of full training is in final/result.json",
        "the networks were trained by a train function, whose code is not stored with the run",
    )


def check_space(subject: Subject) -> Answer:
    return Answer(
        YES, f"the fingerprint of the space is {subject.state.space.fingerprint}; the journal has its decisions"
    )


def check_final_seeds(subject: Subject) -> Answer:
    if subject.full_training is None:
        return Answer(NOT_APPLICABLE, "no network was trained in full")
    seeds = ", ".join(map(str, subject.full_training.winner.seeds))
    return Answer(YES, f"the seeds of the winner ({seeds}) and the recipe are recorded")


def check_method_version(subject: Subject) -> Answer:
    recorded = [session.get("versions", {}).get("ogive") for session in subject.state.sessions]
    versions = [str(version) for version in dict.fromkeys(recorded) if version]
    name = subject.state.declaration["strategy"]["name"]
    return yes_or_no(
        bool(versions), f"strategy {name} of Ogive {', '.join(versions)}", "no session recorded its versions"
    )


def check_method_options(subject: Subject) -> Answer:
    created = subject.state.declaration
    return Answer(YES, f"seed {created['seed']}; options {created['strategy']['options'] or 'as by default'}")


# -- comparison ------------------------------------------------------------------------------------------------------


def check_same_benchmark(subject: Subject) -> Answer:
    if subject.comparison is None and subject.full_training is None:
        return Answer(NOT_APPLICABLE, "nothing is compared")
    return Answer(YES, "finalists and baseline have the same data, split and recipe")


def check_same_conditions(subject: Subject) -> Answer:
    sessions = subject.state.sessions
    if not sessions:
        return Answer(NOT_APPLICABLE, "no session was recorded")
    conditions = {(s.get("host"), s.get("threads"), str(s.get("versions"))) for s in sessions}
    threads = sessions[0].get("threads")
    per_worker = f"{plural(threads, 'thread')} per worker, " if threads else ""
    differences = f"{len(conditions)} combinations of host, threads and versions in {len(sessions)} sessions"
    return yes_or_no(len(conditions) == 1, f"one host, {per_worker}one set of versions", differences)


def check_ablation(subject: Subject) -> Answer:
    return Answer(NOT_APPLICABLE, "a run uses one method; `ogive bench compare` compares methods")


def check_same_protocol(subject: Subject) -> Answer:
    step, trials = subject.comparable
    if not trials:
        return Answer(NOT_APPLICABLE, "there is no best trial yet")
    return Answer(YES, f"{plural(len(trials), 'trial')} are compared at step {step}, on the same validation data")


def check_performance_over_time(subject: Subject) -> Answer:
    return yes_or_no(bool(subject.curve_points), "see the search curve", "no trial has ended yet")


def check_random_search(subject: Subject) -> Answer:
    if subject.comparison is not None and subject.comparison.random_reference is not None:
        return Answer(YES, "a separate random search with the same recipe")
    # The text is the source of the values or, without values, the reason why there are none.
    values, source_or_reason = subject.random_reference
    shortage = source_or_reason if len(values) < 2 else f"only {len(values)} random trials"
    return yes_or_no(len(values) >= MIN_RANDOM_TRIALS, f"the run's own random trials: {source_or_reason}", shortage)


def check_repetition(subject: Subject) -> Answer:
    return Answer(NO, f"this is one run, with seed {subject.state.declaration['seed']}")


def check_tabular_benchmark(subject: Subject) -> Answer:
    return Answer(NOT_APPLICABLE, "the run searched for a network; it does not compare methods")


# -- reporting -------------------------------------------------------------------------------------------------------


def check_tuning_of_recipe(subject: Subject) -> Answer:
    return Answer(NO, "the journal does not record how the recipe was tuned; report it with the result")


def check_total_time(subject: Subject) -> Answer:
    search = compute_spending(subject.state)
    elapsed, compute = duration_of_hours(search.hours), duration_of_hours(search.compute_hours)
    text = f"search {elapsed}, with {compute} of compute"
    if not subject.later_states:
        return Answer(NO, f"{text}; no full training yet")
    final = compute_spending(next(iter(subject.later_states.values())))
    return Answer(YES, f"{text}; full training {duration_of_hours(final.compute_hours)} of compute")


def check_setup(subject: Subject) -> Answer:
    has_recipe = subject.state.declaration["recipe"] is not None
    sessions = plural(len(subject.state.sessions), "session")
    evidence = f"the journal has the recipe, the settings, and the versions, threads and seeds of {sessions}"
    return yes_or_no(has_recipe and bool(subject.state.sessions), evidence, "the estimator does not declare its recipe")
