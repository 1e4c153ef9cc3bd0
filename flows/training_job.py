"""What a training run is asked to do, checked before anything is started."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path

from cleaning.faces.pack import find_pack
from facedata.errors import ModelError, RequestError, WorkspaceError
from facedata.models import WEIGHTS
from facedata.storage import Storage
from facedata.versions import Manifest, list_versions, manifest_path, read_manifest
from flows.evaluation_files import EvaluationSet, open_sets
from flows.fleet import Fleet, choose_fleet
from flows.job import pack_location
from flows.lineage import check_weights
from flows.training_recipe import read_training_recipe
from training.config import TrainingConfig
from training.data.released import training_set
from training.recipes import RECIPES, Target
from training.request import check_names, check_request
from training.run_state import check_same_run, check_source, finished, is_done, last_state

PREVIOUS = "previous"
"""Start from the newest earlier version's run of the same recipe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How a version is trained on, beside the recipe.

    ``output`` is a folder for runs and models in place of the workspace, needed when that is
    remote; ``detector`` a pack in place of the one that the version was built with. ``processes``
    (None: one for each GPU, or core up to two), ``nodes`` and ``rendezvous`` are those of torchrun;
    ``join`` makes this a further node of a run that another one started. ``initial`` is the folder
    of a run to start from, or ``previous``.
    """

    output: str | None = None
    detector: str | None = None
    processes: int | None = None
    nodes: int = 1
    rendezvous: str | None = None
    join: bool = False
    initial: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """A checked request. ``home`` holds runs and models, ``base`` is the pack whose detector the
    new one gets, and the one to beat as long as none was promoted."""

    manifest: Manifest
    config: TrainingConfig
    home: Storage
    base: Path
    base_name: str
    sets: tuple[EvaluationSet, ...]
    fleet: Fleet
    join: bool

    @property
    def output(self) -> Path:
        """The run's folder."""
        return Path(self.config.output)

    @property
    def dataset(self) -> str:
        """The data set's name: ``people-v0003`` is of ``people``."""
        return self.manifest.version.rsplit("-v", 1)[0]


def open_training(
    version: str, workspace: str, recipe: str, options: TrainingOptions
) -> TrainingJob:
    """Check everything that can be checked without torch.

    Raises:
        RequestError: the version, recipe, models, evaluation sets or machine are not usable.
        IntegrityError: the version's manifest is not what its digest says.
    """
    check_torch()
    released = Storage(workspace)
    manifest = read_manifest(released, version)
    home = open_home(released, options.output)
    base_name = options.detector or str(manifest.recipe.get("models", ""))
    base = _base(base_name, version, given=options.detector is not None)
    target = Target(
        workspace=released.url("") if released.is_local else workspace,
        version=version,
        output=str(run_folder(home, version, recipe)),
        digest=manifest.digest,
        weights=str(base) if (base / WEIGHTS).is_file() else None,
    )
    config = _start_from(read_training_recipe(recipe, target), home, options.initial)
    described = training_set(workspace, manifest, config.data.digest)
    fleet = _fleet(config, options)
    check_names(config)
    check_request(config, described, fleet.processes * fleet.nodes)
    _check_beginning(config, manifest)
    return TrainingJob(
        manifest=manifest,
        config=config,
        home=home,
        base=base,
        base_name=base_name,
        sets=_sets(config),
        fleet=fleet,
        join=options.join,
    )


def check_torch() -> None:
    """Check that torch is installed, without importing it.

    Raises:
        RequestError: it is not.
    """
    if importlib.util.find_spec("torch") is None:
        raise RequestError(
            'training needs torch, which is not installed; pip install "winnow-faces[train]"'
        )


def check_recipe(recipe: str, processes: int | None) -> TrainingConfig:
    """Check a training recipe before there is a version to train on, for one machine.

    Raises:
        RequestError: it is not usable here, a file that it names is missing, or torch is.
    """
    check_torch()
    config = read_training_recipe(recipe, Target(workspace="-", version="-", output="-"))
    check_names(config)
    _fleet(config, TrainingOptions(processes=processes))
    if config.checkpoint.initial is not None:
        check_source(config)
    else:
        check_weights(config)
    _sets(config)
    return config


def check_event(version: str, workspace: str, manifest: str) -> None:
    """Check that a released version is one of this workspace.

    Raises:
        RequestError: the event was about another workspace's version.
    """
    own = Storage(workspace).url(manifest_path(version))
    if own != manifest:
        raise RequestError(
            f"version {version}: released as {manifest}, this deployment trains on {own}; give it "
            "that workspace, or name the data set in its trigger"
        )


def _fleet(config: TrainingConfig, options: TrainingOptions) -> Fleet:
    if options.join and options.nodes == 1:
        raise RequestError(
            "--join makes this machine a further one of a run on several; give --nodes and "
            "--rendezvous as on the first, or leave --join out"
        )
    return choose_fleet(config.device, options.processes, options.nodes, options.rendezvous)


def _sets(config: TrainingConfig) -> tuple[EvaluationSet, ...]:
    return open_sets([Path(path) for path in config.evaluation.sets])


def _start_from(config: TrainingConfig, home: Storage, initial: str | None) -> TrainingConfig:
    """The configuration with the run to start from; a first version has no previous one."""
    if initial is None:
        return config
    found = str(Path(initial).absolute())
    if initial == PREVIOUS:
        previous = _previous_run(config, home)
        if previous is None:
            return config
        found = str(previous)
    return replace(config, checkpoint=replace(config.checkpoint, initial=found))


def _check_beginning(config: TrainingConfig, manifest: Manifest) -> None:
    """Check what the processes would refuse, before anything of an earlier run is overwritten."""
    state = last_state(Path(config.output))
    if state is not None:
        check_same_run(config, manifest.digest, state)
    elif config.checkpoint.initial is not None:
        check_source(config)
    else:
        check_weights(config)


def _previous_run(config: TrainingConfig, home: Storage) -> Path | None:
    version = config.data.version
    label = Path(config.output).name.removeprefix(f"{version}-")
    versions = list_versions(Storage(config.data.workspace), version.rsplit("-v", 1)[0])
    for earlier in reversed(versions[: versions.index(version)]):
        run = home.local_path(f"training/{earlier}-{label}")
        if is_done(run) and finished(run):
            return run
    return None


def run_folder(home: Storage, version: str, recipe: str) -> Path:
    """Where a version's training by a recipe lies."""
    label = Path(recipe).stem if recipe not in RECIPES else recipe
    return home.local_path(f"training/{version}-{label}")


def open_home(released: Storage, output: str | None) -> Storage:
    """Where runs and models are: below ``output``, or with the versions.

    Raises:
        WorkspaceError: that is no folder on a disk.
    """
    home = released if output is None else Storage(output)
    if not home.is_local:
        raise WorkspaceError(
            f"workspace {released.root}: checkpoints and models need a folder on a disk; give one "
            "with --output, on a disk that all nodes share"
        )
    return Storage(Path(home.path("")).absolute())


def _base(name: str, version: str, *, given: bool) -> Path:
    if not name:
        raise ModelError(
            f"version {version}: its recipe names no models; name a pack with --detector"
        )
    if not given and "/" in name and not Path(name).is_absolute():
        raise ModelError(
            f"version {version}: built with models {name!r}, a path that only its recipe's folder "
            "gives a meaning; name the pack with --detector"
        )
    return find_pack(pack_location(name), download=True)
