"""The compiled space: WHAT CAN BE BUILT."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ogive.errors import SpaceError
from ogive.hashing import hash_text
from ogive.source import CodeIdentity, identity
from ogive.space import fingerprints, moves
from ogive.space.architecture import EMPTY, Architecture
from ogive.space.build import ExampleInput, build, checked_example
from ogive.space.code_sources import layer_sources, rule_sources
from ogive.space.compiler import compile_expression, describe_tree
from ogive.space.count import SizeBounds, count
from ogive.space.domain import Array, Label
from ogive.space.encoding import Encoding
from ogive.space.graph import Graph
from ogive.space.multipliers import check_multipliers, multiplied, multipliers_in
from ogive.space.restriction import Only, prune, restrict
from ogive.space.table import Decision
from ogive.space.tree import Node
from ogive.user_code import call, fault

Constraint = Callable[[Architecture], str | None]
Canonical = Callable[[Architecture], Any]

TRIES = 1000
"""How often a generator tries to meet the constraint before it gives up."""


class Space:
    """A search space: a declaration compiled into a table of decisions.

    Args:
        expression: layers whose arguments may be choices, and choices between layers.
        example_input: the shape of one input without the batch, such as (1, 28, 28); a tensor with the batch, such as token
            ids; a list of shapes or tensors for several inputs, or a dict of them by name; or a callable that makes the
            inputs of a model: a tensor, a tuple of positional inputs, or a dict. It may be added to the space of a run.
        constraint: a predicate that returns a reason why an architecture is not allowed, or None where it is.
        canonical: a function of an architecture that returns another architecture or any JSON value; architectures with
            equal results are the same network and share their id. It never changes what is built.
        graph: where decisions wire a cell, a function of an architecture that returns its graph: a label for each node,
            and (from, to) pairs of the nodes' numbers, as `wiring` makes it of operations on edges. Strategies with a
            model look at it (`auto`, `gp`, `bananas`); it never changes what is built.

    Raises:
        SpaceError: the declaration is ambiguous; the message says where and how to mend it.
    """

    def __init__(
        self,
        expression: Any,
        *,
        example_input: ExampleInput = None,
        constraint: Constraint | None = None,
        canonical: Canonical | None = None,
        graph: Graph | None = None,
    ) -> None:
        self.tree: Node | None
        self.tree, self.decisions = compile_expression(expression)
        self.example_input = checked_example(example_input)
        self.constraint = constraint
        self.canonical = canonical
        self.graph = graph
        self._prepare(None)

    def _prepare(self, fingerprint: str | None) -> None:
        self._by_name = {decision.name: decision for decision in self.decisions}
        self._encoding = Encoding(self.decisions)
        self.example = fingerprints.describe_example(self.example_input)
        self._fingerprint = fingerprint
        self._size: int | float | SizeBounds | None = None

    # -- as JSON -------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """The table and the fingerprint: enough to read a journal, not to build a model."""
        decisions = [decision.describe() for decision in self.decisions]
        return {"decisions": decisions, "fingerprint": self.fingerprint, "example_input": self.example}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Space:
        """The space that `to_json` wrote; without layers, constraint, canonical form and graph."""
        space = Space.__new__(Space)
        space.tree, space.example_input, space.constraint, space.canonical, space.graph = None, None, None, None, None
        space.decisions = tuple(Decision.from_json(row) for row in data["decisions"])
        space._prepare(data["fingerprint"])
        space.example = data.get("example_input")
        return space

    def adopt(self, declared: Space) -> Space:
        """Become `declared`, which this space, read from a journal, is of; its architectures can be built from then on.

        `declared` may have an example input where this space has none.

        Raises:
            SpaceError: `declared` is another space.
        """
        if not fingerprints.is_same(self, declared):
            raise SpaceError(f"this is another space: {'; '.join(self.differences(declared))}")
        self.__dict__.update(declared.__dict__)
        return self

    @property
    def fingerprint(self) -> str:
        """A hash of the table, the factories' import paths, their plain arguments and the example input."""
        if self._fingerprint is None:
            self._fingerprint = fingerprints.fingerprint(self, self.example)
        return self._fingerprint

    @property
    def former(self) -> tuple[str, ...]:
        """The fingerprint that this space had before it was given an example input; empty where it has none."""
        return () if self.tree is None or self.example is None else (fingerprints.fingerprint(self, None),)

    def differences(self, other: Space) -> list[str]:
        """What sets `other` apart from this space, a line for each decision; for the error of a changed space.

        An example input that was added is no difference.
        """
        return fingerprints.differences(self, other)

    def code(self) -> CodeIdentity:
        """What identifies the code that models are built from, which the fingerprint knows by name only."""
        return identity([] if self.tree is None else layer_sources(self.tree, self.example_input))

    def rules(self) -> CodeIdentity:
        """What identifies the code of constraint, canonical form and graph."""
        return identity(rule_sources(self))

    # -- architectures -------------------------------------------------------------------------------------------

    def architecture(self, choices: Mapping[str, Label]) -> Architecture:
        """The architecture with these labels.

        Raises:
            SpaceError: an unknown or inactive decision, a missing one, or a label that its decision does not have.
        """
        if not choices.keys() <= self._by_name.keys():
            name = next(name for name in choices if name not in self._by_name)
            close = difflib.get_close_matches(name, self._by_name, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(self._by_name)}"
            raise SpaceError(f"there is no decision {name!r}; {hint}")
        checked: dict[str, Label] = {}
        for name, decision in self._by_name.items():
            if decision.conditional and not decision.active(checked):
                continue
            if name not in choices:
                raise SpaceError(f"decision {name!r} is missing; {_allowed(decision)}")
            try:
                checked[name] = decision.domain.parse(choices[name])
            except ValueError as error:
                raise SpaceError(f"decision {name!r}: {error}") from None
        if len(checked) < len(choices):
            name = next(name for name in choices if name not in checked)
            raise SpaceError(f"decision {name!r} is not active with the other labels; leave it out")
        return Architecture(self, checked)

    def restricted(self, only: Only) -> Space:
        """This space with fewer alternatives: the same names and labels, constraint, canonical form and graph.

        Its architectures are architectures of this space too, and are built alike. It is another space: a run is not
        continued in it, and a new one may start from what was found here.

        Args:
            only: for some decisions what is left of them: labels of a `one_of` or a `some_of`, the two ends of an
                `integer` or a `real`.

        Raises:
            SpaceError: an unknown decision or label, or nothing is left of a decision.
        """
        space = Space.__new__(Space)
        space.decisions = restrict(self.decisions, only)
        space.tree = None if self.tree is None else prune(self.tree, space.decisions)
        space.example_input, space.graph = self.example_input, self.graph
        space.constraint, space.canonical = self.constraint, self.canonical
        space._prepare(None if self.tree is not None else f"{self.fingerprint}, restricted")
        return space

    def violation(self, architecture: Architecture) -> str | None:
        """Why the constraint does not allow `architecture`; None where it does.

        Raises:
            UserCodeError: the constraint raised, or returned neither a text nor None.
        """
        if self.constraint is None:
            return None
        reason: object = call("constraint", self.constraint, architecture, about=architecture)
        if reason is None or isinstance(reason, str):
            return reason or None
        remedy = "return the reason (a string) why the architecture is not allowed, or None where it is"
        raise fault("constraint", self.constraint, f"returned {reason!r}", architecture, remedy=remedy)

    def size(self) -> int | float | SizeBounds:
        """The exact number of distinct active assignments, before constraint and canonical form.

        Infinite with a real decision; `SizeBounds` where shared names under many conditions make counting too long.
        """
        if self._size is None:
            self._size = count(self.decisions)
        return self._size

    def sample(self, rng: np.random.Generator) -> Architecture:
        """An architecture whose every active decision is uniform over its labels.

        Raises:
            SpaceError: the constraint refused 1,000 samples.
        """
        n = len(self.decisions)
        return self._first(lambda: moves.complete(self.decisions, {}, rng.random(n).tolist()), "samples")

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """`architecture` with exactly one active decision changed, uniformly, and what that activates sampled.

        Raises:
            SpaceError: nothing can be changed, or the constraint refused 1,000 mutations.
        """
        if not any(self._by_name[name].domain.size > 1 for name in architecture):
            raise SpaceError(f"{architecture!r} cannot be mutated: each of its decisions has one alternative")
        n = len(self.decisions) + 2
        return self._first(
            lambda: moves.mutate(self.decisions, architecture._choices, rng.random(n).tolist()), "mutations"
        )

    def crossover(self, a: Architecture, b: Architecture, rng: np.random.Generator) -> Architecture:
        """A child that has each active decision from either parent, at random; sampled where neither has it.

        Raises:
            SpaceError: the constraint refused 1,000 children.
        """
        n = 2 * len(self.decisions)
        return self._first(
            lambda: moves.crossover(self.decisions, a._choices, b._choices, rng.random(n).tolist()), "children"
        )

    def neighbors(self, architecture: Architecture, rng: np.random.Generator | None = None) -> Iterator[Architecture]:
        """All allowed architectures that differ in one active decision, in the table's order.

        A categorical decision takes every other label, a whole number the next ones, a real number a tenth of its range
        up and down, a subset one member more, less or exchanged. What the change activates is sampled, or takes its first
        labels where `rng` is None. Where nothing is activated the relation is symmetric (to the last digit of a real).
        """
        u = rng.random(len(self.decisions)).tolist() if rng else [0.0] * len(self.decisions)
        return self._allowed(moves.neighbors(self.decisions, architecture._choices, u))

    def grid(self, resolution: int = 5) -> Iterator[Architecture]:
        """Every allowed architecture, one at a time, with `resolution` values of each real decision."""
        return self._allowed(moves.grid(self.decisions, resolution))

    def _allowed(self, candidates: Iterable[moves.Choices]) -> Iterator[Architecture]:
        for choices in candidates:
            architecture = Architecture(self, choices)
            if self.constraint is None or self.violation(architecture) is None:
                yield architecture

    def _first(self, generate: Callable[[], moves.Choices], what: str) -> Architecture:
        """The first generated architecture that the constraint allows."""
        if self.constraint is None:
            return Architecture(self, generate())
        reasons: Counter[str] = Counter()
        for _ in range(TRIES):
            architecture = Architecture(self, generate())
            reason = self.violation(architecture)
            if reason is None:
                return architecture
            reasons[reason] += 1
        reason, times = reasons.most_common(1)[0]
        raise SpaceError(f"the constraint refused all of {TRIES} {what}; {times} times because: {reason}")

    # -- vectors -------------------------------------------------------------------------------------------------

    def encode(self, architectures: Sequence[Architecture]) -> Array:
        """[n] architectures -> [n, d] numbers in [0, 1]; the layout is `columns()`."""
        return self._encoding.encode([architecture._choices for architecture in architectures])

    def decode(self, encoded: Array) -> list[Architecture]:
        """[n, d] numbers -> [n] architectures: `decode(encode(a)) == a`; other vectors go to the nearest labels.

        The constraint is not asked: `violation` tells.

        Raises:
            SpaceError: a wrong shape, or NaN.
        """
        encoded = np.asarray(encoded, dtype=float)
        if encoded.ndim != 2 or encoded.shape[1] != self._encoding.width or np.isnan(encoded).any():
            raise SpaceError(
                f"decode expects numbers of shape [n, {self._encoding.width}] without NaN, but got {list(encoded.shape)}"
            )
        return [Architecture(self, choices) for choices in self._encoding.decode(encoded)]

    def columns(self) -> list[tuple[str, str]]:
        """For each column of the encoding: the decision's name, and the label it stands for, `value` or `active`."""
        return self._encoding.columns()

    # -- models --------------------------------------------------------------------------------------------------

    @property
    def multipliers(self) -> frozenset[str]:
        """The multipliers ("width", "depth") that something in the declaration is `scaled` by."""
        return multipliers_in(self.tree)

    @property
    def scaling(self) -> str:
        """A hash of what is `scaled`, which the fingerprint leaves out; "" where nothing is."""
        if self.tree is None or not self.multipliers:
            return ""
        return hash_text(json.dumps(describe_tree(self.tree, scales=True)))

    def build(
        self,
        architecture: Architecture,
        seed: int | None = None,
        *,
        multipliers: Mapping[str, float] = EMPTY,
        example_input: ExampleInput = None,
    ) -> Any:
        """The model of `architecture`; see `Architecture.build`."""
        if self.tree is None:
            raise SpaceError(
                "this space was read from a journal and holds no layers; open the run with og.open_run(folder, trust=True), "
                "or take the space from where it is declared"
            )
        if multipliers:
            check_multipliers(multipliers, self.multipliers)
        with multiplied(multipliers):
            return build(self.tree, architecture, example_input or self.example_input, seed)

    def __repr__(self) -> str:
        size = self.size()
        number = f"{size:,}" if isinstance(size, int) else str(size)
        return f"<Space of {len(self.decisions)} decisions, {number} architectures>"


def _allowed(decision: Decision) -> str:
    described = decision.domain.describe()
    if "labels" in described:
        return f"its labels are {', '.join(map(repr, described['labels']))}"
    return f"it is a number from {described['low']} to {described['high']}"
