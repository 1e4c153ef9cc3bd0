"""An int8 screen for the exact join: cheap upper bounds of similarities, never too low.

A row ``a`` is written ``a = s·p + e`` and a column ``b`` is written ``b = r·q + f`` with small
whole numbers ``p``, ``q``, fixed steps ``s``, ``r`` and measured remainders ``e``, ``f``. Then

    a·b = s·r·(p·q) + e·(r·q) + a·f ≤ s·r·(p·q) + ‖e‖·‖r·q‖ + ‖a‖·‖f‖      (Cauchy–Schwarz)

so ``p·q``, one int8 product, bounds the similarity from above. The remainders are measured row by
row, so the bound holds for every input; for unit rows of a face embedder it lies about 0.04 above
the similarity, which leaves few pairs for an exact check.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

# Takes (n, d) columns and a count k; answers the flat positions, ascending, in the (k, n) tile of
# the first k rows, of every pair whose similarity may reach the threshold.
TileScreen = Callable[[Float32, int], Int64]
# Takes (m, d) rows and a threshold; answers their tile screen. It may name too many pairs, never
# too few. This is the seam where another device's product can be put in.
Screen = Callable[[Float32, float], TileScreen]

MAX_NORM = 1.01

# Rows use 8 bits and columns 7: two products then sum to at most 2·255·63 = 32130 < 2¹⁵, which the
# kernels for processors without VNNI instructions need to stay exact.
_ROW_LIMIT = 127
_COLUMN_LIMIT = 63
_ZERO_POINT = 128
# The components of a unit row have a root mean square of 1/√d; past this many of them a component
# is clipped, and what is cut off counts in the remainder. Components of face embeddings reach 4.5.
_CLIP = 5.0
# With the default 512 columns a product of so many rows is 1 MB: it is compared while in cache.
_PRODUCT_ROWS = 512
# Covers the float32 rounding of remainders and norms, below 1e-6 for d up to 4096.
_SLACK = 1e-5


def int8_screen(dimension: int) -> Screen:
    """A screen on one processor core; safe to call from several threads.

    The product is onnxruntime's ``MatMulInteger`` (u8 × s8), which uses the processor's int8 dot
    product instructions where it has them.
    """
    session = _product_session(dimension)
    row_step = _CLIP / (dimension**0.5 * _ROW_LIMIT)
    column_step = _CLIP / (dimension**0.5 * _COLUMN_LIMIT)

    def screen(rows: Float32, threshold: float) -> TileScreen:
        codes, row_rest, _ = _quantise(rows, row_step, _ROW_LIMIT)
        shifted = (codes + _ZERO_POINT).astype(np.uint8)

        def hits(columns: Float32, first: int) -> Int64:
            codes, rest, norm = _quantise(columns, column_step, _COLUMN_LIMIT)
            bound = row_rest[:first] * norm.max() + MAX_NORM * rest.max() + _SLACK
            least = np.ceil((threshold - bound) / (row_step * column_step)).astype(np.int32)
            right = np.ascontiguousarray(codes.astype(np.int8).T)
            found = []
            for start in range(0, first, _PRODUCT_ROWS):
                part = slice(start, min(start + _PRODUCT_ROWS, first))
                product = session.run(None, {"rows": shifted[part], "columns": right})[0]
                reached = np.flatnonzero(product >= least[part, None])
                found.append(reached + start * len(columns))
            return np.concatenate(found)

        return hits

    return screen


def _quantise(
    block: Float32, step: float, limit: int
) -> tuple[Float32, NDArray[np.float64], NDArray[np.float64]]:
    """Whole codes, norm of each row's remainder, norm of each row as the codes give it."""
    codes = np.clip(np.rint(block * np.float32(1 / step)), -limit, limit)
    stored = codes * np.float32(step)
    rest = np.linalg.norm(block - stored, axis=1).astype(np.float64)
    return codes, rest, np.linalg.norm(stored, axis=1).astype(np.float64)


def _product_session(dimension: int) -> ort.InferenceSession:
    zero_point = helper.make_tensor("zero_point", TensorProto.UINT8, [], [_ZERO_POINT])
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["rows", "columns", "zero_point"], ["product"])],
        "int8_product",
        [
            value("rows", TensorProto.UINT8, ["m", dimension]),
            value("columns", TensorProto.INT8, [dimension, "n"]),
        ],
        [value("product", TensorProto.INT32, ["m", "n"])],
        [zero_point],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
