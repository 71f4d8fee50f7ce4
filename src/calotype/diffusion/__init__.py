"""The mathematics of diffusion on tensors, in sigma coordinates: x = x0 + sigma * noise. Does not know the networks."""
