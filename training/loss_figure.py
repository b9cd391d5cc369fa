"""The loss of a training as a picture."""

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def loss_figure(title: str, losses: list[float]) -> Figure:
    """Draw the loss of every step, and its mean over the last fiftieth of the steps."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    window = max(1, len(losses) // 50)
    sums = torch.tensor([0.0, *losses], dtype=torch.float64).cumsum(0)
    steps = torch.arange(1, len(losses) + 1)
    first = (steps - window).clamp(min=0)
    axes.plot(steps, losses, color="#56B4E9", alpha=0.35, linewidth=0.5, label="each step")
    axes.plot(steps, (sums[steps] - sums[first]) / (steps - first), color="#0072B2", label=f"mean of {window} steps")
    axes.set(title=f"{title}: training loss", xlabel="step", ylabel="loss", ylim=(0, None))
    axes.legend(frameon=False)
    return figure
