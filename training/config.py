"""The configuration of a training run: what a file may say, and what each value means.

A run is described whole: ``training.recipes`` holds functions that return such descriptions, and a
file (YAML or JSON) holds one. Unknown keys and values out of range are refused, by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, get_args, get_type_hints

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from facedata.errors import RecipeError

Count: TypeAlias = Annotated[int, Field(ge=1)]
Positive: TypeAlias = Annotated[float, Field(gt=0.0)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0.0)]
Probability: TypeAlias = Annotated[float, Field(ge=0.0, le=1.0)]
Decay: TypeAlias = Annotated[float, Field(ge=0.0, lt=1.0)]
FloatName: TypeAlias = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Strict:
    """Unknown keys, and numbers that are infinite or none, are refused."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig(_Strict):
    """The backbone, by its name in ``training.backbones``, where the options are explained.

    ``compile`` hands it to ``torch.compile``. ``weights`` is a model pack that was trained here, or
    a ``rec.pt`` of one: the first run starts from it, null starts afresh.
    """

    backbone: str
    embedding_size: Annotated[int, Field(ge=8, le=4096)] = 512
    dropout: Decay = 0.0
    drop_path: Decay = 0.1
    activation_checkpointing: bool = False
    channels_last: bool = True
    compile: bool = False
    weights: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentOptions(_Strict):
    """Probabilities of each change; see ``training.data.augment``."""

    flip: Probability = 0.5
    misalign: Probability = 0.0
    light: Probability = 0.0
    downscale: Probability = 0.0
    blur: Probability = 0.0
    jpeg: Probability = 0.0
    grey: Probability = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig(_Strict):
    """The released version to train on, and how it is read.

    ``workspace`` is a folder or fsspec URL; ``digest``, when given, must be the version's.
    ``cache`` is a folder on a local disk (default: ``cache`` below the run's output) for indices,
    and for remote shards up to ``cache_gigabytes``. ``verify`` reads every shard once before the
    first step, compares its sha256 and looks for classes without images; without it, remote shards
    are still checked as they arrive, local ones are not. ``decode: gpu`` uses nvJPEG through
    torchvision and can only mirror; JPEG shards only.
    """

    workspace: str
    version: str
    digest: str | None = None
    verify: bool = True
    block_shards: Annotated[int, Field(ge=1, le=64)] = 16
    workers: Annotated[int, Field(ge=0)] = 4
    prefetch: Count = 4
    decode: Literal["cpu", "gpu"] = "cpu"
    cache: str | None = None
    cache_gigabytes: Positive = 200.0
    read_attempts: Count = 5
    retry_seconds: NotNegative = 1.0
    augment: AugmentOptions = AugmentOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginOptions(_Strict):
    """The margin, by its name in ``training.margins``; angles in radians.

    arcface and adaface read ``angle`` (adaface: its m, beside ``norm_spread``, its h), cosface
    ``cosine``, sphereface ``multiply``, combined all three.
    """

    name: str = "arcface"
    multiply: float = 1.0
    angle: float = 0.5
    cosine: float = 0.0
    norm_spread: Positive = 0.333
    scale: Positive = 64.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLayerConfig(_Strict):
    """The class centres; see ``training.partial_fc``.

    ``sample_rate`` is the share of centres that a step touches. ``filter_similarity`` leaves out
    negatives that are more similar than this, as probably mislabelled.
    """

    margin: MarginOptions = MarginOptions()
    sample_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    centre_dtype: FloatName = "float32"
    state_dtype: FloatName = "float32"
    gather_dtype: FloatName = "float32"
    sub_centres: Count = 1
    filter_similarity: Annotated[float, Field(gt=0.0, le=1.0)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricLossOptions(_Strict):
    """A loss on embeddings themselves, added to that of the class layer; see
    ``training.metric_losses``."""

    name: Literal["center", "contrastive", "triplet"]
    weight: Positive = 1.0
    margin: NotNegative = 0.2
    mean_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimiserConfig(_Strict):
    """For backbone and centres alike. ``clip_norm`` bounds the L2 norm of the backbone's gradient,
    not that of the centres; null does not clip. ``momentum`` is for SGD, ``betas`` for AdamW."""

    name: Literal["sgd", "adamw"] = "sgd"
    learning_rate: Positive = 0.1
    momentum: Decay = 0.9
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    weight_decay: NotNegative = 5e-4
    clip_norm: Positive | None = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig(_Strict):
    """How long, and how the learning rate runs: linear warm-up, then polynomial decay to zero.

    ``steps``, when given, takes the place of ``epochs``.
    """

    epochs: Positive = 20.0
    steps: Count | None = None
    warmup_epochs: NotNegative = 0.0
    power: Positive = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggingConfig(_Strict):
    """A line of progress every ``every`` steps, for TensorBoard too unless that is switched off."""

    every: Count = 20
    tensorboard: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointConfig(_Strict):
    """A checkpoint every ``every`` steps and at the end, of which the last ``keep`` stay.

    ``initial`` is the folder of a run to start from: its newest checkpoint, trained on the same or
    an earlier version of the data set.
    """

    every: Count = 2000
    keep: Count = 2
    initial: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationConfig(_Strict):
    """What a finished run is measured on, by whoever started it: sets in insightface's ``.bin``
    format or pairs files, and the false accept rate at which models are compared."""

    sets: tuple[str, ...] = ()
    false_accept_rate: Annotated[float, Field(gt=0.0, lt=1.0)] = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig(_Strict):
    """One training run. ``output`` is a folder on a disk that all nodes share.

    ``global_batch`` images are trained on per step, over all ranks. ``precision`` is that of the
    backbone's forward and backward pass. The loss is the sum of the class layer's, unless that is
    null, and of ``metric_losses``.
    """

    name: str
    output: str
    data: DataConfig
    model: ModelConfig
    class_layer: ClassLayerConfig | None = ClassLayerConfig()
    metric_losses: tuple[MetricLossOptions, ...] = ()
    optimiser: OptimiserConfig = OptimiserConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    global_batch: Count = 1024
    precision: FloatName = "float32"
    device: Literal["cpu", "cuda"] = "cuda"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    logging: LoggingConfig = LoggingConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    evaluation: EvaluationConfig = EvaluationConfig()


_ADAPTER = TypeAdapter(TrainingConfig)


def load_config(path: Path) -> TrainingConfig:
    """Read a configuration file; paths in it stay as written.

    Raises:
        RecipeError: when it is missing, is not YAML or JSON, or a key or value is not allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"training configuration {path}: cannot be read ({error}); give the path of a YAML file"
        ) from error
    return parse_config(text, origin=str(path))


def parse_config(text: str, *, origin: str) -> TrainingConfig:
    """Parse YAML or JSON; ``origin`` names it in errors.

    Raises:
        RecipeError: when it is neither, or a key or value is not allowed.
    """
    where = f"training configuration {origin}"
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(loaded, dict):
        raise RecipeError(f"{where}: expected keys and values, found {type(loaded).__name__}")
    return config_from(loaded, origin=origin)


def config_from(values: Mapping[str, Any], *, origin: str) -> TrainingConfig:
    """Check values as a file would hold them.

    Raises:
        RecipeError: when a key or value is not allowed.
    """
    try:
        return _ADAPTER.validate_python(dict(values))
    except ValidationError as error:
        raise RecipeError(f"training configuration {origin}: {_problem(error)}") from error


def to_yaml(config: TrainingConfig) -> str:
    """Write a configuration so that ``parse_config`` gives it back."""
    plain = json.loads(json.dumps(asdict(config)))
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


def _problem(error: ValidationError) -> str:
    """Say in one line what is wrong: key, value, what is allowed."""
    problems = error.errors(include_url=False)
    first = problems[0]
    key = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if first["type"] == "unexpected_keyword_argument":
        allowed = ", ".join(_keys_beside(first["loc"]))
        return f"unknown key {key!r}; allowed here: {allowed}{more}"
    if first["type"] in {"missing", "missing_argument"}:
        return f"key {key!r} is missing{more}"
    message = first["msg"]
    return f"key {key!r} is {first['input']!r:.80}; {message[0].lower()}{message[1:]}{more}"


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    """The keys that are allowed where the last one of ``location`` is not."""
    part: type[_Strict] = TrainingConfig
    for name in location[:-1]:
        if isinstance(name, str):
            part = _part_in(get_type_hints(part)[name]) or part
    return [field.name for field in fields(part)]


def _part_in(annotation: Any) -> type[_Strict] | None:
    """The part of a configuration inside an annotation such as ``ClassLayerConfig | None``."""
    if isinstance(annotation, type) and issubclass(annotation, _Strict):
        return annotation
    found = (_part_in(inner) for inner in get_args(annotation))
    return next((part for part in found if part is not None), None)
