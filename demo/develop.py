"""What a camera and a website do to a picture: exposure, blur, noise, JPEG; objects in front."""

from __future__ import annotations

import cv2
import numpy as np

from demo.arrays import Floats, Image


def develop(rng: np.random.Generator, picture: Floats, harm: float) -> Image:
    """Return the 8-bit RGB picture after camera and web; ``harm`` 0 is clean, 1 the usual web."""
    picture = picture * (1 + harm * rng.normal(0, 0.07))
    balance = 1 + harm * rng.normal(0, 0.03, 3)
    picture = picture * balance.astype(np.float32)
    if rng.random() < 0.25 * harm:
        contrast = rng.uniform(0.75, 1.25)
        picture = (picture - 0.5) * contrast + 0.5
    if rng.random() < 0.04 * harm:
        picture = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2)
    picture = _blurred(rng, picture, harm)
    if rng.random() < 0.5 * harm:
        grain = rng.normal(0, rng.uniform(0.003, 0.024), picture.shape[:2])
        colour = rng.normal(0, 0.006, picture.shape)
        picture = picture + grain[..., None].astype(np.float32) + colour.astype(np.float32)
    image = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.7 * harm:
        image = recompressed(image, int(rng.integers(32, 92)))
    return image


def as_jpeg(image: Image, quality: int) -> bytes:
    """Return the picture as a JPEG file of ``quality`` in [0, 100]."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return bytes(cv2.imencode(".jpg", image[..., ::-1], settings)[1].tobytes())


def recompressed(image: Image, quality: int) -> Image:
    """Return the picture after JPEG at ``quality`` in [0, 100]."""
    encoded = np.frombuffer(as_jpeg(image, quality), dtype=np.uint8)
    decoded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])


def _blurred(rng: np.random.Generator, picture: Floats, harm: float) -> Floats:
    width = picture.shape[1]
    draw = rng.random()
    if draw < 0.30 * harm:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.15) * width / 256))
    if draw < 0.38 * harm:
        length = max(2, round(rng.uniform(2, 5) * width / 256))
        kernel = np.zeros((length, length), dtype=np.float32)
        if rng.random() < 0.5:
            kernel[length // 2] = 1
        else:
            np.fill_diagonal(kernel, 1)
        return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()))
    if draw < 0.50 * harm:
        small = cv2.resize(picture, None, fx=0.55, fy=0.55, interpolation=cv2.INTER_AREA)
        return np.asarray(
            cv2.resize(small, (width, picture.shape[0]), interpolation=cv2.INTER_LINEAR)
        )
    return picture


def hold_object(rng: np.random.Generator, picture: Floats, landmarks: Floats, skin: Floats) -> None:
    """Draw something before the lower face or cheek: a microphone, a hand, a cup. In place.

    ``skin`` is the sRGB colour of the hand.
    """
    eyes, mouth = landmarks[:2].mean(axis=0), landmarks[3:].mean(axis=0)
    unit = float(np.linalg.norm(mouth - eyes))
    side = 1 if rng.random() < 0.5 else -1
    kind = int(rng.integers(3))
    if kind == 0:
        _microphone(picture, mouth + np.array([side * 0.25, 0.75]) * unit, unit, side)
    elif kind == 1:
        _hand(rng, picture, mouth + np.array([side * 0.75, 0.45]) * unit, unit, skin)
    else:
        _cup(rng, picture, mouth + np.array([side * 0.35, 0.85]) * unit, unit)


def _microphone(picture: Floats, at: Floats, unit: float, side: int) -> None:
    end = (int(at[0] + side * 1.1 * unit), int(at[1] + 2.2 * unit))
    start = (int(at[0]), int(at[1]))
    cv2.line(picture, start, end, (0.12, 0.12, 0.13), max(2, int(0.30 * unit)), cv2.LINE_AA)
    cv2.circle(picture, start, max(2, int(0.36 * unit)), (0.24, 0.24, 0.26), -1, cv2.LINE_AA)
    shine = (int(at[0] - 0.12 * unit), int(at[1] - 0.14 * unit))
    cv2.circle(picture, shine, max(1, int(0.14 * unit)), (0.42, 0.42, 0.44), -1, cv2.LINE_AA)


def _hand(rng: np.random.Generator, picture: Floats, at: Floats, unit: float, skin: Floats) -> None:
    spread = rng.uniform(-0.4, 0.4)
    thick = max(2, int(0.27 * unit))
    palm = (int(at[0]), int(at[1] + 0.9 * unit))
    tone = tuple(float(v) for v in np.clip(skin * 0.92, 0, 1))
    shade = tuple(float(v) for v in np.clip(skin * 0.70, 0, 1))
    cv2.ellipse(picture, palm, (int(0.62 * unit), int(0.75 * unit)), 0, 0, 360, tone, -1,
                cv2.LINE_AA)  # fmt: skip
    for finger in range(4):
        lean = spread + 0.28 * (finger - 1.5)
        base = (palm[0] + int(0.32 * (finger - 1.5) * unit), palm[1] - int(0.3 * unit))
        tip = (int(base[0] + 1.0 * unit * np.sin(lean)), int(base[1] - 1.0 * unit * np.cos(lean)))
        cv2.line(picture, base, tip, shade, thick + 2, cv2.LINE_AA)
        cv2.line(picture, base, tip, tone, thick, cv2.LINE_AA)


def _cup(rng: np.random.Generator, picture: Floats, at: Floats, unit: float) -> None:
    tone = tuple(float(v) for v in rng.uniform(0.2, 0.95, 3))
    left, right = int(at[0] - 0.42 * unit), int(at[0] + 0.42 * unit)
    top, bottom = int(at[1] - 0.35 * unit), int(at[1] + 0.9 * unit)
    cv2.rectangle(picture, (left, top), (right, bottom), tone, -1)
    cv2.ellipse(picture, (int(at[0]), top), (int(0.42 * unit), int(0.10 * unit)), 0, 0, 360,
                tuple(0.8 * v for v in tone), -1, cv2.LINE_AA)  # fmt: skip
