"""Engines that are not JAX: PyTorch, ONNX Runtime and OpenVINO.

PyTorch gets each case in its default memory format and in channels last. For one spatial axis it
has no such format, so channels last there is a two-dimensional call of height 1, which is what its
users do. The two inference engines do the forward pass only and get the weights as constants, which
lets them lay these out beforehand; that is how they are used.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from cases import Case, Numbers
from contest import Contestant, Job, NotRun
from timing import Program

OPSET = 17


def torch_arguments(case: Case, flat: bool) -> dict[str, Any]:
    """PyTorch's keywords; ``flat`` for one axis as two, the first of size 1."""
    given = dict(case.arguments)
    groups = given.pop("groups", 1)
    unit = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}
    lead = [[value] if flat else [] for value in unit.values()]
    rank = case.geometry.rank
    found: dict[str, Any] = {
        name: [*before, *[given.get(name, value)] * rank]
        for (name, value), before in zip(unit.items(), lead, strict=True)
    }
    return found | {"groups": groups}


def torch_program(job: Job, last: bool) -> Program:
    """PyTorch's functional transposed convolution, in one of its memory formats."""
    import torch

    gpu = job.platform == "gpu"
    if gpu and not torch.cuda.is_available():
        raise NotRun("this PyTorch sees no GPU")
    torch.set_num_threads(job.threads)
    # The float32 of everybody else, and the fastest of the kernels that compute it.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    rank = job.case.geometry.rank
    flat = last and rank == 1
    function = getattr(torch.nn.functional, f"conv_transpose{rank + flat}d")
    arguments = torch_arguments(job.case, flat)
    formats = {2: torch.channels_last, 3: torch.channels_last_3d}
    layout = formats[rank + flat] if last else torch.contiguous_format

    def tensor(array: Numbers) -> Any:
        given = torch.from_numpy(array.astype(np.float32)).to(getattr(torch, job.dtype))
        given = given.unsqueeze(2) if flat else given
        return given.to("cuda" if gpu else "cpu").contiguous(memory_format=layout)

    def arrays(results: Any) -> list[Numbers]:
        given = results if job.task == "step" else (results,)
        found = [result.detach().float().cpu().numpy() for result in given]
        return [array.squeeze(2) for array in found] if flat else found

    def wait(_: Any) -> None:
        if gpu:
            torch.cuda.synchronize()

    x, w, y = map(tensor, job.arrays)

    def forward() -> Any:
        with torch.no_grad():
            return function(y, w, **arguments)

    def step() -> Any:
        z = function(y, w, **arguments)
        return z, *torch.autograd.grad(z, (y, w), x)

    if job.task == "step":
        y.requires_grad_()
        w.requires_grad_()
    return Program(step if job.task == "step" else forward, wait, arrays)


def torch_note(case: Case) -> str:
    """How channels last is said for one axis."""
    return "conv_transpose2d of height 1" if case.geometry.rank == 1 else ""


# -- inference -------------------------------------------------------------------------------------


def onnx_model(job: Job) -> bytes:
    """A model of one ConvTranspose node, its weight a constant."""
    from onnx import TensorProto, checker, helper, numpy_helper

    case, there = job.case, job.case.geometry
    given, (_, w, _) = case.arguments, job.arrays
    node = helper.make_node(
        "ConvTranspose", ["y", "w"], ["z"], kernel_shape=there.kernel_size, strides=there.stride,
        dilations=there.dilation, group=there.groups,
        pads=[given.get("padding", 0)] * 2 * there.rank,
        output_padding=[given.get("output_padding", 0)] * there.rank,
    )  # fmt: skip
    graph = helper.make_graph(
        [node], case.name,
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, case.y_shape)],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, case.x_shape)],
        [numpy_helper.from_array(w, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    checker.check_model(model)
    return bytes(model.SerializeToString())


def _float32_on_cpu(job: Job, engine: str) -> None:
    if job.dtype != "float32" or job.platform != "cpu":
        raise NotRun(f"{engine} runs float32 on a CPU here")


def onnxruntime_program(job: Job) -> Program:
    """A session of that model; its threads spin after a call, and `settle` waits for them."""
    _float32_on_cpu(job, "ONNX Runtime")
    import onnxruntime

    model, y = onnx_model(job), job.arrays[2]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.threads
    start = time.perf_counter()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    seconds = time.perf_counter() - start
    return Program(
        lambda: session.run(None, {"y": y}), lambda _: None, list, compile_s=seconds
    )  # fmt: skip


def openvino_program(job: Job) -> Program:
    """OpenVINO's compiled model, its arrays shared with the caller and not copied."""
    _float32_on_cpu(job, "OpenVINO")
    # Importing OpenVINO sends its makers a message, from a forked process, unless this is missing.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    model, y = onnx_model(job), job.arrays[2]
    start = time.perf_counter()
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model), "CPU", {
        "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": job.threads,
    })  # fmt: skip
    request = compiled.create_infer_request()
    seconds = time.perf_counter() - start

    def call() -> Any:
        return request.infer([y], share_inputs=True, share_outputs=True)

    return Program(call, lambda _: None, lambda results: [np.array(results[0])], compile_s=seconds)


def _torch(last: bool) -> Callable[[Job], Program]:
    return lambda job: torch_program(job, last)


ENGINES = (
    Contestant("PyTorch", _torch(last=False), ("torch",)),
    Contestant("PyTorch, channels last", _torch(last=True), ("torch",), note=torch_note),
    Contestant("ONNX Runtime", onnxruntime_program, ("onnxruntime", "onnx"), ("forward",)),
    Contestant("OpenVINO", openvino_program, ("openvino", "onnx"), ("forward",)),
)
"""PyTorch in both formats, and two inference engines."""
