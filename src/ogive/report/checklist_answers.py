"""The answers of the run checklists: each function checks one statement of `checklists.py`, and gives the evidence.

The statements of the best-practice checklists are checked in `research_answers.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ogive.formatting import amount, amount_of_limit, duration, duration_of_hours, plural
from ogive.monitor.cost import review_projections
from ogive.monitor.diversity import DIVERSITY_WINDOW, compute_mean_distance, estimate_random_distance
from ogive.monitor.gain import compute_gain
from ogive.monitor.stop_rules import INVALID_SHARE
from ogive.report.subject import Subject
from ogive.run.settings import Settings
from ogive.run.spending import compute_spending
from ogive.session.search_code import LAYERS_PART, SOURCES
from ogive.space.domain import IntegerRange, RealRange
from ogive.space.training_decisions import training_decisions

YES, NO, NOT_APPLICABLE = "yes", "no", "not applicable"
MIN_BUSY_SHARE = 0.8
"""Workers should be busy for at least this share of the time."""
MIN_DIVERSITY_SHARE = 0.25
"""The diversity of the last proposals should be at least this share of the diversity of random sampling."""
MAX_REPEATED_SHARE = 0.1
"""At most this share of the proposals should repeat an earlier network."""
MAX_FAILED_COMPUTE_SHARE = 0.1
"""Failed trials should take less than this share of the compute time."""
BUDGET_TOLERANCE = 1.02
"""A budget counts as kept up to this factor, because running trials are stopped a little after the budget is spent."""


@dataclass(frozen=True)
class Answer:
    """The answer to one item of a checklist.

    Attributes:
        verdict: whether the statement of the item is true: "yes", "no" or "not applicable".
        evidence: a text that supports the verdict.
    """

    verdict: str
    evidence: str


def yes_or_no(is_yes: bool, evidence: str, evidence_against: str | None = None) -> Answer:
    """Return a yes with `evidence`, or a no with `evidence_against` (by default also with `evidence`)."""
    return Answer(YES, evidence) if is_yes else Answer(NO, evidence_against or evidence)


def _settings(subject: Subject) -> Settings:
    return Settings.from_json(subject.state.settings)


# -- before ----------------------------------------------------------------------------------------------------------


def check_fingerprints(subject: Subject) -> Answer:
    fingerprints = subject.state.declaration["fingerprints"]
    evidence = ", ".join(f"{name} {value}" for name, value in fingerprints.items())
    return yes_or_no(
        bool(fingerprints), f"fingerprints: {evidence}", "the estimator has no fingerprints of its data or split"
    )


def check_space_without_training_decisions(subject: Subject) -> Answer:
    names = ", ".join(training_decisions(subject.state.space))
    against = f"searched together with the architecture, whose rank is valid for these values only: {names}"
    return yes_or_no(not names, "no decision has the name of a training setting", against)


def check_limits(subject: Subject) -> Answer:
    settings = _settings(subject)
    missing = [name for name in ("time_limit", "memory_limit") if getattr(settings, name) is None]
    limits = f"time limit {duration(settings.time_limit or 0)}, memory limit {settings.memory_limit or 0:g} GB"
    return yes_or_no(not missing, limits, f"not set: {', '.join(missing)}")


def check_budget_is_set(subject: Subject) -> Answer:
    settings = _settings(subject)
    currency = subject.state.price.currency if subject.state.price else ""
    limits = [duration_of_hours(settings.hours)] if settings.hours is not None else []
    limits += [amount(settings.money, currency or "of money")] if settings.money is not None else []
    return yes_or_no(bool(limits), " and ".join(limits), "only max_trials limits the search; no `budget` is set")


def check_criteria(subject: Subject) -> Answer:
    criteria = _settings(subject).criteria
    return yes_or_no(bool(criteria), " and ".join(map(str, criteria)), "no `criteria` are set")


def check_alert_routes(subject: Subject) -> Answer:
    routes = _settings(subject).alerts
    against = "no route is set: alerts are shown in the live view and the report only"
    return yes_or_no(bool(routes), plural(len(routes), "route"), against)


def check_checkpoints(subject: Subject) -> Answer:
    if not subject.state.declaration["epochs"]:
        return Answer(NOT_APPLICABLE, "the estimator has no epochs: a trial is one step")
    if subject.folder is None or not subject.trials_with_value:
        return Answer(NOT_APPLICABLE, "no trial has reached its first checkpoint yet")
    checkpoint = next((subject.folder / "trials").glob("*/**/checkpoint-*"), None)
    return yes_or_no(
        checkpoint is not None, "the folders of the trials have checkpoints", "no trial's folder has a checkpoint"
    )


# -- during ----------------------------------------------------------------------------------------------------------


def check_failure_share(subject: Subject) -> Answer:
    if not subject.inactive_count:
        return Answer(NOT_APPLICABLE, "no trial has ended yet")
    share = subject.state.failed_count / subject.inactive_count
    evidence = f"{subject.state.failed_count:,} of {plural(subject.inactive_count, 'trial')} ({share:.0%})"
    return yes_or_no(share <= INVALID_SHARE, evidence)


def check_failure_causes(subject: Subject) -> Answer:
    if not subject.failed_trials:
        return Answer(NOT_APPLICABLE, "no trial has failed")
    causes = subject.failure_causes
    against = "; ".join(f"{cause.decision} {cause.text}: {cause.failed} of {cause.total}" for cause in causes[:3])
    return yes_or_no(not causes, "no alternative fails significantly more often", against)


def check_critical_alerts(subject: Subject) -> Answer:
    critical = [alert.message for alert in subject.state.alerts if alert.severity == "critical"]
    raised = plural(len(subject.state.alerts), "alert")
    return yes_or_no(not critical, f"{raised}, none critical", "; ".join(critical[:3]))


def check_utilisation(subject: Subject) -> Answer:
    utilisation = subject.utilisation
    if not utilisation.reserved_hours:
        return Answer(NOT_APPLICABLE, "no worker has started yet")
    evidence = f"busy for {100 * utilisation.mean:.0f}% of the time for which they were reserved"
    return yes_or_no(utilisation.mean >= MIN_BUSY_SHARE, evidence)


def check_diversity(subject: Subject) -> Answer:
    recent = [trial.architecture for trial in subject.trials[-DIVERSITY_WINDOW:]]
    if len(recent) < 2:
        return Answer(NOT_APPLICABLE, "fewer than two architectures were proposed")
    distance, random_distance = compute_mean_distance(recent), estimate_random_distance(subject.state.space)
    evidence = f"mean distance {distance:.2f} of the last {len(recent)}; random sampling has {random_distance:.2f}"
    return yes_or_no(distance >= MIN_DIVERSITY_SHARE * random_distance, evidence)


def check_repeats(subject: Subject) -> Answer:
    n = len(subject.trials)
    if not n:
        return Answer(NOT_APPLICABLE, "nothing was proposed yet")
    repeats = n - len({trial.architecture.id for trial in subject.trials})
    return yes_or_no(repeats <= MAX_REPEATED_SHARE * n, f"{repeats:,} of {n:,} proposals")


def check_code_changes(subject: Subject) -> Answer:
    sessions = subject.state.sessions
    if len(sessions) < 2:
        return Answer(NOT_APPLICABLE, "the run has at most one session")
    # For the train function a hash in each session; for the layers a hash of each part.
    recorded = {
        "train function": [session.get("code", "") for session in sessions],
        "layers": [session.get(SOURCES, {}).get(LAYERS_PART) for session in sessions],
    }
    changed = [name for name, values in recorded.items() if any(value != values[0] for value in values)]
    return yes_or_no(not changed, f"equal in {len(sessions)} sessions", f"changed: {', '.join(changed)}")


# -- after -----------------------------------------------------------------------------------------------------------


def check_ended(subject: Subject) -> Answer:
    end_reason = subject.state.end_reason
    return Answer(NO, "it has not ended; it can be continued") if end_reason is None else Answer(YES, end_reason)


def check_converged(subject: Subject) -> Answer:
    verdict = next(verdict for verdict in subject.stop_verdicts if verdict.rule == "converged")
    return yes_or_no(verdict.stop, verdict.reason)


def check_range_ends(subject: Subject) -> Answer:
    """Answer no if a number of the best network is at an end of its range, because better values may lie beyond the end."""
    decisions = subject.state.space.decisions
    ends = {d.name: (d.domain.low, d.domain.high) for d in decisions if isinstance(d.domain, (IntegerRange, RealRange))}
    if not subject.best_trials or not ends:
        return Answer(NOT_APPLICABLE, "there is no best trial yet" if ends else "no decision is a number")
    best = subject.drawn_networks[0].trial.architecture
    at_end = ", ".join(
        f"{name} = {best[name]}" for name, bounds in ends.items() if name in best and best[name] in bounds
    )
    return yes_or_no(not at_end, "no number of the best is at an end of its range", f"at an end of its range: {at_end}")


def check_full_training(subject: Subject) -> Answer:
    result = subject.full_training
    if result is None:
        return Answer(NO, "no network was trained in full yet; run `ogive finalize`")
    evidence = f"{plural(len(result.finalists), 'finalist')}, winner {result.winner.name}"
    return yes_or_no(result.new_validation, evidence, f"{evidence}; validated on the same examples as the search")


def check_rank_correlation(subject: Subject) -> Answer:
    if subject.full_training is None:
        return Answer(NOT_APPLICABLE, "no network was trained in full yet")
    for item in subject.full_training.agreement:
        tau = item.kendall
        if tau is not None and tau.value is not None and tau.low is not None and tau.high is not None:
            evidence = f"Kendall's tau {tau.value:.2f} of {item.metric}, 95% interval {tau.low:.2f} to {tau.high:.2f}"
            return yes_or_no(tau.low > 0, evidence)
    return Answer(NOT_APPLICABLE, "no rank correlation could be computed")


def check_test_reads(subject: Subject) -> Answer:
    return yes_or_no(subject.state.test_reads <= 1, f"read {plural(subject.state.test_reads, 'time')}")


def check_baseline(subject: Subject) -> Answer:
    full_training = subject.full_training
    compared = subject.comparison is not None or (full_training is not None and full_training.baseline is not None)
    return yes_or_no(compared, "with the same recipe and seeds", "no baseline was compared")


# -- cost ------------------------------------------------------------------------------------------------------------


def check_price(subject: Subject) -> Answer:
    price = subject.state.price
    return yes_or_no(price is not None, str(price), "no `price` is set")


def check_budget_is_kept(subject: Subject) -> Answer:
    settings = _settings(subject)
    spent = compute_spending(subject.state)
    parts = []
    if settings.hours is not None:
        text = f"{duration_of_hours(spent.hours)} of {duration_of_hours(settings.hours)}"
        parts.append((spent.hours <= BUDGET_TOLERANCE * settings.hours, text))
    if settings.money is not None and spent.money is not None:
        text = amount_of_limit(spent.money, settings.money, spent.currency)
        parts.append((spent.money <= BUDGET_TOLERANCE * settings.money, text))
    if not parts:
        return Answer(NOT_APPLICABLE, "no budget is set")
    return yes_or_no(all(is_kept for is_kept, _ in parts), " and ".join(text for _, text in parts))


def check_projections(subject: Subject) -> Answer:
    projections = review_projections(subject.state)
    if not projections:
        return Answer(NOT_APPLICABLE, "nothing was projected, or the search has not ended")
    correct = sum(projection.is_within_interval for projection in projections)
    evidence = f"the actual time is within {correct} of {plural(len(projections), 'projected interval')}"
    return yes_or_no(correct == len(projections), evidence)


def check_failed_compute(subject: Subject) -> Answer:
    if not subject.state.compute_seconds:
        return Answer(NOT_APPLICABLE, "nothing was computed yet")
    failed_seconds = sum(trial.seconds for trial in subject.failed_trials)
    share = failed_seconds / subject.state.compute_seconds
    evidence = f"{duration(failed_seconds)} of {duration(subject.state.compute_seconds)} ({100 * share:.0f}%)"
    return yes_or_no(share < MAX_FAILED_COMPUTE_SHARE, evidence)


def check_cost_of_gain(subject: Subject) -> Answer:
    gained = compute_gain(subject.state)
    if gained is None:
        return Answer(NOT_APPLICABLE, "the best is not better than the first trials yet")
    return Answer(YES, f"{duration_of_hours(gained.hours_per_point)} of worker time for 0.01 of {gained.metric}")
