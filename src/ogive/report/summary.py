"""The top of the page: what was found, how sure that is, what it cost, whether to go on, and what to do next."""

from __future__ import annotations

from ogive.formatting import capitalized, counts, duration, number, plural
from ogive.monitor.cost import projection
from ogive.monitor.overtraining import overtraining
from ogive.report import facts
from ogive.report.sections.cost import money, projected_text
from ogive.report.subject import Subject, shown
from ogive.run.results import expected_best, why_none
from ogive.run.spending import spend
from ogive.run.state import State
from ogive.stages.full_training_result import FullTrainingResult


def lead(subject: Subject) -> str:
    """What was searched, in a sentence."""
    state = subject.state
    created = state.created
    sought = " and ".join(f"{'highest' if o.goal == 'maximize' else 'lowest'} {o.metric}" for o in state.objectives)
    under = f", under {', '.join(map(str, state.constraints))}" if state.constraints else ""
    schedule = "" if created["schedule"]["name"] == "full" else f" and schedule {facts.named(created['schedule'])}"
    epochs = f", up to {plural(created['epochs'], 'epoch')} each" if created["epochs"] else ""
    return (
        f"Searched {facts.size(state)} ({plural(len(state.space.decisions), 'decision')}) for the {sought}{under}, with "
        f"strategy {facts.named(created['strategy'])}{schedule}{epochs}."
    )


def tiles(subject: Subject) -> list[tuple[str, str]]:
    """Value and name of the run's main figures."""
    state = subject.state
    found: list[tuple[str, str]] = []
    if subject.several and subject.stage is not None:
        found.append((f"{len(subject.stages.winners):,}", "on the Pareto front after full training"))
    elif subject.several:
        found.append((f"{len(subject.front):,}", f"trial{'' if len(subject.front) == 1 else 's'} on the Pareto front"))
    elif subject.stage is not None and subject.first is not None:
        seeds = plural(len(subject.first.seeds), "seed") if len(subject.first.seeds) > 1 else "trained in full"
        for i, (name, value) in enumerate(subject.metrics(subject.first)):
            found.append((value, f"{name} of the winner, {seeds}" if i == 0 else f"{name} of the winner"))
    elif subject.best:
        for i, (name, value) in enumerate(subject.metrics(subject.best[0])):
            found.append((value, f"best {name}" if i == 0 else f"{name} of the best"))
    kinds = {status: n for status, n in state.count.items() if status.failed}
    return [
        *found,
        (f"{subject.resting:,} of {state.total:,}", "trials at rest"),
        (f"{state.failed:,}", f"failed ({counts(kinds)})" if state.failed else "failed"),
        (duration(state.elapsed), "elapsed"),
        (duration(state.seconds), "compute time of all trials"),
    ]


def found(subject: Subject) -> str:
    """What was found."""
    state, best = subject.state, subject.best
    if subject.stage is not None:
        return " ".join([_won(subject, subject.stage), *(_sentence(note) for note in subject.stages.notes)])
    if not state.trials:
        return "No trial was started."
    if not best:
        return capitalized(why_none(state)) if subject.valued else _all_failed(subject)
    valued = plural(len(subject.valued), "trial")
    values = subject.values(best[0])
    notes = "".join(f" {_sentence(note)}" for note in subject.stages.notes)
    if subject.several:
        if len(subject.front) == 1:
            return f"Trial {best[0].id} is not beaten in any objective, of {valued} with a value: {values}.{notes}"
        text = f"{plural(len(subject.front), 'trial')} on the Pareto front, of {valued} with a value."
        return text + (f" Its knee is trial {best[0].id}: {values}." if subject.knee else "") + notes
    return f"Trial {best[0].id} is the best of {valued} with a value: {values}.{notes}"


def _won(subject: Subject, stage: FullTrainingResult) -> str:
    """Which networks full training has chosen, and what the search had thought of them."""
    winners, finalists = subject.stages.winners, plural(len(stage.finalists), "finalist")
    violating = "" if subject.feasible(winners[0]) else " It violates a constraint."
    if subject.several:
        each = "; ".join(f"trial {winner.trial.id} ({subject.values(winner)})" for winner in winners)
        are = "is" if len(winners) == 1 else "are"
        return f"After full training {len(winners)} of {finalists} {are} on the front: {each}.{violating}"
    first, trial = winners[0], winners[0].trial
    seeds = f", mean over {plural(len(first.seeds), 'seed')}" if len(first.seeds) > 1 else ""
    text = (
        f"Trial {trial.id} is the winner of full training, of {finalists}: {subject.values(first)}{seeds}.{violating}"
    )
    metric = subject.state.objectives[0].metric
    before = shown(trial.metrics.get(metric))
    if not subject.best or subject.best[0].id == trial.id:
        return f"{text} It was the search's best, too, with {metric} {before}."
    best = subject.best[0]
    return (
        f"{text} In the search it had {metric} {before}, and the best was trial {best.id} with "
        f"{shown(best.metrics.get(metric))}."
    )


def _sentence(note: str) -> str:
    return f"{note[0].upper()}{note[1:]}."


def _all_failed(subject: Subject) -> str:
    state = subject.state
    return f"No trial has a value; {state.failed:,} of {plural(len(state.trials), 'trial')} failed."


def sure(subject: Subject) -> str:
    """How sure that is, as far as the journal tells."""
    if not subject.best:
        return "There is nothing to be sure of yet."
    parts = [] if subject.stage is None else [f"In the search, trial {subject.best[0].id} was the best."]
    parts.append(_against_random(subject))
    if not subject.several and len(subject.best) > 1:
        parts.append(_gap(subject))
    parts += [_epoch(subject), _stages(subject)]
    return " ".join(part for part in parts if part)


def _against_random(subject: Subject) -> str:
    if subject.several:
        return ""
    state = subject.state
    own, note = subject.random
    objective = state.objectives[0]
    given = subject.comparison.random_reference if subject.comparison else None
    values = list(given.values) if given is not None and given.metric == objective.metric else own
    if len(values) < 2 or (not given and all(point.origin == "random" for point in subject.points)):
        return "" if values else note
    best_point = next((point for point in subject.points if point.trial == subject.best[0].id), None)
    if not given and best_point is not None and best_point.origin == "random":
        return "The best is itself one of the random trials, so nothing shows that searching did better than chance."
    n = min(len(values), len(subject.points))
    expected = float(expected_best(values, objective.goal, [n])[0])
    best = subject.best[0].metrics[objective.metric]
    better = (best > expected) == (objective.goal == "maximize") and best != expected
    word = "better than" if better else "no better than"
    return f"It is {word} the {number(expected)} that the best of {n} random trials is expected to have."


def _gap(subject: Subject) -> str:
    """How close the next ones come: one training each does not order what is close."""
    metric = subject.state.objectives[0].metric
    first = subject.best[0]
    furthest = max(trial.step for trial in subject.best)
    alike = [trial for trial in subject.best if trial.reaches(furthest)]
    last = alike[-1]
    if len(alike) < 2 or metric not in first.metrics or metric not in last.metrics or not subject.feasible(last):
        return ""
    at = "" if len(alike) == len(subject.best) else f" of those that came to {plural(furthest, 'epoch')}"
    gap = abs(first.metrics[metric] - last.metrics[metric])
    return f"The best {len(alike)}{at} lie within {shown(gap)} of {metric}, one training each."


def _epoch(subject: Subject) -> str:
    """Which epoch is a trial's value, where that is worth a word."""
    state, best = subject.state, subject.best[0]
    if state.best_epoch_of is not None and best.value_report is not None:
        return (
            f"Its value is that of its best epoch, {best.value_report.step} of {best.step}, chosen by this very "
            f"{state.best_epoch_of.metric}: the best of several measurements is better than the network is on new data."
        )
    hint = overtraining(state)
    return f"Note: {hint}." if hint is not None else ""


def _stages(subject: Subject) -> str:
    if subject.stage is not None:
        return _second(subject.stage)
    if subject.state.test_reads:
        return f"The test split was read {plural(subject.state.test_reads, 'time')}."
    return "It was chosen by this very value, which flatters it; nothing was measured on data held out yet."


def _second(stage: FullTrainingResult) -> str:
    """What full training made of it."""
    finalists = plural(len(stage.finalists), "finalist")
    if len(stage.objectives) > 1:
        text = f"Trained in full, {len(stage.winners)} of {finalists} are on the front, first {stage.winner.name}"
    else:
        text = f"Trained in full, {stage.winner.name} is the best of {finalists}"
    if stage.probability is not None:
        text += f"; the search's best is the true best of them with probability {stage.probability:.2f}"
    tested = ", ".join(f"{name} {number(sum(v) / len(v))}" for name, v in stage.winner.test.items() if len(v))
    return f"{text}. Its test split: {tested}." if tested else f"{text}. The test split was not read."


def cost(subject: Subject) -> str:
    """What was spent, and what the whole search is expected to take."""
    state = subject.state
    if not state.trials:
        return "Nothing yet."
    spent = spend(state)
    paid = f" for {money(spent.money, spent.currency or 'of money')}" if spent.money is not None else ""
    lost = sum(trial.seconds for trial in subject.failed)
    wasted = f", {duration(lost)} of it in trials that failed" if lost else ""
    text = (
        f"{duration(state.elapsed)} on {plural(state.settings['workers'], 'worker')}{paid}; {duration(state.seconds)} of "
        f"compute{wasted}."
    )
    text += "".join(f" Full training took {_spent(final)} more." for final in subject.finals.values())
    projected = None if state.ended else projection(state)
    return f"{text} {projected_text(projected)}" if projected else text


def _spent(state: State) -> str:
    spent = spend(state)
    paid = f" and {money(spent.money, spent.currency or 'of money')}" if spent.money is not None else ""
    return f"{duration(state.elapsed)}{paid}"


def further(subject: Subject) -> str:
    """Whether to go on, in the words of the stop rules."""
    state = subject.state
    rules = [verdict for verdict in subject.verdicts if verdict.stop and not (state.ended and verdict.rule == "budget")]
    if state.ended:
        text = f"The search ended: {state.ended}."
    else:
        now = "It goes on now, or its controller has died." if state.open else "It can be continued."
        if state.error is not None:
            now = f"Its last session ended with {state.error.rstrip('.')}. The same call goes on once that is repaired."
        text = f"The search has not ended. {now}"
    told = [verdict for verdict in rules if verdict.reason not in state.ended]
    if rules:
        stops = [f"Stop ({verdict.rule.replace('_', ' ')}): {verdict.reason}." for verdict in told]
        return " ".join([text, *stops])
    still = next((verdict.reason for verdict in subject.verdicts if verdict.rule == "converged"), "")
    return f"{text} No rule says that more trials are useless: {still.removeprefix('not yet: ')}." if still else text


def decision(subject: Subject) -> list[tuple[str, str]]:
    """What a reader needs to decide: question and answer."""
    return [
        ("Found", found(subject)),
        ("How sure", sure(subject)),
        ("Cost", cost(subject)),
        ("Go on?", further(subject)),
        ("Next", following(subject)),
    ]


def following(subject: Subject) -> str:
    """What to do next."""
    state = subject.state
    if not state.trials:
        return "Start it: `ogive search JOB`."
    if subject.stage is not None and subject.first is not None:
        return " ".join([_use(subject), *_narrower(subject)])
    if not subject.best and subject.valued:
        return "Loosen the constraints, or widen the space towards what satisfies them."
    if not subject.best:
        return f"Mend what fails before anything else: see the failures below, and `ogive status {subject.where}`."
    parts = []
    if not state.ended and not any(verdict.stop for verdict in subject.verdicts):
        parts.append("Let it go on; `ogive search` continues it where it stopped.")
    elif subject.stage is None and not state.test_reads:
        parts.append(f"Train the best from scratch and choose among them: `ogive finalize {subject.where} --top 10`.")
    if subject.first is not None and subject.state.trains_models and subject.first.missing is not None:
        parts.append(f"Trial {subject.first.trial.id} has no weights: {subject.first.missing}.")
    parts += _narrower(subject)
    return " ".join(parts) or f"Use what was found; {_tested(subject)}."


def _use(subject: Subject) -> str:
    """What to do with the winner of full training."""
    first = subject.first
    assert first is not None
    if first.missing is not None:
        use = f"There are no weights of trial {first.trial.id}: {first.missing}."
    else:
        which = f" --trial {first.trial.id}" if len(subject.stages.winners) > 1 else ""
        use = f"Export it: `ogive export {subject.where}{which} --to torch`."
    return f"{use} {_sentence(_tested(subject))}"


def _narrower(subject: Subject) -> list[str]:
    return ["A next search may use the narrower space below."] if subject.narrower else []


def _tested(subject: Subject) -> str:
    if subject.state.test_reads or any(final.test_reads for final in subject.finals.values()):
        return "the test split has been read, so choose nothing more by it"
    return "the test split was not read: test it on data that chose nothing before you rely on it"
