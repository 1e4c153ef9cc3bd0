"""A small single-shot face detector with SCRFD's outputs (Guo et al., arXiv:2105.04714)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

STRIDES = (8, 16, 32)
ANCHORS = 2


def _conv(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    """A plain 3×3 convolution; on a CPU it trains faster than a separable one of equal strength."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(channels, channels), _conv(channels, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.add(x, self.body(x))


class Detector(nn.Module):
    """A residual backbone, a top-down neck and one head per stride.

    Input (n, 3, h, w), sides divisible by 32, pixels (x - 127.5) / 128 in RGB. Output: scores
    (before the sigmoid), boxes and landmarks, each a list over strides of (n, cells, width) with
    widths 1, 4 and 10, two anchors per cell, distances in units of the stride.
    """

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(3, 16, stride=2), _conv(16, 24, stride=2))
        self.stage8 = nn.Sequential(_conv(24, 48, stride=2), _Residual(48))
        self.stage16 = nn.Sequential(_conv(48, 72, stride=2), _Residual(72))
        self.stage32 = nn.Sequential(_conv(72, 96, stride=2), _Residual(96))
        self.lateral = nn.ModuleList([nn.Conv2d(c, width, 1) for c in (48, 72, 96)])
        self.head = nn.ModuleList([_conv(width, width) for _ in STRIDES])
        self.score = nn.ModuleList([nn.Conv2d(width, ANCHORS, 1) for _ in STRIDES])
        self.box = nn.ModuleList([nn.Conv2d(width, 4 * ANCHORS, 1) for _ in STRIDES])
        self.landmark = nn.ModuleList([nn.Conv2d(width, 10 * ANCHORS, 1) for _ in STRIDES])
        for name, bias in self.score.named_parameters():
            if name.endswith("bias"):
                nn.init.constant_(bias, -4.0)  # few anchors see a face

    def forward(
        self, x: torch.Tensor
    ) -> tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]]:
        c8 = self.stage8(self.stem(x))
        c16 = self.stage16(c8)
        c32 = self.stage32(c16)
        p32 = self.lateral[2](c32)
        p16 = self.lateral[1](c16) + functional.interpolate(p32, scale_factor=2.0, mode="nearest")
        p8 = self.lateral[0](c8) + functional.interpolate(p16, scale_factor=2.0, mode="nearest")
        scores, boxes, landmarks = [], [], []
        for level, feature in enumerate((p8, p16, p32)):
            shared = self.head[level](feature)
            scores.append(_per_anchor(self.score[level](shared), 1))
            boxes.append(functional.softplus(_per_anchor(self.box[level](shared), 4)))
            landmarks.append(_per_anchor(self.landmark[level](shared), 10))
        return scores, boxes, landmarks


def _per_anchor(x: torch.Tensor, width: int) -> torch.Tensor:
    """Return (n, cells * anchors, width) from (n, anchors * width, h, w)."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, width)


class Exported(nn.Module):
    """The detector as insightface's SCRFD loader wants it: scores ×3, boxes ×3, landmarks ×3.

    One image at a time, outputs of rank 2, scores after the sigmoid.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        scores, boxes, landmarks = self.detector(x)
        flat = [torch.sigmoid(score).reshape(-1, 1) for score in scores]
        flat += [box.reshape(-1, 4) for box in boxes]
        flat += [landmark.reshape(-1, 10) for landmark in landmarks]
        return tuple(flat)
