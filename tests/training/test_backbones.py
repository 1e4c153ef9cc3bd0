"""Backbones: their size and shape, and options that must not change what they compute."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from facedata.errors import RequestError
from training.backbones import BACKBONES, Backbone, BackboneConfig, build_backbone

# In millions at 512 dimensions; IResNet-50 and -100 have as many as insightface's arcface_torch.
PARAMETERS = {
    "micro": 581_200,
    "mobilefacenet": 2_059_520,
    "iresnet18": 24_025_600,
    "iresnet34": 34_139_328,
    "iresnet50": 43_590_848,
    "iresnet100": 65_156_160,
    "iresnet200": 118_833_920,
    "vit_t": 19_137_536,
    "vit_s": 76_022_784,
    "vit_b": 113_832_960,
}
SMALLEST = ("mobilefacenet", "iresnet18", "vit_t")


def faces(count: int) -> torch.Tensor:
    return torch.rand((count, 3, 112, 112), generator=torch.Generator().manual_seed(1)) * 2 - 1


def build(config: BackboneConfig) -> Backbone:
    torch.manual_seed(0)
    return build_backbone(config)


def trained(
    config: BackboneConfig, *, compiler: str | None = None
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """One forward and backward pass: the embeddings, gradients and running statistics."""
    backbone = build(config)
    network = backbone if compiler is None else torch.compile(backbone, backend=compiler)
    embeddings = network(faces(3))
    embeddings.square().sum().backward()
    found = {name: value.grad for name, value in backbone.named_parameters()}
    found |= dict(backbone.named_buffers())
    return embeddings.detach(), {name: value for name, value in found.items() if value is not None}


def test_all_sizes_are_known() -> None:
    assert set(PARAMETERS) == set(BACKBONES)


# Sides of the feature maps that the blocks hand on; a vision transformer has 12 × 12 patches.
SIDES = {
    "micro": {56: 1, 28: 2, 14: 3, 7: 2},
    "mobilefacenet": {56: 1, 28: 5, 14: 7, 7: 3},
    "iresnet18": {112: 1, 56: 2, 28: 2, 14: 2, 7: 2},
    "iresnet34": {112: 1, 56: 3, 28: 4, 14: 6, 7: 3},
    "iresnet50": {112: 1, 56: 3, 28: 4, 14: 14, 7: 3},
    "iresnet100": {112: 1, 56: 3, 28: 13, 14: 30, 7: 3},
    "iresnet200": {112: 1, 56: 6, 28: 26, 14: 60, 7: 6},
    "vit_t": {144: 13},
    "vit_s": {144: 13},
    "vit_b": {144: 25},
}


@pytest.mark.parametrize("name", BACKBONES)
def test_each_stage_halves_the_side(name: str) -> None:
    with torch.device("meta"):
        backbone = build_backbone(BackboneConfig(name=name))
        features = [backbone.stem(torch.empty(1, 3, 112, 112))]
        for block in backbone.blocks:
            features.append(block(features[-1]))
        embedding = backbone.head(features[-1].expand(2, *features[-1].shape[1:]))
    sides = [one.shape[1] if one.ndim == 3 else one.shape[2] for one in features]
    assert {side: sides.count(side) for side in sides} == SIDES[name]
    assert sides == sorted(sides, reverse=True)
    assert embedding.shape == (2, 512)


@pytest.mark.parametrize("name", BACKBONES)
def test_parameters_are_counted(name: str) -> None:
    with torch.device("meta"):
        backbone = build_backbone(BackboneConfig(name=name))
    assert sum(value.numel() for value in backbone.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize(("name", "size"), list(zip(SMALLEST, (512, 128, 256), strict=True)))
def test_a_face_gives_one_embedding_whatever_its_batch(name: str, size: int) -> None:
    backbone = build(BackboneConfig(name=name, embedding_size=size)).eval()
    with torch.no_grad():
        both = backbone(faces(2))
        alone = backbone(faces(2)[:1])
    assert both.shape == (2, size)
    assert both.dtype == torch.float32
    near = 1e-5 * both.abs().max().item()
    torch.testing.assert_close(both[:1], alone, rtol=1e-4, atol=near)


@pytest.mark.parametrize("name", SMALLEST)
def test_checkpointing_changes_nothing(name: str) -> None:
    plain = BackboneConfig(name=name, embedding_size=128, dropout=0.3, drop_path=0.3)
    expected, details = trained(plain)
    embeddings, again = trained(replace(plain, activation_checkpointing=True))
    assert torch.equal(embeddings, expected)
    assert again.keys() == details.keys()
    for detail, value in details.items():
        assert torch.equal(again[detail], value), detail


@pytest.mark.parametrize("checkpointing", [False, True])
def test_compiling_changes_nothing(checkpointing: bool) -> None:
    """By the compiler that traces all and then runs torch's own kernels, so bit for bit."""
    plain = BackboneConfig(name="micro", embedding_size=64)
    expected, details = trained(plain)
    asked = replace(plain, activation_checkpointing=checkpointing)
    embeddings, again = trained(asked, compiler="aot_eager")
    assert torch.equal(embeddings, expected)
    assert again.keys() == details.keys()
    for detail, value in details.items():
        assert torch.equal(again[detail], value), detail


@pytest.mark.parametrize("name", SMALLEST)
def test_channels_last_changes_nothing(name: str) -> None:
    plain = BackboneConfig(name=name, embedding_size=128, drop_path=0.0)
    with torch.no_grad():
        expected = build(plain).eval()(faces(2))
        embeddings = build(replace(plain, channels_last=True)).eval()(faces(2))
    near = 1e-5 * expected.abs().max().item()
    torch.testing.assert_close(embeddings, expected, rtol=1e-4, atol=near)


@pytest.mark.parametrize("name", SMALLEST)
def test_the_head_stays_in_float32_under_autocast(name: str) -> None:
    backbone = build(BackboneConfig(name=name, embedding_size=128)).eval()
    kinds = []
    backbone.head[-1].register_forward_pre_hook(lambda _, inputs: kinds.append(inputs[0].dtype))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        embeddings = backbone(faces(2))
    assert embeddings.dtype == torch.float32
    assert kinds == [torch.float32]


def test_the_scale_of_an_iresnet_embedding_is_not_learnt() -> None:
    backbone = build(BackboneConfig(name="iresnet18", embedding_size=128))
    frozen = [name for name, value in backbone.named_parameters() if not value.requires_grad]
    assert frozen == ["head.4.weight"]
    assert backbone.get_parameter("head.4.weight").eq(1).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "resnet"}, "'resnet'; use one of iresnet100, iresnet18"),
        ({"embedding_size": 0}, "embedding_size is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ],
)
def test_bad_configurations_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        build_backbone(replace(BackboneConfig(name="vit_t"), **changes))  # type: ignore[arg-type]
