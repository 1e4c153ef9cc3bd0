"""A torch backbone behind the same callable as a pack's recogniser."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from training.evaluate.embedder import (
    SCALE,
    Embed,
    EmbedOptions,
    check_crops,
    mirrored,
    unit_rows,
)

_BATCH = 64


def torch_embedder(
    model: torch.nn.Module, device: str = "cpu", options: EmbedOptions | None = None
) -> Embed:
    """``model`` takes float32 (n, 3, 112, 112), (x - 127.5) / 127.5 on RGB; it is put in eval mode.

    The model goes back to the mode it was in after each call, so that a training run can be
    evaluated between steps.
    """
    chosen = options or EmbedOptions()

    def forward(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        rgb = np.ascontiguousarray(crops[..., ::-1].transpose(0, 3, 1, 2))
        images = torch.from_numpy(rgb).to(device).float().sub_(SCALE).div_(SCALE)
        embedding: NDArray[np.float32] = model(images).float().cpu().numpy()
        return embedding

    def embed(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        check_crops(crops)
        batch = chosen.batch or _BATCH
        was_training = model.training
        model.eval()
        try:
            with torch.inference_mode():
                parts = [
                    mirrored(forward, crops[at : at + batch], chosen.flip)
                    for at in range(0, len(crops), batch)
                ]
        finally:
            model.train(was_training)
        return unit_rows(np.concatenate(parts), type(model).__name__)

    return embed
