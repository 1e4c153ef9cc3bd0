"""Check of ``winnow doctor``: whether the GPU of this machine is used, and if not, why."""

from __future__ import annotations

import shutil
import subprocess

from flows.doctor_check import Check

_CUDA = "CUDAExecutionProvider"


def check_gpu() -> Check:
    """Whether faces are found on a GPU when there is one.

    Raises:
        ImportError: when onnxruntime is not there, or broken.
    """
    import onnxruntime

    gpus = _gpus()
    has_provider = _CUDA in onnxruntime.get_available_providers()
    if not gpus:
        return Check(name="GPU", status="ok", detail="none; faces are found on the CPU")
    if not has_provider:
        return Check(
            name="GPU",
            status="warn",
            detail=f"{gpus[0]} is not used: this onnxruntime is a CPU build",
            remedy="in a new environment: pip install --no-deps -r requirements/gpu.txt",
        )
    if not _cuda_works():
        return Check(
            name="GPU",
            status="warn",
            detail=f"{gpus[0]} is not used: onnxruntime cannot load CUDA or cuDNN",
            remedy="install the CUDA libraries of the lock: pip install --no-deps -r "
            "requirements/gpu.txt; then look at the driver with nvidia-smi",
        )
    return Check(name="GPU", status="ok", detail="; ".join(gpus))


def _gpus() -> list[str]:
    """Names of the GPUs that the NVIDIA driver shows."""
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.strip().splitlines() if done.returncode == 0 else []


def _cuda_works() -> bool:
    """Whether a network of one node really lands on the GPU."""
    import onnxruntime
    from onnx import TensorProto, helper

    shape = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "probe", [shape], [result])
    model = helper.make_model(
        graph, ir_version=8, opset_imports=[helper.make_operatorsetid("", 17)]
    )
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), quiet, providers=[_CUDA, "CPUExecutionProvider"]
    )
    return bool(session.get_providers()[0] == _CUDA)
