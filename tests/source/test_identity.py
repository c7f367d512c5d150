"""The identity of code changes if, and only if, a function or class would run different code."""

from __future__ import annotations

import copy
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from ogive.source import CodeIdentity, find_differences, identify_code

MODEL = '''
import functools
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

import parts
import parts.blocks as blocks
from parts.sizes import WIDTH


class Mode(Enum):
    FAST = 1


def traced(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        return function(*arguments)
    return wrapper


def doubled(x):
    # a comment
    return 2 * x


OPERATIONS = MappingProxyType({"double": doubled, "same": [lambda x: x]})


@dataclass(slots=True)
class Config:
    depth: int = 3
    names: list = field(default_factory=lambda: ["a"])


CONFIG = Config()


class Base:
    scale = 1.5

    def start(self):
        return 10


class Net(Base):
    """A network."""

    def __init__(self, width=WIDTH):
        self.width = width + blocks.make(3) + CONFIG.depth

    @property
    def mode(self):
        return Mode.FAST

    @staticmethod
    def half(x):
        return x / 2

    @traced
    def forward(self, x):
        return OPERATIONS["double"](x) + self.start()

    def late(self):
        from parts import late
        return late.value()

    def named(self, name):
        return getattr(blocks, name)()


smaller = functools.partial(Net, width=2)


def closed(n):
    return lambda x: x + n


add = closed(1)
'''
FILES = {
    "model.py": MODEL,
    "parts/__init__.py": "",
    "parts/sizes.py": "WIDTH = 8\n",
    "parts/blocks.py": "from .deep import inner\n\n\ndef make(n):\n    return inner(n)\n\n\ndef other():\n    return 1\n",
    "parts/deep.py": "def inner(n):\n    return n + 1\n",
    "parts/late.py": "from . import later\n\n\ndef value():\n    return later.NUMBER\n",
    "parts/later.py": "NUMBER = 5\n",
}


class Project:
    """A project of a user in files, which is imported again at each load."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, edit: tuple[str, str, str] | None = None) -> ModuleType:
        self.forget()
        for name, text in FILES.items():
            if edit is not None and name == edit[0]:
                assert edit[1] in text
                text = text.replace(edit[1], edit[2])
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        importlib.invalidate_caches()
        return importlib.import_module("model")

    def forget(self) -> None:
        for name in list(sys.modules):
            if name.partition(".")[0] in ("model", "parts"):
                del sys.modules[name]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two edits within one second
    result = Project(tmp_path)
    yield result
    result.forget()


def identify(module: ModuleType) -> CodeIdentity:
    return identify_code([("layer", module.Net), ("layer", module.smaller), ("constraint", module.add)])


@pytest.mark.parametrize(
    ("file", "before", "after", "name"),
    [
        ("model.py", "return 2 * x", "return 3 * x", "model.doubled"),
        ("model.py", "lambda x: x]", "lambda x: -x]", "model.<lambda>"),
        ("model.py", "x / 2", "x / 3", "layer model.Net"),
        ("model.py", "return Mode.FAST", "return None", "layer model.Net"),
        ("model.py", "+ self.start()", "- self.start()", "model.Net.forward"),
        ("model.py", "return function(*arguments)", "return function(*arguments) + 1", "layer model.Net"),
        ("model.py", "return 10", "return 11", "model.Base"),
        ("model.py", "scale = 1.5", "scale = 2.5", "model.Base"),
        ("model.py", "FAST = 1", "FAST = 2", "model.Mode"),
        ("model.py", "depth: int = 3", "depth: int = 4", "model.Config"),
        ("model.py", '["a"]', '["b"]', "model.Config.<lambda>"),
        ("model.py", "Config()", "Config(depth=5)", "layer model.Net"),
        ("model.py", "width=2", "width=3", "layer model.Net"),
        ("model.py", "closed(1)", "closed(2)", "constraint model.closed.<locals>.<lambda>"),
        ("parts/sizes.py", "8", "9", "layer model.Net"),
        ("parts/deep.py", "n + 1", "n + 2", "parts.deep.inner"),
        ("parts/blocks.py", "return 1", "return 2", "parts.blocks.other"),
        ("parts/late.py", "later.NUMBER", "2 * later.NUMBER", "module parts.late"),
        ("parts/later.py", "5", "6", "module parts.later"),
    ],
)
def test_every_change_of_the_executed_code_changes_a_named_part(
    project: Project, file: str, before: str, after: str, name: str
) -> None:
    old = identify(project.load())
    assert old.missing == ()
    new = identify(project.load((file, before, after)))
    assert new.hash != old.hash
    assert name in find_differences(old.parts, new.parts)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# a comment", "# another comment\n\n"),
        ("return 2 * x", "return (2 *\n            x)"),
        ('"""A network."""', '"""Another text."""'),
        ("def doubled(x):", "def unused():\n    return 1\n\n\ndef doubled(x: int) -> int:"),
        ("return 2 * x", "return 2 * x\n\n\ndef nobody():\n    return doubled(1)"),
    ],
)
def test_comments_formatting_docstrings_and_unused_code_change_nothing(
    project: Project, before: str, after: str
) -> None:
    old = identify(project.load())
    new = identify(project.load(("model.py", before, after)))
    assert find_differences(old.parts, new.parts) == []
    assert new.hash == old.hash


def test_code_that_was_edited_after_its_import_is_not_identified(project: Project) -> None:
    module = project.load()
    assert identify(module).find_edited_files() == []
    identified = identify(module)
    path = project.folder / "parts" / "deep.py"
    path.write_text("def inner(n):\n    return n + 200\n")
    assert identified.find_edited_files() == [str(path)]
    (line,) = identify(module).missing
    assert line == f"parts.deep.inner: the loaded code differs from what {path} contains now"


def test_code_without_a_source_file_is_missing(project: Project) -> None:
    module = project.load()
    exec("class Made(Net):\n    def half(self): return 1\n", vars(module))
    assert identify_code([("layer", module.Made)]).missing == ("layer model.Made: it has no source file (<string>)",)


def test_code_beyond_the_bounds_is_not_identified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    functions = [f"def f{i}(x):\n    return f{i + 1}(x)\n" for i in range(30)]
    (tmp_path / "chain_of_calls.py").write_text("\n".join([*functions, "def f30(x):\n    return x\n"]))
    chain = importlib.import_module("chain_of_calls")
    assert identify_code([("layer", chain.f15)]).missing == ()
    assert "at most 20 references" in identify_code([("layer", chain.f0)]).missing[0]


def test_globals_are_identified_by_their_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "with_data.py").write_text("DATA = None\ndef use():\n    return DATA\n")
    module = importlib.import_module("with_data")

    def of_data(data: Any) -> CodeIdentity:
        module.DATA = data
        return identify_code([("train function", module.use)])

    pairs = [
        (np.zeros((3, 4)), np.eye(3, 4)),
        (np.zeros((4, 6))[:, ::2], np.ones((4, 6))[:, ::2]),
        (torch.zeros(3, dtype=torch.bfloat16), torch.ones(3, dtype=torch.bfloat16)),
        (np.array(["a", None], dtype=object), np.array(["b", None], dtype=object)),
        ({"rate": [0.1]}, {"rate": [0.2]}),
    ]
    for one, other in pairs:
        assert of_data(one).hash == of_data(copy.deepcopy(one)).hash != of_data(other).hash
    assert of_data(torch.zeros(3, device="meta")).missing == ()
    assert "20,000 are examined" in of_data(list(range(30_000))).missing[0]


VALUES = """
import argparse, collections, enum, functools, random, re, types, typing
import numpy as np
import torch
from torch import nn

def one(): return 1
def two(): return 2
A = lambda x: x + 1
B = lambda x: x + 2
class Layer(nn.Module):
    def forward(self, x): return x * 10
class Level(enum.IntEnum):
    LOW = 1
    def times(self): return 3
class Word(str):
    def loud(self): return self.upper()
class Listed(list):
    scale = 4
class Descriptor:
    def __get__(self, instance, owner): return 5
    def __set__(self, instance, value): pass
class Holder:
    item = Descriptor()
class Pair(typing.NamedTuple):
    a: int = 1

VALUE = {value}
def use(): return VALUE, A, B
"""


@pytest.mark.parametrize(
    ("value", "before", "after"),
    [
        ("types.SimpleNamespace(k=1, f=one)", "k=1", "k=2"),
        ("types.SimpleNamespace(k=1, f=one)", "return 1", "return 11"),
        ("argparse.Namespace(k=1)", "k=1", "k=2"),
        ("nn.Sequential(Layer())", "x * 10", "x * 20"),
        ("nn.CrossEntropyLoss(label_smoothing=0.1)", "smoothing=0.1", "smoothing=0.2"),
        ("collections.defaultdict(one)", "defaultdict(one)", "defaultdict(two)"),
        ("collections.deque([one])", "deque([one])", "deque([two])"),
        ("np.vectorize(one)", "return 1", "return 11"),
        ("random.Random(3)", "Random(3)", "Random(4)"),
        ("re.compile('a' * 300)", "'a' * 300", "'a' * 299 + 'b'"),
        ("Level.LOW", "return 3", "return 33"),
        ("Word('a')", "self.upper()", "self.lower()"),
        ("Word('a')", "Word('a')", "Word('b')"),
        ("Listed([1])", "scale = 4", "scale = 44"),
        ("Holder()", "return 5", "return 55"),
        ("Pair()", "a: int = 1", "a: int = 2"),
        ("A", "VALUE = A", "VALUE = B"),
    ],
)
def test_values_are_identified_by_their_content_and_their_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, before: str, after: str
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def of_value(text: str) -> CodeIdentity:
        (tmp_path / "with_values.py").write_text(text)
        sys.modules.pop("with_values", None)
        importlib.invalidate_caches()
        return identify_code([("train function", importlib.import_module("with_values").use)])

    text = VALUES.replace("{value}", value)
    assert before in text
    old = of_value(text)
    assert old.missing == ()
    assert of_value(text).hash == old.hash
    assert of_value(text.replace(before, after)).hash != old.hash


def test_a_module_of_the_project_may_have_the_name_of_a_standard_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    hashes = set()
    for number in (1, 2):
        (tmp_path / "sndhdr.py").write_text(f"def cost(): return {number}\n")
        (tmp_path / "uses_sndhdr.py").write_text("import sndhdr\ndef use(): return sndhdr.cost()\n")
        importlib.invalidate_caches()
        hashes.add(identify_code([("layer", importlib.import_module("uses_sndhdr").use)]).hash)
        for name in ("sndhdr", "uses_sndhdr"):
            del sys.modules[name]
    assert len(hashes) == 2


def test_code_that_looks_up_code_by_computed_names_is_not_identified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "finds_code.py").write_text("import importlib\ndef use(n): return importlib.import_module('x' + n)\n")
    (line,) = identify_code([("layer", importlib.import_module("finds_code").use)]).missing
    assert line == "layer finds_code.use: it looks up code by names that are computed at run time (import_module)"


def test_a_container_that_code_fills_is_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "with_memo.py").write_text("MEMO = {}\ndef use(k): return MEMO.setdefault(k, k)\n")
    module = importlib.import_module("with_memo")
    old = identify_code([("train function", module.use)])
    module.use(1)
    new = identify_code([("train function", module.use)])
    assert find_differences(old.parts, new.parts) == ["data with_memo.MEMO"]


def test_modules_that_import_each_other_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "one_side.py").write_text(
        "import other_side\ndef f():\n    return other_side.one_side.g()\ndef g(): pass\n"
    )
    (tmp_path / "other_side.py").write_text("import one_side\n")
    parts = identify_code([("layer", importlib.import_module("one_side").f)]).parts
    assert "one_side.g" in parts


def test_installed_code_is_identified_by_its_version() -> None:
    from torch import nn

    parts = identify_code([("layer", nn.Conv2d), ("layer", dict), ("argument", nn.functional.relu)]).parts
    assert set(parts) == {"package torch", "python"}


def test_an_identity_is_the_same_in_every_process_and_after_pickling(project: Project, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import cloudpickle, sys\nfrom ogive.source import identify_code\nimport model\n\n\n"
        "class Local(model.Net):\n    def forward(self, x):\n        return super().forward(x)\n\n\n"
        "roots = [('layer', Local), ('constraint', lambda a: {'x', 'y', 'z'} - {a})]\n"
        "open(sys.argv[1], 'wb').write(cloudpickle.dumps(roots))\n"
        "print(identify_code(roots).hash, identify_code(roots).missing)\n"
    )
    project.load()

    def run(*command: Any) -> str:
        process = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, cwd=tmp_path, check=True, timeout=60
        )
        return process.stdout

    printed = run("script.py", "roots.pkl")
    assert printed.endswith("()\n")
    assert run("script.py", "other.pkl") == printed, "another hash seed"
    reader = "import pickle; from ogive.source import identify_code; r = pickle.load(open('roots.pkl', 'rb'));"
    statement = f"{reader} print(identify_code(r).hash, identify_code(r).missing)"
    assert run("-m", "timeit", "-n", "1", "-r", "1", statement).startswith(printed), "where __main__ is another program"


def test_attributes_are_not_confused_with_globals_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "named.py").write_text(
        "run = None\nnumbers = [1]\ndef train(model):\n    model.eval()\n    model.run()\n"
    )
    module = importlib.import_module("named")
    before = identify_code([("train function", module.train)])
    module.run, module.numbers = object(), [2]  # as a script does after its definitions
    assert identify_code([("train function", module.train)]) == before


def test_a_version_does_not_depend_on_the_loaded_modules() -> None:
    statement = "from ogive.source import project_files; print(project_files.find_package_version('sklearn'))"
    versions = {
        subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=60).stdout
        for text in (statement, f"import sklearn; {statement}")
    }
    assert len(versions) == 1
    assert versions != {"None\n"}


def test_a_project_may_move_to_another_folder(tmp_path: Path) -> None:
    text = (
        "import os\nfrom pathlib import Path\nfrom ogive.source import identify_code\n"
        "HERE = Path(__file__).parent\nDATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'data')\n"
        "OTHER = Path({other!r})\n"
        "def read():\n    return HERE / 'a', DATA, OTHER\n"
        "if __name__ == '__main__':\n    print(identify_code([('train function', read)]).hash)\n"
    )

    def hash_in(folder: str, other: str = "/mnt/images") -> str:
        (tmp_path / folder).mkdir(exist_ok=True)
        path = tmp_path / folder / "train.py"
        path.write_text(text.format(other=other))
        return subprocess.run([sys.executable, path], capture_output=True, text=True, check=True, timeout=60).stdout

    assert hash_in("one") == hash_in("two")
    assert hash_in("one") != hash_in("one", "/mnt/other images")
