"""Install, damage, verify, repair, remove, gc, kill: any order of events leaves what was promised (S10, S18, S22, P5)."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import hypothesis
import invariants
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from rigs import Rig
from test_store import killed_after

from aigiqa_cli import root_index
from aigiqa_cli.context import Context
from aigiqa_cli.errors import Fault, UsageFault
from aigiqa_cli.manifest.catalogue import Catalogue
from aigiqa_cli.reporting import Silent
from aigiqa_cli.steps.fetch import Request, fetch
from aigiqa_cli.steps.gc import collect
from aigiqa_cli.steps.remove import remove
from aigiqa_cli.steps.repair import repair
from aigiqa_cli.steps.verify import FOREIGN, verify, verify_root
from aigiqa_cli.store import Root, heal, installed_ids, locked

STEPS = 12
NAME = "demo"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installed root, which every example starts from or compares with."""
    context = Context(Root(tmp_path_factory.mktemp("whole") / "root"), Catalogue({}), {}, Silent())
    fetch(context, context.catalogue.database(NAME), Request())
    return context.root.path


class Schedule(RuleBasedStateMachine):
    """The model: is it installed, which of its files are damaged, which files are the user's."""

    whole: Path
    base: Path
    rig: Rig
    count = 0

    def __init__(self) -> None:
        super().__init__()
        Schedule.count += 1
        self.context = Context(Root(self.base / f"root-{Schedule.count}"), Catalogue({}), {}, Silent())
        self.root = self.context.root
        self.true = invariants.tree(self.whole)
        self.files = sorted(name for name in self.true if name.startswith(f"{NAME}/"))
        self.installed = False
        self.settled = True
        self.damaged: set[str] = set()
        self.foreign: dict[str, bytes] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.root.path, ignore_errors=True)

    @initialize()
    def begin(self) -> None:
        shutil.copytree(self.whole, self.root.path)
        self.installed = True

    @rule(force=st.booleans())
    def install(self, force: bool) -> None:
        fetch(self.context, self.context.catalogue.database(NAME), Request(force=force))
        self.settled = True
        if force or not self.installed:
            self.damaged.clear()
        self.installed = True

    @precondition(lambda self: self.installed and self.settled)
    @rule(data=st.data())
    def damage(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.files))
        path = self.root.path / name
        way = data.draw(st.sampled_from(["flip", "cut", "delete", "empty"]))
        if not path.exists():
            return
        content = bytearray(path.read_bytes())
        if way == "delete":
            path.unlink()
        elif content:
            at = data.draw(st.integers(0, len(content) - 1))
            content[at] ^= 1 << data.draw(st.integers(0, 7))
            path.write_bytes({"flip": content, "cut": content[:at], "empty": b""}[way])
        self.damaged.add(name)
        if invariants.tree(self.root.path).get(name) == self.true[name]:
            self.damaged.discard(name)  # the same bit, back again

    @precondition(lambda self: self.installed and self.settled)
    @rule(
        name=st.sampled_from(["mine.txt", "images/mine.png", "labels/notes", "sub/folder/x"]),
        content=st.binary(max_size=9),
    )
    def add(self, name: str, content: bytes) -> None:
        path = self.root.folder(NAME) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.foreign[f"{NAME}/{name}"] = content

    @precondition(lambda self: self.settled)
    @rule()
    def look(self) -> None:
        if not self.installed:
            with pytest.raises(UsageFault):
                verify(self.context, NAME)
            return
        findings = verify(self.context, NAME).findings
        assert {finding.path for finding in findings if finding.problem != FOREIGN} == self.damaged
        assert {finding.path for finding in findings if finding.problem == FOREIGN} == set(self.foreign)

    @precondition(lambda self: self.installed and self.settled)
    @rule()
    def restore(self) -> None:
        damage = [finding for finding in verify(self.context, NAME).findings if finding.problem != FOREIGN]
        if damage:
            repaired = repair(self.context, NAME, damage)
            if repaired.buildable:
                splits = any(path.startswith("splits/") for path in repaired.left)
                fetch(self.context, self.context.catalogue.database(NAME), Request(rebuild=True, splits=splits))
        self.damaged.clear()
        assert [f for f in verify(self.context, NAME).findings if f.problem != FOREIGN] == []

    @rule()
    def uninstall(self) -> None:
        if not self.installed and self.settled:
            with pytest.raises(UsageFault):
                remove(self.context, NAME)
            return
        with suppress(UsageFault):
            remove(self.context, NAME)
        self.installed, self.settled = False, True
        self.damaged.clear()

    @rule()
    def clean(self) -> None:
        before = invariants.tree(self.root.path) if self.settled else None
        collect(self.context, dry_run=False)
        self._look_again()
        if before is not None:
            after = invariants.tree(self.root.path)
            assert {k: v for k, v in after.items() if k != "index.csv"} == {
                k: v for k, v in before.items() if k != "index.csv"
            }
        assert collect(self.context, dry_run=True) == []
        invariants.check_swept(self.root.path)

    @precondition(lambda self: self.settled)
    @rule(renames=st.integers(0, 12), what=st.sampled_from(["install", "remove", "gc"]))
    def kill(self, renames: int, what: str) -> None:
        """The process is gone at one of its renames; what it held is set free by the kernel."""
        with killed_after(renames), suppress(Fault):
            if what == "install":
                fetch(self.context, self.context.catalogue.database(NAME), Request(force=True))
            elif what == "gc":
                collect(self.context, dry_run=False)
            elif self.installed:
                remove(self.context, NAME)
        self.settled = False
        with locked(self.root, NAME, Silent()):
            heal(self.root, NAME)
        self._look_again()

    def _look_again(self) -> None:
        """What a kill may have left: installed or not, but never half; the user's files as they were."""
        self.settled = True
        self.installed = NAME in installed_ids(self.root)
        found = verify(self.context, NAME).findings if self.installed else ()
        here = {finding.path for finding in found if finding.problem != FOREIGN}
        assert here <= self.damaged, "nothing was damaged that was not damaged before"
        self.damaged = here
        if verify_root(self.context):
            root_index.rebuild(self.root, Silent())

    @invariant()
    def nothing_of_the_user_is_lost(self) -> None:
        if not self.settled:
            return
        held = [path for path in self.root.path.rglob("*") if path.is_file()]
        contents = [path.read_bytes() for path in held if len(self.foreign) and path.stat().st_size < 10]
        for content in self.foreign.values():
            assert content in contents

    @invariant()
    def the_root_is_sound(self) -> None:
        self.rig.did()
        if self.settled and not self.damaged and not self.foreign and self.root.path.exists():
            invariants.check(self.root.path, settled=False)


@pytest.mark.rig("schedules", sample=48, share=0.5)
@pytest.mark.parametrize("half", range(2))
def test_S10_S18_S22_any_order_of_events(rig: Rig, whole: Path, tmp_path: Path, half: int) -> None:
    class Bound(Schedule):
        pass

    Schedule.whole, Schedule.base, Schedule.rig = whole, tmp_path, rig
    quiet = settings(
        max_examples=max(1, rig.length // STEPS), stateful_step_count=STEPS, database=None, deadline=None, print_blob=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(hypothesis.seed(rig.chance.getrandbits(32))(Bound), settings=quiet)
    rig.length = rig.done
