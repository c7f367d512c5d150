"""The search space: a compiled declaration, and all operations on its architectures."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ogive.errors import SpaceError
from ogive.hashing import hash_json, hash_text
from ogive.source import CodeIdentity, identify_code
from ogive.space import fingerprints, moves
from ogive.space.architecture import EMPTY, Architecture
from ogive.space.build import ExampleInput, build, normalize_example_input
from ogive.space.code_sources import layer_sources, rule_sources
from ogive.space.compiler import compile_expression, describe_tree
from ogive.space.count import SizeBounds, count
from ogive.space.domain import Array, Label
from ogive.space.encoding import Encoding
from ogive.space.graph import GraphFunction
from ogive.space.multipliers import apply_multipliers, check_multipliers, collect_multipliers
from ogive.space.restriction import Only, prune, restrict
from ogive.space.table import Decision
from ogive.space.tree import Node
from ogive.user_code import call_user_function, make_user_code_error

Constraint = Callable[[Architecture], str | None]
Canonical = Callable[[Architecture], Any]

MAX_TRIES = 1000
"""`sample`, `mutate` and `crossover` draw at most this many architectures until the constraint allows one."""


class Space:
    """A search space: a declaration compiled into a table of decisions.

    Args:
        expression: layers whose arguments may be choices, and choices between layers.
        example_input: the shape of one input without the batch, such as (1, 28, 28); a tensor with the batch, such as token
            ids; a list of shapes or tensors for several inputs, or a dict of them by name; or a function that makes the
            inputs of a model: a tensor, a tuple of positional inputs, or a dict. A run can be continued after an example
            input was added to its space.
        constraint: a function that returns the reason why an architecture is not allowed, or None (or "") if it is allowed.
        canonical: a function of an architecture that returns another architecture or any JSON value. Architectures with
            equal results are the same network and share their id. The function never changes which model is built.
        graph: for spaces whose decisions wire a cell, a function of an architecture that returns its graph: a label for
            each node, and (from, to) pairs of node numbers. `wiring` makes the graph of a cell with operations on its edges.
            Strategies with a model (`auto`, `gp`, `bananas`) use the graph. It never changes which model is built.

    Raises:
        SpaceError: the declaration is ambiguous; the message gives the position and a remedy.
    """

    def __init__(
        self,
        expression: Any,
        *,
        example_input: ExampleInput = None,
        constraint: Constraint | None = None,
        canonical: Canonical | None = None,
        graph: GraphFunction | None = None,
    ) -> None:
        self.tree: Node | None
        self.tree, self.decisions = compile_expression(expression)
        self.example_input = normalize_example_input(example_input)
        self.constraint = constraint
        self.canonical = canonical
        self.graph = graph
        self._prepare(None)

    def _prepare(self, fingerprint: str | None) -> None:
        """Set the derived attributes. A space without layers needs its `fingerprint`, since it cannot be computed."""
        self._by_name = {decision.name: decision for decision in self.decisions}
        self._encoding = Encoding(self.decisions)
        self.example_json = fingerprints.describe_example(self.example_input)
        self._fingerprint = fingerprint
        self._size: int | float | SizeBounds | None = None

    # -- JSON and identity ---------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Return the table and the fingerprint as JSON. They are enough to read a journal, but not to build models."""
        decisions = [decision.describe() for decision in self.decisions]
        return {"decisions": decisions, "fingerprint": self.fingerprint, "example_input": self.example_json}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Space:
        """Return the space from the result of `to_json`, without layers, constraint, canonical form and graph."""
        space = Space.__new__(Space)
        space.tree, space.example_input, space.constraint, space.canonical, space.graph = None, None, None, None, None
        space.decisions = tuple(Decision.from_json(row) for row in data["decisions"])
        space._prepare(data["fingerprint"])
        space.example_json = data.get("example_input")
        return space

    def attach_declaration(self, declaration: Space) -> Space:
        """Copy the layers and functions of `declaration`, so that this space from a journal can build models.

        `declaration` may have an additional example input.

        Raises:
            SpaceError: `declaration` is another space.
        """
        if not fingerprints.describes_same_space(self, declaration):
            raise SpaceError(f"this is another space: {'; '.join(self.differences(declaration))}")
        self.__dict__.update(declaration.__dict__)
        return self

    @property
    def fingerprint(self) -> str:
        """A hash of the table, the factories' import paths, their plain arguments and the example input."""
        if self._fingerprint is None:
            self._fingerprint = fingerprints.compute_fingerprint(self, self.example_json)
        return self._fingerprint

    @property
    def fingerprints_without_example(self) -> tuple[str, ...]:
        """The fingerprint that this space would have without its example input; empty without example input or layers."""
        return () if self.tree is None or self.example_json is None else (fingerprints.compute_fingerprint(self, None),)

    def differences(self, other: Space) -> list[str]:
        """Return a line for each difference of `other` from this space; an added example input is none."""
        return fingerprints.describe_differences(self, other)

    def code_identity(self) -> CodeIdentity:
        """Return the identity of the code that models are built from. (The fingerprint contains only import paths.)"""
        return identify_code([] if self.tree is None else layer_sources(self.tree, self.example_input))

    def rules_identity(self) -> CodeIdentity:
        """Return the identity of the code of constraint, canonical form and graph."""
        return identify_code(rule_sources(self))

    # -- architectures -------------------------------------------------------------------------------------------

    def architecture(self, labels: Mapping[str, Label]) -> Architecture:
        """Return the architecture with these labels.

        Raises:
            SpaceError: a decision is unknown, inactive or missing, or does not have the label.
        """
        if not labels.keys() <= self._by_name.keys():
            name = next(name for name in labels if name not in self._by_name)
            close = difflib.get_close_matches(name, self._by_name, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"the decisions are {', '.join(self._by_name)}"
            raise SpaceError(f"there is no decision {name!r}; {hint}")
        parsed: dict[str, Label] = {}
        for name, decision in self._by_name.items():
            if decision.is_conditional and not decision.is_active(parsed):
                continue
            if name not in labels:
                raise SpaceError(f"decision {name!r} is missing; {_format_labels(decision)}")
            try:
                parsed[name] = decision.domain.parse(labels[name])
            except ValueError as error:
                raise SpaceError(f"decision {name!r}: {error}") from None
        if len(parsed) < len(labels):
            name = next(name for name in labels if name not in parsed)
            raise SpaceError(f"decision {name!r} is not active with the other labels; leave out {name!r}")
        return Architecture(self, parsed)

    def restricted(self, only: Only) -> Space:
        """Return this space with fewer alternatives: the same names, labels, constraint, canonical form and graph.

        The architectures of the restricted space are also architectures of this space, and give the same models. A run of
        this space cannot be continued in the restricted space, but a new run can start from its best trials.

        Args:
            only: the alternatives to keep, for some of the decisions: labels of a `one_of` or a `some_of`, or the two
                ends of an `integer` or a `real`.

        Raises:
            SpaceError: a decision or a label is unknown, or no alternative of a decision remains.
        """
        space = Space.__new__(Space)
        space.decisions = restrict(self.decisions, only)
        space.tree = None if self.tree is None else prune(self.tree, space.decisions)
        space.example_input, space.graph = self.example_input, self.graph
        space.constraint, space.canonical = self.constraint, self.canonical
        # Without layers the fingerprint cannot be computed. This text differs from every computed fingerprint.
        table = hash_json([decision.describe() for decision in space.decisions])
        space._prepare(None if self.tree is not None else f"{self.fingerprint}, restricted to {table}")
        return space

    def violation(self, architecture: Architecture) -> str | None:
        """Return why the constraint does not allow `architecture`, or None if it does.

        Raises:
            UserCodeError: the constraint raised an exception, or returned neither a string nor None.
        """
        if self.constraint is None:
            return None
        reason: object = call_user_function("constraint", self.constraint, architecture, about=architecture)
        if reason is None or isinstance(reason, str):
            return reason or None
        remedy = "return the reason (a string) why the architecture is not allowed, or None if it is"
        raise make_user_code_error("constraint", self.constraint, f"returned {reason!r}", architecture, remedy=remedy)

    def size(self) -> int | float | SizeBounds:
        """Return the exact number of distinct architectures, before constraint and canonical form.

        `math.inf` with a real decision; `SizeBounds` if names shared under many conditions make counting too slow.
        """
        if self._size is None:
            self._size = count(self.decisions)
        return self._size

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Return a random architecture: each active decision is uniform over its labels, with `log=True` over logarithms.

        Raises:
            SpaceError: the constraint did not allow any of 1,000 samples.
        """
        n = len(self.decisions)
        return self._first_allowed(lambda: moves.complete(self.decisions, {}, rng.random(n).tolist()), "samples")

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Return `architecture` with exactly one active decision changed.

        The decision and its new label are uniform; decisions that the change activates are sampled.

        Raises:
            SpaceError: no decision can be changed, or the constraint did not allow any of 1,000 mutations.
        """
        if not any(self._by_name[name].domain.size > 1 for name in architecture):
            raise SpaceError(f"{architecture!r} cannot be mutated: each of its decisions has one alternative")
        n = len(self.decisions) + 2
        return self._first_allowed(
            lambda: moves.mutate(self.decisions, architecture._labels, rng.random(n).tolist()), "mutations"
        )

    def crossover(self, a: Architecture, b: Architecture, rng: np.random.Generator) -> Architecture:
        """Return a child of `a` and `b` by uniform crossover; decisions that are active in neither parent are sampled.

        Raises:
            SpaceError: the constraint did not allow any of 1,000 children.
        """
        n = 2 * len(self.decisions)
        return self._first_allowed(
            lambda: moves.crossover(self.decisions, a._labels, b._labels, rng.random(n).tolist()), "children"
        )

    def neighbors(self, architecture: Architecture, rng: np.random.Generator | None = None) -> Iterator[Architecture]:
        """Yield all allowed architectures that differ in one active decision, in the table's order.

        The neighbours of a categorical label are all other labels; of a whole number, the next smaller and larger one; of
        a real number, a tenth of the range up and down; of a subset, one member more, less or exchanged. Decisions that
        the change activates are sampled, or have their first labels if `rng` is None. Changes that activate nothing are
        symmetric (up to the last digit of a real number).
        """
        u = rng.random(len(self.decisions)).tolist() if rng else [0.0] * len(self.decisions)
        return self._allowed(moves.neighbors(self.decisions, architecture._labels, u))

    def grid(self, resolution: int = 5) -> Iterator[Architecture]:
        """Yield every allowed architecture, with `resolution` values of each real decision."""
        return self._allowed(moves.grid(self.decisions, resolution))

    def _allowed(self, candidates: Iterable[moves.Labels]) -> Iterator[Architecture]:
        for labels in candidates:
            architecture = Architecture(self, labels)
            if self.constraint is None or self.violation(architecture) is None:
                yield architecture

    def _first_allowed(self, generate: Callable[[], moves.Labels], kind: str) -> Architecture:
        """Return the first generated architecture that the constraint allows; an error calls the architectures `kind`."""
        if self.constraint is None:
            return Architecture(self, generate())
        reasons: Counter[str] = Counter()
        for _ in range(MAX_TRIES):
            architecture = Architecture(self, generate())
            reason = self.violation(architecture)
            if reason is None:
                return architecture
            reasons[reason] += 1
        reason, times = reasons.most_common(1)[0]
        raise SpaceError(f"the constraint allows none of {MAX_TRIES} {kind}; main reason ({times} times): {reason}")

    # -- vectors -------------------------------------------------------------------------------------------------

    def encode(self, architectures: Sequence[Architecture]) -> Array:
        """Return the encoding [n, d] of n architectures, with values in [0, 1]; `columns()` describes the d columns."""
        return self._encoding.encode([architecture._labels for architecture in architectures])

    def decode(self, encoded: Array) -> list[Architecture]:
        """Return the architectures of n vectors [n, d]: `decode(encode(a)) == a`. Other vectors give the nearest labels.

        The constraint is not checked; `violation` does that.

        Raises:
            SpaceError: the shape is wrong, or a value is NaN.
        """
        encoded = np.asarray(encoded, dtype=float)
        if encoded.ndim != 2 or encoded.shape[1] != self._encoding.width or np.isnan(encoded).any():
            raise SpaceError(
                f"decode expects numbers of shape [n, {self._encoding.width}] without NaN, but got {list(encoded.shape)}"
            )
        return [Architecture(self, labels) for labels in self._encoding.decode(encoded)]

    def columns(self) -> list[tuple[str, str]]:
        """Return for each column of the encoding the decision's name, and the label it encodes, "value" or "active"."""
        return self._encoding.columns()

    # -- models --------------------------------------------------------------------------------------------------

    @property
    def multipliers(self) -> frozenset[str]:
        """The multipliers ("width", "depth") by which at least one value of the declaration is `scaled`."""
        return collect_multipliers(self.tree)

    @property
    def scaling_hash(self) -> str:
        """A hash of the tree with its `scaled` values, which the fingerprint leaves out; "" if there are none."""
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
        """Build the model of `architecture`; see `Architecture.build`."""
        if self.tree is None:
            raise SpaceError(
                "this space was read from a journal and holds no layers; open the run with og.open_run(folder, trust=True), "
                "or use the space of the program that declares it"
            )
        if multipliers:
            check_multipliers(multipliers, self.multipliers)
        example = self.example_input if example_input is None else normalize_example_input(example_input)
        with apply_multipliers(multipliers):
            return build(self.tree, architecture, example, seed)

    def __repr__(self) -> str:
        size = self.size()
        number = f"{size:,}" if isinstance(size, int) else str(size)
        return f"<Space of {len(self.decisions)} decisions, {number} architectures>"


def _format_labels(decision: Decision) -> str:
    domain_json = decision.domain.describe()
    if "labels" in domain_json:
        return f"its labels are {', '.join(map(repr, domain_json['labels']))}"
    return f"it is a number from {domain_json['low']} to {domain_json['high']}"
