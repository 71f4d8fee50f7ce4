"""What every test shares."""

import hypothesis
import torch

# One thread, so that workers do not fight over the cores and every sum has one order.
torch.set_num_threads(1)

# No test depends on how busy the machine is.
hypothesis.settings.register_profile("calotype", deadline=None)
hypothesis.settings.load_profile("calotype")
