"""Where A1111 and ComfyUI have other numbers of the same name, as lines for a person."""


def other_levels(scheduler: str, steps: int) -> list[str]:
    """A line if their schedule "DDIM" takes other levels at so many steps than diffusers' leading spacing.

    It goes on, 1000 // steps at a time, as far as there are levels: at 30 steps, through 31.
    """
    levels = len(range(1, 1000, max(1000 // steps, 1)))
    if scheduler != "leading" or levels == steps:
        return []
    return [f"the noise levels of the schedule DDIM: {levels} at {steps} steps in other programs, here {steps}"]
