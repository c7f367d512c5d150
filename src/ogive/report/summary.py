"""The top of the report: the result, its certainty, the cost, whether to continue the search, and what to do next.

Each answer is one sentence; details are in the sections.
"""

from __future__ import annotations

from collections.abc import Sequence

from ogive.formatting import amount, as_sentence, duration, nonzero_counts, number, plural
from ogive.monitor.cost import project_cost
from ogive.monitor.overtraining import detect_overtraining
from ogive.monitor.stop_rules import StopVerdict
from ogive.report import facts
from ogive.report.sections.cost import describe_projection
from ogive.report.subject import Subject, format_metric
from ogive.run.results import compute_expected_best, explain_no_best
from ogive.run.spending import compute_spending
from ogive.run.state import State
from ogive.stages.delivery import Delivery
from ogive.stages.full_training_result import FullTrainingResult
from ogive.stages.training_plan import is_full_training

MIN_FAILED_SHARE = 0.01
"""The time of failed trials is mentioned if it is at least this share of the compute time."""


def describe_search(subject: Subject) -> str:
    """Return what was searched, in one sentence."""
    state = subject.state
    created = state.declaration
    goals = " and ".join(f"{'highest' if o.goal == 'maximize' else 'lowest'} {o.metric}" for o in state.objectives)
    constraints = f" subject to {', '.join(map(str, state.constraints))}" if state.constraints else ""
    schedule = ""
    if created["schedule"]["name"] != "full":
        schedule = f" and schedule {facts.format_plugin(created['schedule'])}"
    epochs = f", up to {plural(created['epochs'], 'epoch')} per trial" if created["epochs"] else ""
    return (
        f"Searched a space of {facts.format_size(state)} ({plural(len(state.space.decisions), 'decision')}) for the "
        f"{goals}{constraints}, with strategy {facts.format_plugin(created['strategy'])}{schedule}{epochs}."
    )


def collect_tiles(subject: Subject) -> list[tuple[str, str]]:
    """Return the value and the name of the run's main numbers."""
    state = subject.state
    failed_by_status = {status: n for status, n in state.status_counts.items() if status.failed}
    return [
        *_collect_metric_tiles(subject),
        (f"{subject.inactive_count:,} of {state.total_trials:,}", "trials ended or paused"),
        (f"{state.failed_count:,}", f"failed ({nonzero_counts(failed_by_status)})" if state.failed_count else "failed"),
        (duration(state.elapsed_seconds), "elapsed"),
        (duration(state.compute_seconds), "compute time of all trials"),
    ]


def _collect_metric_tiles(subject: Subject) -> list[tuple[str, str]]:
    if subject.has_several_objectives and subject.full_training is not None:
        return [(f"{len(subject.stages.winners):,}", "on the Pareto front after full training")]
    if subject.has_several_objectives:
        n = len(subject.front)
        return [(f"{n:,}", f"trial{'' if n == 1 else 's'} on the Pareto front")]
    if subject.full_training is not None and subject.best_network is not None:
        n_seeds = len(subject.best_network.seeds)
        training = f"mean over {plural(n_seeds, 'seed')}" if n_seeds > 1 else "trained in full"
        metrics = subject.metric_texts(subject.best_network)
        return [
            (value, f"{name} of the winner, {training}" if i == 0 else f"{name} of the winner")
            for i, (name, value) in enumerate(metrics)
        ]
    if subject.best_trials:
        metrics = subject.metric_texts(subject.best_trials[0])
        return [(value, f"best {name}" if i == 0 else f"{name} of the best") for i, (name, value) in enumerate(metrics)]
    return []


def collect_summary(subject: Subject) -> list[tuple[str, str]]:
    """Return the questions that the report answers first, with their answers."""
    rows = [
        ("Found", describe_result(subject)),
        ("How sure", describe_certainty(subject)),
        ("Cost", describe_cost(subject)),
        ("Continue?", describe_continuation(subject)),
        ("Next", describe_next_step(subject)),
    ]
    warnings = collect_warnings(subject)
    return [*rows, ("Warning", " ".join(as_sentence(warning) for warning in warnings))] if warnings else rows


# -- found -----------------------------------------------------------------------------------------------------------


def describe_result(subject: Subject) -> str:
    """Return the winner of the last stage that has one."""
    state, best = subject.state, subject.best_trials
    if subject.full_training is not None:
        return _describe_winner(subject, subject.full_training)
    if not state.trials:
        return "Nothing yet: no trial was started."
    if not best:
        if subject.trials_with_value:
            return as_sentence(explain_no_best(state))
        return (
            f"Nothing: no trial has a value, and {state.failed_count:,} of {plural(len(state.trials), 'trial')} failed."
        )
    evaluated = describe_compared(subject)
    metrics = subject.format_metrics(best[0])
    if not subject.has_several_objectives:
        return f"Trial {best[0].id} is the best of {evaluated}: {metrics}."
    if len(subject.front) == 1:
        return f"Trial {best[0].id} is the best of {evaluated} in all objectives: {metrics}."
    front = f"{len(subject.front):,} of {evaluated} are on the Pareto front"
    return f"{front}; its knee is trial {best[0].id}: {metrics}." if subject.knee is not None else f"{front}."


def describe_compared(subject: Subject) -> str:
    """Return the number of trials that the best is selected from, and the number of trials that were trained less."""
    step, compared = subject.comparable
    shorter = len(subject.trials_with_value) - len(compared)
    if not shorter:
        return f"{plural(len(compared), 'trial')} with a value"
    trials = plural(len(compared), "trial")
    return f"the {trials} with {plural(step, subject.step_unit)} ({shorter:,} ended or paused earlier)"


def _describe_winner(subject: Subject, result: FullTrainingResult) -> str:
    winners, finalists = subject.stages.winners, plural(len(result.finalists), "finalist")
    if subject.has_several_objectives:
        winner_texts = "; ".join(f"trial {winner.trial.id} ({subject.format_metrics(winner)})" for winner in winners)
        are = "is" if len(winners) == 1 else "are"
        return f"After full training {len(winners)} of {finalists} {are} on the Pareto front: {winner_texts}."
    winner = winners[0]
    seeds = f", mean over {plural(len(winner.seeds), 'seed')}" if len(winner.seeds) > 1 else ""
    metrics = subject.format_metrics(winner)
    return f"Trial {winner.trial.id} is the winner of full training, of {finalists}: {metrics}{seeds}."


def describe_winner_in_search(subject: Subject) -> str | None:
    """Return a sentence that compares the winner of full training with the best trial of the search, by their search values.

    None without full training, or with several objectives.
    """
    if subject.full_training is None or subject.has_several_objectives:
        return None
    winner, metric = subject.stages.winners[0].trial, subject.state.objectives[0].metric
    value = format_metric(winner.metrics.get(metric))
    if not subject.best_trials or subject.best_trials[0].id == winner.id:
        return f"The winner was also the best of the search, with {metric} {value}."
    best = subject.best_trials[0]
    best_value = format_metric(best.metrics.get(metric))
    return f"In the search the winner had {metric} {value}; the best was trial {best.id} with {best_value}."


# -- how sure --------------------------------------------------------------------------------------------------------


def describe_certainty(subject: Subject) -> str:
    """Return how certain it is that the selected trial is the best, as far as the journal shows."""
    if not subject.best_trials:
        return "There is no result yet."
    if subject.full_training is not None:
        return _describe_certainty_of_winner(subject.full_training)
    if subject.state.test_reads:
        times = plural(subject.state.test_reads, "time")
        selection = f"the test split was read {times}; its metrics are unbiased only if nothing was selected by them"
    elif subject.has_several_objectives:
        return "The values are optimistic, because the trials were selected by them."
    else:
        selection = "the value is optimistic, because the trial was selected by it"
    random_comparison = _compare_with_random(subject)
    return as_sentence(selection if random_comparison is None else f"{random_comparison}; {selection}")


def _describe_certainty_of_winner(result: FullTrainingResult) -> str:
    tested = ", ".join(f"{name} {number(sum(v) / len(v))}" for name, v in result.winner.test.items() if len(v))
    test = f"on the test split it has {tested}" if tested else "the test split was not read"
    if len(result.objectives) > 1 or result.winner.probability is None:
        return as_sentence(test)
    finalists = plural(len(result.finalists), "finalist")
    return f"The winner is the best of {finalists} with probability {result.winner.probability:.2f}; {test}."


def _compare_with_random(subject: Subject) -> str | None:
    """Return a clause that compares the best trial with random search; None if there are too few random trials."""
    if subject.has_several_objectives:
        return None
    objective = subject.state.objectives[0]
    # The result of a separate random search that was compared with this one; None without such a search.
    separate_reference = subject.comparison.random_reference if subject.comparison else None
    if separate_reference is not None and separate_reference.metric != objective.metric:
        separate_reference = None
    values = list(separate_reference.values) if separate_reference is not None else subject.random_reference[0]
    if len(values) < 2:
        return None
    if separate_reference is None:
        if all(point.origin == "random" for point in subject.curve_points):
            return None
        point = next((p for p in subject.curve_points if p.trial == subject.best_trials[0].id), None)
        if point is not None and point.origin == "random":
            return (
                "the best trial is itself a random one, so nothing shows that the search is better than random search"
            )
    n = min(len(values), len(subject.curve_points))
    expected = float(compute_expected_best(values, objective.goal, [n])[0])
    best = subject.best_trials[0].metrics[objective.metric]
    is_better = (best > expected) == (objective.goal == "maximize") and best != expected
    comparison = "better than" if is_better else "not better than"
    return f"the best trial is {comparison} the expected best of {n} random trials, {number(expected)}"


def describe_gap(subject: Subject) -> str | None:
    """Return a sentence on how close the values of the best trials of the search are.

    With one training each, trials with close values cannot be ranked reliably. None if the trials cannot be compared, or if
    full training has compared them already.
    """
    if subject.full_training is not None or subject.has_several_objectives or len(subject.best_trials) < 2:
        return None
    metric = subject.state.objectives[0].metric
    first = subject.best_trials[0]
    highest_step = max(trial.step for trial in subject.best_trials)
    comparable = [trial for trial in subject.best_trials if trial.has_reached(highest_step)]
    last = comparable[-1]
    has_values = metric in first.metrics and metric in last.metrics
    if len(comparable) < 2 or not has_values or not subject.is_feasible(last):
        return None
    restriction = (
        "" if len(comparable) == len(subject.best_trials) else f" that reached {plural(highest_step, 'epoch')}"
    )
    gap = format_metric(abs(first.metrics[metric] - last.metrics[metric]))
    return (
        f"The {len(comparable)} best trials{restriction} differ by at most {gap} in {metric}, with one training each."
    )


def describe_value_epoch(subject: Subject) -> str | None:
    """Return a sentence about the epoch that gives a trial its value, if this is not simply the last epoch.

    The sentence says that the best epoch gives the value, or that an earlier epoch is better than the last one.
    """
    state = subject.state
    if not subject.best_trials:
        return None
    best = subject.best_trials[0]
    if state.best_epoch_rule is not None and best.value_report is not None:
        return (
            f"The value of trial {best.id} is that of its best epoch, {best.value_report.step} of {best.step}, selected by "
            f"{state.best_epoch_rule.metric}; it is optimistic, because it is the best of several measurements."
        )
    hint = detect_overtraining(state)
    return as_sentence(str(hint)) if hint is not None else None


# -- cost ------------------------------------------------------------------------------------------------------------


def describe_cost(subject: Subject) -> str:
    """Return what was spent, and what the whole search is expected to take."""
    state = subject.state
    if not state.trials:
        return "Nothing yet."
    workers = plural(state.settings["workers"], "worker")
    text = f"{duration(state.elapsed_seconds)} on {workers}{_format_money_spent(state)}"
    for final in subject.later_states.values():
        text += f", and full training {duration(final.elapsed_seconds)}{_format_money_spent(final)}"
    failed_seconds = sum(trial.seconds for trial in subject.failed_trials)
    if failed_seconds >= MIN_FAILED_SHARE * state.compute_seconds > 0:
        text += f"; failed trials took {duration(failed_seconds)} of {duration(state.compute_seconds)} of compute"
    if not state.end_reason and (projected := project_cost(state)):
        text += f"; {describe_projection(projected)}"
    return f"{text}."


def _format_money_spent(state: State) -> str:
    spent = compute_spending(state)
    return "" if spent.money is None else f" at a cost of {amount(spent.money, spent.currency)}"


# -- continue --------------------------------------------------------------------------------------------------------


def describe_continuation(subject: Subject) -> str:
    """Return whether the search should continue, according to the stop rules."""
    state = subject.state
    # The budget of a search that has ended is usually spent. This does not show whether more trials would be worthwhile.
    stop_verdicts = [v for v in subject.stop_verdicts if v.stop and not (state.end_reason and v.rule == "budget")]
    if state.end_reason:
        others = [verdict for verdict in stop_verdicts if verdict.reason not in state.end_reason]
        if others:
            return f"The search ended: {state.end_reason}; also, {_format_advice(others)}."
        remark = "" if stop_verdicts else "; no stop rule advises against more trials"
        return f"The search ended: {state.end_reason}{remark}."
    if state.error is not None:
        error = state.error.rstrip(".")
        return f"Yes: fix the error that ended the last session ({error}), then start the search again in the same way."
    if stop_verdicts:
        return f"No: {_format_advice(stop_verdicts)} ({stop_verdicts[0].reason})."
    if state.is_open:
        return "The search is running, unless its controller was killed, and no stop rule advises to stop."
    return "Yes: the search has not ended, and no stop rule advises to stop."


def _format_advice(verdicts: Sequence[StopVerdict]) -> str:
    rules = " and ".join(f"`{verdict.rule}`" for verdict in verdicts)
    return f"the stop rule {rules} advises to stop" if len(verdicts) == 1 else f"the stop rules {rules} advise to stop"


# -- next ------------------------------------------------------------------------------------------------------------


def describe_next_step(subject: Subject) -> str:
    """Return what to do next."""
    state = subject.state
    if not state.trials:
        return "Start the search: `ogive search JOB`."
    if subject.full_training is not None and subject.best_network is not None:
        return _describe_use_of_winner(subject, subject.best_network)
    if not subject.best_trials:
        if subject.trials_with_value:
            return "Loosen the constraints, or widen the space so that more architectures satisfy them."
        return f"Fix the failures first: see the failures below, and `ogive status {subject.folder_argument}`."
    if not state.end_reason and not any(verdict.stop for verdict in subject.stop_verdicts):
        return "Continue the search: repeat `ogive search` with the same job."
    if is_full_training(state):
        return "See `ogive status` of the search: this run is its full training."
    if not state.test_reads:
        return f"Train the best in full and select among them: `ogive finalize {subject.folder_argument} --top 10`."
    return "Use the best network; the test split has been read, so do not select by it again."


def _describe_use_of_winner(subject: Subject, winner: Delivery) -> str:
    if winner.missing_weights_reason is not None:
        return f"The winner, trial {winner.trial.id}, has no weights: {winner.missing_weights_reason}."
    option = f" --trial {winner.trial.id}" if len(subject.stages.winners) > 1 else ""
    if subject.state.test_reads or any(final.test_reads for final in subject.later_states.values()):
        tested = "the test split has been read, so do not select by it again"
    else:
        tested = "the test split was not read, so test the network on new data before you rely on it"
    return f"Export the winner: `ogive export {subject.folder_argument}{option} --to torch`; {tested}."


def collect_warnings(subject: Subject) -> list[str]:
    """Return warnings about the best network: those of the last stage, and the reason for missing weights."""
    warnings = list(subject.stages.warnings)
    network = subject.best_network
    if subject.full_training is None and network is not None and subject.state.trains_models:
        reason = network.missing_weights_reason
        if reason is not None:
            warnings.append(f"trial {network.trial.id} has no weights: {reason}")
    return warnings
