"""What all torch-based adapters share: data on the device, encoder, networks, the training loop."""
