"""Two small tasks, to grade attacks with."""

import torch

from course_utils.exercises.task import Check, Mistake, Prose, Task

TASKS = (
    Task(
        name="q1",
        title="Double",
        function="double",
        right=lambda values: values * 2,
        checks=(Check("doubles", lambda random: [(torch.tensor(random.normal(size=4)),) for _ in range(3)]),),
        mistakes=(Mistake("You square.", lambda values: values**2),),
        hint="Add it to itself.",
    ),
    Task(
        name="q2",
        title="Total",
        function="total",
        right=sum,
        checks=(Check("adds", lambda random: [(random.integers(0, 99, 5).tolist(),) for _ in range(3)]),),
        mistakes=(Mistake("You take the largest.", max),),
        hint="Begin with 0.",
    ),
)
PROSE = (Prose(name="q3", title="Why", points=2, look_for="a reason"),)
