"""The sensitivity as a chart: the share of outputs in which an error is found, by its size."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from tests.harness.formats import FORMATS
from tests.meta.sensitivity.measure import TOLERANCES
from tests.meta.sensitivity.runs import Study
from tests.meta.sensitivity.table import false_alarms, least

LINES = {
    "torch.allclose": ("general", "allclose", {"color": "#6b7280"}),
    "torch.testing.assert_close": ("general", "assert_close", {"color": "#b45309"}),
    "Backproof, general inputs": ("general", "bound", {"color": "#0b7a4b"}),
    "Backproof, exact inputs": ("exact", "bound", {"color": "#0b7a4b", "linestyle": "--"}),
}


def draw(study: Study, file: Path) -> None:
    """A panel for each dtype; the file's suffix chooses the format."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "backproof", "font.size": 9}):
        figure = Figure(figsize=(8.4, 5.2), layout="constrained")
        panels = figure.subplots(2, 2, sharey=True)
        for dtype, axes in zip(FORMATS, panels.flat, strict=True):
            most = 2.0 ** FORMATS[dtype].precision
            for name, (inputs, judge, style) in LINES.items():
                ks = np.array(least(study, inputs, judge, dtype))
                if ks.size:
                    found = np.arange(1, ks.size + 1)[np.isfinite(ks)] * 100 / ks.size
                    x = np.concatenate([[0.8], ks[np.isfinite(ks)], [most]])
                    y = np.concatenate([[0], found, found[-1:] if found.size else [0]])
                    axes.step(x, y, where="post", label=name, linewidth=1.8, **style)
            shares = [f"{judge} {false_alarms(study, judge, dtype)}" for judge in TOLERANCES]
            corner = {"transform": axes.transAxes, "ha": "right", "color": "#374151"}
            axes.text(0.97, 0.06, "\n".join(("false alarms", *shares)), **corner)
            axes.set(xscale="log", xlim=(0.8, most), ylim=(0, 102), title=dtype)
            axes.grid(alpha=0.3)
        figure.supxlabel(
            "error of one element, in ulp; at the right end, as large as the number itself"
        )
        figure.supylabel("outputs in which 99 of 100 runs find it, %")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
        metadata = {"Date": None} if file.suffix == ".svg" else None
        figure.savefig(file, metadata=metadata, dpi=150)
