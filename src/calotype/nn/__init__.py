"""The networks: tensors in, tensors out. Plain torch.nn, no files, no noise schedule."""
