"""The answers of the checklists: each a function of a run that says yes, no or not applicable, and by which evidence."""

from __future__ import annotations

from dataclasses import dataclass

from ogive.formatting import amount, duration, of_limit, plural
from ogive.monitor.cost import gain, reviews
from ogive.monitor.diversity import WINDOW, mean_distance, random_distance
from ogive.monitor.stop_rules import INVALID_SHARE
from ogive.report.subject import Subject
from ogive.run.settings import Settings
from ogive.run.spending import HOUR, spend
from ogive.space.domain import IntegerRange, RealRange
from ogive.space.training_decisions import training_decisions

YES, NO, NEITHER = "yes", "no", "not applicable"
BUSY = 0.8
DIVERSE = 0.25
REPEATS = 0.1
WASTED = 0.1


@dataclass(frozen=True)
class Answer:
    """`verdict` is "yes", "no" or "not applicable"."""

    verdict: str
    evidence: str


def answer(good: bool, evidence: str, otherwise: str | None = None) -> Answer:
    """Yes with `evidence`, or no with `otherwise`."""
    return Answer(YES, evidence) if good else Answer(NO, otherwise or evidence)


def _settings(subject: Subject) -> Settings:
    return Settings.from_json(subject.state.settings)


# -- before ----------------------------------------------------------------------------------------------------------


def split_known(subject: Subject) -> Answer:
    found = subject.state.created["fingerprints"]
    told = ", ".join(f"{name} {value}" for name, value in found.items())
    return answer(bool(found), f"fingerprints: {told}", "the estimator tells no fingerprints of data or split")


def no_training_in_space(subject: Subject) -> Answer:
    names = training_decisions(subject.state.space)
    told = f"searched jointly with the architecture, whose rank then holds for these only: {', '.join(names)}"
    return answer(not names, "no decision has such a name", told)


def limits(subject: Subject) -> Answer:
    settings = _settings(subject)
    missing = [name for name in ("time_limit", "memory_limit") if getattr(settings, name) is None]
    told = f"time limit {duration(settings.time_limit or 0)}, memory limit {settings.memory_limit or 0:g} GB"
    return answer(not missing, told, f"not set: {', '.join(missing)}")


def budget(subject: Subject) -> Answer:
    settings = _settings(subject)
    currency = subject.state.price.currency if subject.state.price else ""
    parts = [duration(HOUR * settings.hours)] if settings.hours is not None else []
    parts += [amount(settings.money, currency or "of money")] if settings.money is not None else []
    return answer(bool(parts), " and ".join(parts), "no budget is set; max_trials alone bounds the search")


def criteria(subject: Subject) -> Answer:
    found = _settings(subject).criteria
    return answer(bool(found), " and ".join(map(str, found)), "none are set, so nothing says when it is good enough")


def routes(subject: Subject) -> Answer:
    found = _settings(subject).alerts
    return answer(
        bool(found), plural(len(found), "route"), "no route is set: alerts are in the journal and the live view only"
    )


def checkpoints(subject: Subject) -> Answer:
    if not subject.state.created["epochs"]:
        return Answer(NEITHER, "the estimator has no epochs: a trial is one step")
    if subject.folder is None or not subject.valued:
        return Answer(NEITHER, "no trial has come to a checkpoint yet")
    there = next((subject.folder / "trials").glob("*/**/checkpoint-*"), None)
    return answer(
        there is not None, "checkpoints are in the trials' folders", "there is no checkpoint in any trial's folder"
    )


# -- during ----------------------------------------------------------------------------------------------------------


def few_failures(subject: Subject) -> Answer:
    if not subject.resting:
        return Answer(NEITHER, "no trial has come to rest yet")
    share = subject.state.failed / subject.resting
    return answer(
        share <= INVALID_SHARE, f"{subject.state.failed:,} of {plural(subject.resting, 'trial')} ({share:.0%})"
    )


def no_traps(subject: Subject) -> Answer:
    if not subject.failed:
        return Answer(NEITHER, "no trial has failed")
    found = subject.failure_causes
    told = "; ".join(f"{trap.decision} {trap.text}: {trap.failed} of {trap.of}" for trap in found[:3])
    return answer(not found, "none is told apart from chance", told)


def no_critical(subject: Subject) -> Answer:
    found = [alert.message for alert in subject.state.alerts if alert.severity == "critical"]
    raised = plural(len(subject.state.alerts), "alert")
    return answer(not found, f"{raised}, none critical", "; ".join(found[:3]))


def busy(subject: Subject) -> Answer:
    found = subject.utilisation
    if not found.held_hours:
        return Answer(NEITHER, "no worker was held yet")
    return answer(found.mean >= BUSY, f"{100 * found.mean:.0f} % of the time for which workers were held")


def diverse(subject: Subject) -> Answer:
    recent = [trial.architecture for trial in subject.trials[-WINDOW:]]
    if len(recent) < 2:
        return Answer(NEITHER, "fewer than two architectures were proposed")
    now, chance = mean_distance(recent), random_distance(subject.state.space)
    told = f"mean distance {now:.2f} of the last {len(recent)}; random sampling has {chance:.2f}"
    return answer(now >= DIVERSE * chance, told)


def few_repeats(subject: Subject) -> Answer:
    n = len(subject.trials)
    if not n:
        return Answer(NEITHER, "nothing was proposed yet")
    same = n - len({trial.architecture.id for trial in subject.trials})
    return answer(same <= REPEATS * n, f"{same:,} of {n:,} proposals")


def same_code(subject: Subject) -> Answer:
    codes = [(session.get("code", ""), session.get("sources", {})) for session in subject.state.sessions]
    if len(codes) < 2:
        return Answer(NEITHER, "there was one session at most")
    former = ("train function", [code for code, _ in codes]), ("layers", [parts.get("layers") for _, parts in codes])
    changed = [name for name, seen in former if any(other != seen[0] for other in seen)]
    return answer(not changed, f"the same in {len(codes)} sessions", f"changed on the way: {', '.join(changed)}")


# -- after -----------------------------------------------------------------------------------------------------------


def ended(subject: Subject) -> Answer:
    return answer(bool(subject.state.ended), subject.state.ended, "it has not ended; it can be continued")


def converged(subject: Subject) -> Answer:
    found = next(verdict for verdict in subject.verdicts if verdict.rule == "converged")
    return answer(found.stop, found.reason)


def inside(subject: Subject) -> Answer:
    """Whether numbers of the best stand at the end of their range: then more may lie beyond."""
    decisions = subject.state.space.decisions
    numbers = {
        d.name: (d.domain.low, d.domain.high) for d in decisions if isinstance(d.domain, (IntegerRange, RealRange))
    }
    if not subject.best or not numbers:
        return Answer(NEITHER, "there is no best yet" if numbers else "no decision is a number")
    best = subject.drawn[0].trial.architecture
    at = [f"{name} = {best[name]}" for name, ends in numbers.items() if name in best and best[name] in ends]
    return answer(
        not at, "no number of the best stands at an end of its range", f"at an end of its range: {', '.join(at)}"
    )


def finalized(subject: Subject) -> Answer:
    found = subject.stage
    if found is None:
        return Answer(NO, "there is no second stage; `ogive finalize` makes one")
    told = f"{plural(len(found.finalists), 'finalist')}, winner {found.winner.name}"
    return answer(found.new_validation, told, f"{told}; validated on the examples of the search")


def predicts(subject: Subject) -> Answer:
    if subject.stage is None:
        return Answer(NEITHER, "there is no second stage")
    for item in subject.stage.agreement:
        tau = item.kendall
        if tau is not None and tau.value is not None and tau.low is not None and tau.high is not None:
            told = f"Kendall's tau {tau.value:.2f} of {item.metric}, 95 % interval {tau.low:.2f} to {tau.high:.2f}"
            return answer(tau.low > 0, told)
    return Answer(NEITHER, "no rank correlation could be computed")


def test_once(subject: Subject) -> Answer:
    return answer(subject.state.test_reads <= 1, f"read {plural(subject.state.test_reads, 'time')}")


def baseline(subject: Subject) -> Answer:
    there = subject.comparison is not None or (subject.stage is not None and subject.stage.baseline is not None)
    return answer(there, "under the same recipe and seeds", "the run holds no comparison with a baseline")


# -- cost ------------------------------------------------------------------------------------------------------------


def price(subject: Subject) -> Answer:
    found = subject.state.price
    return answer(found is not None, str(found), "no price is given")


def within_budget(subject: Subject) -> Answer:
    settings = _settings(subject)
    spent = spend(subject.state)
    parts = []
    if settings.hours is not None:
        parts.append((spent.hours <= 1.02 * settings.hours, _of_hours(spent.hours, settings.hours)))
    if settings.money is not None and spent.money is not None:
        text = of_limit(spent.money, settings.money, spent.currency)
        parts.append((spent.money <= 1.02 * settings.money, text))
    if not parts:
        return Answer(NEITHER, "there is no budget")
    return answer(all(good for good, _ in parts), " and ".join(text for _, text in parts))


def _of_hours(used: float, limit: float) -> str:
    return f"{duration(HOUR * used)} of {duration(HOUR * limit)}"


def projection_held(subject: Subject) -> Answer:
    found = reviews(subject.state)
    if not found:
        return Answer(NEITHER, "nothing was projected, or the search has not ended")
    held = sum(review.held for review in found)
    return answer(held == len(found), f"{held} of {len(found)} projections hold what it came to")


def little_wasted(subject: Subject) -> Answer:
    if not subject.state.seconds:
        return Answer(NEITHER, "nothing was computed yet")
    lost = sum(trial.seconds for trial in subject.failed)
    share = lost / subject.state.seconds
    return answer(share < WASTED, f"{duration(lost)} of {duration(subject.state.seconds)} ({100 * share:.0f} %)")


def cost_of_point(subject: Subject) -> Answer:
    found = gain(subject.state)
    if found is None:
        return Answer(NEITHER, "nothing was gained over the first trials yet")
    return Answer(YES, f"{duration(HOUR * found.hours_per_point)} of workers for each hundredth of {found.metric}")


# -- best practice ---------------------------------------------------------------------------------------------------


def final_pipeline(subject: Subject) -> Answer:
    if subject.stage is None:
        return Answer(NEITHER, "no network was trained in full")
    there = bool(subject.stage.recipe.keys() - {"settings"})
    return answer(
        there, "its recipe is in final/result.json", "a train function of the user's, whose code is not in the run"
    )


def space_known(subject: Subject) -> Answer:
    return Answer(YES, f"fingerprint {subject.state.space.fingerprint}, and its table of decisions in the journal")


def final_seeds(subject: Subject) -> Answer:
    if subject.stage is None:
        return Answer(NEITHER, "no network was trained in full")
    return Answer(
        YES, f"seeds {', '.join(map(str, subject.stage.winner.seeds))} of the winner, and the recipe, are recorded"
    )


def method_known(subject: Subject) -> Answer:
    versions = [session.get("versions", {}).get("ogive") for session in subject.state.sessions]
    known = [str(version) for version in dict.fromkeys(versions) if version]
    name = subject.state.created["strategy"]["name"]
    return answer(bool(known), f"strategy {name} of Ogive {', '.join(known)}", "no session recorded its versions")


def method_options(subject: Subject) -> Answer:
    created = subject.state.created
    return Answer(YES, f"seed {created['seed']}; options {created['strategy']['options'] or 'as by default'}")


def same_benchmark(subject: Subject) -> Answer:
    if subject.comparison is None and subject.stage is None:
        return Answer(NEITHER, "nothing is compared")
    return Answer(YES, "finalists and baseline share data, split and recipe")


def same_conditions(subject: Subject) -> Answer:
    sessions = subject.state.sessions
    if not sessions:
        return Answer(NEITHER, "there was no session")
    kinds = {(s.get("host"), s.get("threads"), str(s.get("versions"))) for s in sessions}
    threads = sessions[0].get("threads")
    each = f"{plural(threads, 'thread')} a worker, " if threads else ""
    told = f"one host, {each}one set of versions"
    return answer(
        len(kinds) == 1, told, f"{len(kinds)} combinations of host, threads and versions in {len(sessions)} sessions"
    )


def ablation(subject: Subject) -> Answer:
    return Answer(NEITHER, "one run uses one method; `ogive bench` compares methods")


def same_protocol(subject: Subject) -> Answer:
    step, full = subject.compared
    if not full:
        return Answer(NEITHER, "there is no best yet")
    return Answer(
        YES, f"the best is sought among {plural(len(full), 'trial')} at step {step}, on the same validation data"
    )


def over_time(subject: Subject) -> Answer:
    return answer(bool(subject.points), "the search curve", "no trial has come to rest yet")


def random_search(subject: Subject) -> Answer:
    given = subject.comparison is not None and subject.comparison.random_reference is not None
    if given:
        return Answer(YES, "a separate random search with the same recipe")
    own, note = subject.random
    return answer(
        len(own) >= 10, f"own random trials: {note}", note if len(own) < 2 else f"only {len(own)} random trials"
    )


def repeated(subject: Subject) -> Answer:
    return Answer(NO, f"this is one run, with seed {subject.state.created['seed']}")


def benchmark(subject: Subject) -> Answer:
    return Answer(NEITHER, "the search was for a network, not for a verdict on methods")


def tuning(subject: Subject) -> Answer:
    return Answer(NO, "the journal does not know how the recipe was found; say it beside the result")


def whole_time(subject: Subject) -> Answer:
    search = spend(subject.state)
    text = f"search {duration(HOUR * search.hours)} on the clock, {duration(HOUR * search.compute_hours)} of compute"
    if not subject.finals:
        return Answer(NO, f"{text}; there is no full training yet")
    final = spend(next(iter(subject.finals.values())))
    return Answer(YES, f"{text}; full training {duration(HOUR * final.compute_hours)} of compute")


def setup(subject: Subject) -> Answer:
    recipe = subject.state.created["recipe"] is not None
    sessions = plural(len(subject.state.sessions), "session")
    told = f"recipe, settings, versions, threads and seeds are in the journal ({sessions})"
    return answer(recipe and bool(subject.state.sessions), told, "the estimator does not tell its recipe")
