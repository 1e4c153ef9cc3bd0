"""A backbone's weights beside its ONNX file, for training to go on from."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import torch
from torch import nn

from facedata.errors import ModelError
from facedata.models import WEIGHTS


def save_weights(backbone: nn.Module, path: Path) -> None:
    """Write a backbone's parameters and statistics.

    Raises:
        OSError: as the file system does; torch alone says ``RuntimeError`` when a disk is full.
    """
    buffer = io.BytesIO()
    torch.save(backbone.state_dict(), buffer)
    path.write_bytes(buffer.getbuffer())


def load_weights(backbone: nn.Module, path: Path) -> None:
    """Give a backbone the weights of a file, or of the model pack in a folder.

    Only tensors are read; a file with anything else in it is refused.

    Raises:
        ModelError: there is no such file, or it is not of a backbone of this shape.
    """
    file = path / WEIGHTS if path.is_dir() else path
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(
            f"weights {file}: cannot be read ({error.strerror}); name a pack that was trained "
            "here, or leave model.weights out to start afresh"
        ) from error
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ModelError(f"weights {file}: not a file of tensors; name another one") from error
    try:
        backbone.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ModelError(
            f"weights {file}: not of this backbone; use model.backbone and "
            "model.embedding_size as they were trained"
        ) from error
