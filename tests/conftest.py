"""What every test shares: one thread, so that workers do not fight over the cores and every sum has one order."""

import torch

torch.set_num_threads(1)
