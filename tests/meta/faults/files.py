"""Where the faults of a component must be found."""

from tests.meta.faults.runs import REPOSITORY
from tests.meta.verified import DRAWN

FILES = {
    "relu in place": ["tests/layers/test_relu.py"],
    "threshold": ["tests/layers/test_relu.py"],
    "batch_norm module": ["tests/layers/test_batch_norm_history.py"],
    "dropout": ["tests/layers/test_dropout.py", "tests/layers/test_dropout_masks.py"],
    "dropout2d": ["tests/layers/test_dropout.py", "tests/layers/test_dropout_masks.py"],
    "adam": ["tests/optimizers/test_adam.py", "tests/optimizers/test_complex.py"],
    "adamw": [f"tests/optimizers/test_{file}.py" for file in ("adam", "long_runs")],
    "batch_norm": [
        *("tests/layers/test_batch_norm.py", "tests/second_order/test_batch_norm.py"),
        "tests/layers/test_batch_norm_refusals.py",
    ],
}
SGD = ["tests/optimizers/test_sgd.py"]
FILES |= dict.fromkeys(("sgd saved", "optimizer hooks"), SGD)
FILES["optimizer zero_grad"] = [*SGD, "tests/optimizers/test_beliefs_about_state.py"]
FILES["optimizer loaded"] = [*SGD, "tests/optimizers/test_adam.py"]
NORM = ("clip_grad_norm", "clip_grads_with_norm", "get_total_norm")
FILES |= {part: ["tests/clipping/test_clip_grad_norm.py"] for part in NORM}
SETTERS = {
    "distributions": ("uniform", "normal", "trunc_normal"),
    "xavier_kaiming": ("xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"),
    "constants": ("constant", "eye", "dirac"),
    "defaults": ("Linear defaults", "BatchNorm defaults"),
}
for file, parts in SETTERS.items():
    FILES |= {part: [f"tests/initialization/test_{file}.py"] for part in parts}
GRAPH = {
    "graph": "gradients",
    "graph retain_grad": "graph",
    "graph detach": "graph",
    "graph in place": "changes_in_place",
    "graph hook": "hooks",
}
FILES |= {
    part: ["tests/autograd/test_graph.py", f"tests/autograd/test_{file}.py"]
    for part, file in GRAPH.items()
}
MODULES = {
    "hooks": ("hook", "remove hook"),
    "whole_trees": ("zero_grad", "train", "apply"),
    "saving": ("state_dict", "register_buffer"),
    "trees": ("append", "deepcopy", "to", "load", "named_parameters"),
}
for file, parts in MODULES.items():
    FILES |= {f"modules {part}": [f"tests/modules/test_{file}.py"] for part in parts}

FILES |= {
    "compile": ["tests/layers/test_linear.py", "tests/clipping/test_side_doors.py"],
    "vmap": ["tests/layers/test_linear.py"],
    "functional_call": ["tests/layers/test_batch_norm.py"],
    "batch_norm under autocast": ["tests/mixed_precision/test_as_given.py"],
    "dropout under autocast": ["tests/mixed_precision/test_as_given.py"],
    "cross_entropy under autocast": ["tests/mixed_precision/test_autocast.py"],
    "mse_loss under autocast": ["tests/mixed_precision/test_autocast.py"],
}
SCALER = ("grad_scaler step", "grad_scaler update", "grad_scaler unscale")
FILES |= {part: ["tests/mixed_precision/test_grad_scaler.py"] for part in SCALER}

NAMING_NODES = (
    "test_graph.py::test_programs_have_the_values_gradients_and_errors_of_the_reference",
    "test_graph.py::test_programs_have_the_graph_of_the_reference",
    "test_nodes.py::test_an_mlp_has_the_graph_of_the_reference",
    "test_nodes.py::test_nodes_are_named_after_kernels",
)
"""These see every function that is wrapped, faulty or not, by the node that it leaves."""
LEFT_OUT = [f"--deselect=tests/autograd/{test}" for test in NAMING_NODES]
EVERYTHING = [*DRAWN, *LEFT_OUT]


def files(component: str) -> list[str]:
    """Where its faults must be found: the files of its name, but for those of `FILES`."""
    named = [f"{folder}/test_{component}.py" for folder in DRAWN]
    there = [name for name in named if (REPOSITORY / name).is_file()]
    return FILES.get(component) or there or EVERYTHING
